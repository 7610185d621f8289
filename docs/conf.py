"""How Sphinx builds the site: `sphinx-build -W docs build/site`. It needs no network.

Generated parts of pages are rendered again from the records. Docstrings are read as the Markdown they are written in.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "tools")]

import siamese_jax  # noqa: E402

project = "siamese_jax"
author = "the siamese_jax authors"
project_copyright = "2026, the siamese_jax authors"
version = release = siamese_jax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["api/generated/*.md"]
templates_path = ["_templates"]
html_theme = "sphinx_book_theme"
html_title = "siamese_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
}
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 3
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
napoleon_numpy_docstring = False
napoleon_use_rtype = False

INLINE_CODE = re.compile(r"(`+[^`]+`+)")


def as_markdown(app, what, name, obj, options, lines):
    """Docstrings write `code` with single backticks, and |x| and α_j as they are; reStructuredText reads all three."""
    for number, line in enumerate(lines):
        if re.match(r"\s*(:|\.\. )", line):  # a field or a directive that napoleon has made
            head, colon, rest = re.match(r"(\s*(?::[^:]*:|\.\. [\w:]+)?)( ?)(.*)", line, re.DOTALL).groups()
            lines[number] = head + colon + _escaped(rest)
        else:
            lines[number] = _escaped(line)


def _escaped(text):
    parts = INLINE_CODE.split(text)
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = f"``{part.strip('`')}``" if part.startswith("`") else part
        else:
            part = re.sub(r"(?<!\\)\|", r"\\|", part)
            parts[place] = re.sub(r"(\w)_(?=\W|$)", r"\1\\_", re.sub(r"(?<![\\*\w])\*(?=\S)", r"\\*", part))
    return "".join(parts)


def with_records(app, docname, source):
    """Renders the generated parts of a page, so that a site never shows an older record than the repository has."""
    from write_docs import rendered

    source[0] = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", rendered(source[0]))


def setup(app):
    app.connect("autodoc-process-docstring", as_markdown, priority=900)
    app.connect("source-read", with_records)
