"""report.html: the Markdown as one page that needs nothing but itself; no script, and no request to anywhere."""

import base64
import html
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from siamese_jax import extras
from siamese_jax.report.pictures import content as content_of

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; background: #fff; color: #1b1b1b;
  font: 1rem/1.6 "Source Sans 3", "Segoe UI", "Helvetica Neue", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; }
h1 { font-size: 2rem; margin: 0 0 .5rem; }
h2 { font-size: 1.4rem; margin: 3rem 0 1rem; padding-top: .6rem; border-top: 1px solid #ccc; }
h3 { font-size: 1.1rem; margin: 2rem 0 .75rem; }
p, li { max-width: 46rem; overflow-wrap: break-word; }
p:has(> img) { max-width: none; }
li + li { margin-top: .25rem; }
nav { margin: 1.25rem 0 1.75rem; padding: .7rem 0; border: solid #ccc; border-width: 1px 0; font-size: .925rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: 0; padding: 0; list-style: none; }
nav li + li { margin-top: 0; }
a { color: #005a8f; }
a:focus-visible, .wide:focus-visible { outline: 2px solid #005a8f; outline-offset: 2px; }
.wide { overflow-x: auto; margin: 1rem 0 1.25rem; }
table { border-collapse: collapse; min-width: 60%; font-size: .925rem; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: .4rem .7rem; vertical-align: top; text-align: left; border-bottom: 1px solid #e2e2e2; }
th { vertical-align: bottom; border-bottom: 2px solid #555; }
td:not(:first-child) { white-space: nowrap; }
td:first-child { min-width: min(12rem, 30vw); }
tbody tr:hover { background: #f6f6f6; }
code, pre { font-family: "Source Code Pro", Consolas, Menlo, "DejaVu Sans Mono", monospace; font-size: .9em; }
code { background: #f2f2f2; padding: .1em .25em; border-radius: 3px; }
pre { padding: .8rem 1rem; background: #f2f2f2; overflow-x: auto; }
pre code { padding: 0; }
img { display: block; max-width: 100%; height: auto; margin: .5rem 0 1.5rem; }
@media print {
  @page { margin: 16mm 14mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  nav { display: none; }
  h1, h2, h3 { break-after: avoid; }
  tr, img { break-inside: avoid; }
  p:has(+ p > img:only-child) { break-after: avoid; }
  img { max-height: 200mm; object-fit: contain; object-position: left; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  table { min-width: 0; font-size: 8pt; }
  th, td { padding: .2rem .4rem; }
  td:not(:first-child) { white-space: normal; }
  td:first-child { min-width: 0; }
  pre { white-space: pre-wrap; }
}
"""


def page(text: str, folder: Path, pictures: Sequence[str]) -> str:
    """Return Markdown as a whole HTML page, with its pictures inside.

    The first heading is the page's title, and those of the second level its navigation. Nothing is a link but these.

    Args:
      text: The Markdown.
      folder: Where the pictures are.
      pictures: The PNG files that it may show. No other file is read, whatever the Markdown says.

    Raises:
      UserError: One of the pictures cannot be read; see `pictures.content`.
    """
    extras.require("report")
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable(["link", "autolink", "reference"])
    # A table too wide for the screen scrolls in a box of its own, which a keyboard can reach.
    box = '<div class="wide" role="region" aria-label="table" tabindex="0">\n'
    markdown.add_render_rule("table_open", lambda *_: f"{box}<table>\n")
    markdown.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    tokens = markdown.parse(text)

    headings: list[tuple[str, str]] = []
    title = ""
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h1":
            title = _words(content.children or [])
        elif opening.type == "heading_open" and opening.tag == "h2":
            words = _words(content.children or [])
            anchor = re.sub(r"\W+", "-", words.lower()).strip("-")
            opening.attrSet("id", anchor)
            headings.append((anchor, words))
        for part in content.children or []:
            if part.type == "image" and part.attrGet("src") in pictures:
                encoded = base64.b64encode(content_of(folder, str(part.attrGet("src")))).decode()
                part.attrSet("src", f"data:image/png;base64,{encoded}")
            elif part.type == "image":
                part.type = "text"

    nav = Token("html_block", "", 0, content=_navigation(headings))
    first = next((i for i, token in enumerate(tokens) if token.type == "heading_close"), -1) + 1
    body = markdown.renderer.render([*tokens[:first], nav, *tokens[first:]], markdown.options, {})
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        "</body>\n</html>\n"
    )


def _words(parts: Sequence) -> str:
    return "".join(part.content for part in parts)


def _navigation(headings: Sequence[tuple[str, str]]) -> str:
    links = "\n".join(f'<li><a href="#{anchor}">{html.escape(words)}</a></li>' for anchor, words in headings)
    return f'<nav aria-label="Sections">\n<ul>\n{links}\n</ul>\n</nav>\n' if headings else ""
