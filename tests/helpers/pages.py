"""README.md and the pages of docs/, as tests of them read them."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((DOCS / "api").glob("*.md"))]
"""Every page that somebody wrote; those that Sphinx generates stand in docs/api/generated."""

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
GENERATED = re.compile(r"<!-- generated: [\w-]+ -->.*?<!-- end -->", re.DOTALL)


def name(page: Path) -> str:
    """Return a page's path inside the project."""
    return str(page.relative_to(ROOT))


def code(page: Path) -> str:
    """Return the lines of all code blocks of a page, without their indent; a line that is continued is one line."""
    text = page.read_text()
    blocks = [fence.partition("\n")[2].rpartition("\n")[0] for fence in FENCE.findall(text)]
    blocks += [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in INDENTED.findall(FENCE.sub("", text))]
    return re.sub(r"\\\n\s*", "", "\n".join(blocks))


def prose(page: Path) -> str:
    """Return the sentences of a page: no code, no generated part; white space is one space."""
    text = FENCE.sub("", GENERATED.sub("", page.read_text()))
    return re.sub(r"\s+", " ", INDENTED.sub("", text))
