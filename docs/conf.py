"""How Sphinx builds the site: `sphinx-build -W docs build/site`. It needs no network.

Generated parts of pages are rendered again from the records. Docstrings are read as the Markdown they are written in.
"""

import re
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "tools")]

import siamese_jax  # noqa: E402

project = "siamese_jax"
author = "the siamese_jax authors"
project_copyright = "2026, the siamese_jax authors"
version = release = siamese_jax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
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
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # a name such as Params exists in several rooms

INLINE_CODE = re.compile(r"(`+[^`]+`+)")


def write_api(folder):
    """Writes one page per room of the package: every module of it, with its public functions and classes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    package = Path(siamese_jax.__file__).parent
    for room in sorted(path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()):
        files = [room] if room.is_file() else sorted(room.rglob("*.py"))
        files = [file for file in files if (file.parent / "__init__.py").exists()]  # others are no modules
        modules = [".".join(file.relative_to(package.parent).with_suffix("").parts) for file in files]
        modules = [module.removesuffix(".__init__") for module in modules]
        if modules == ["siamese_jax"]:
            continue  # the index has it
        title, *others = modules
        parts = [f"{title}\n{'=' * len(title)}\n\n{_automodule(title)}"]
        parts += [f"{module}\n{'-' * len(module)}\n\n{_automodule(module)}" for module in others]
        (folder / f"{title}.rst").write_text("\n".join(parts))


def _automodule(module):
    return f".. automodule:: {module}\n   :ignore-module-all:\n"  # what a package lists stands at its own module


write_api(DOCS / "api" / "generated")


def without_type(app, what, name, obj, options, lines):
    """Keeps napoleon from reading "`paper`: section 3.2." below a field as a type and its description."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def as_markdown(app, what, name, obj, options, lines):
    """Docstrings write `code` with single backticks, and |x| and α_j as they are; reStructuredText reads all three."""
    if "".join(lines).startswith("Alias for field number"):  # what a NamedTuple says of a field
        lines.clear()
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

    source[0] = unbroken(rendered(source[0]))


def unbroken(text):
    """Keeps a number, its per cent sign and its interval on one line, as in "86.50 % (79.8–91.2)"."""
    text = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
    return re.sub(r"(?<=[\d%]) \((\d[\d.]*)–(\d[\d.]*)", "\N{NO-BREAK SPACE}(\\1–\N{WORD JOINER}\\2", text)


def setup(app):
    app.connect("autodoc-process-docstring", without_type, priority=100)
    app.connect("autodoc-process-docstring", as_markdown, priority=900)
    app.connect("source-read", with_records)
