r"""Text from files in Markdown: it is shown as it is, and is never markup.

Names of experiments, groups and runs, warnings and reasons come from files that somebody else may have written. A
report is made in two steps. `as_text` replaces, in all text of a record, each character that Markdown could take for
markup by a stand-in. The report is then put together from the record, and `markdown` replaces the stand-ins: by
themselves in code, with a backslash elsewhere.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from siamese_jax.printable import printable

T = TypeVar("T")

_PRIVATE = 0xE000
"""Stand-ins are private characters from here on. Text has none of its own: they are not printable."""
_MARKUP = re.compile(
    r"""
      [\\`*\[\]<>&|~$]              # markup anywhere
    | (?<![^\W_])_ | _(?![^\W_])    # emphasis, unless it is inside a word
    | (?<!\S)\#                     # a heading, or its end
    | ^\ +                          # code
    | ^[-+=](?=[-+=\s]|$)           # a list, a rule or a heading
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
"""A numbered list."""
_STAND_INS = re.compile(f"[{chr(_PRIVATE)}-{chr(_PRIVATE + 0x7F)}]")


def as_text(value: T) -> T:
    """Return a record with all its text, names in mappings too, ready to stand in Markdown; see `markdown`.

    Args:
      value: A text, or a mapping, list, tuple or dataclass that holds some at any depth. Other values stay.
    """
    if isinstance(value, str):
        return _guarded(value)  # pyright: ignore[reportReturnType]
    return _with_text(value)


def _with_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {as_text(name): as_text(part) for name, part in value.items()}
    if isinstance(value, tuple):
        parts = map(as_text, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [as_text(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: as_text(getattr(value, name)) for name in fields})
    return value


def markdown(text: str) -> str:
    """Return Markdown that was put together from what `as_text` returned."""
    return "\n".join(map(_line, text.split("\n")))


@functools.lru_cache(4096)
def _guarded(text: str) -> str:
    text = _MARKUP.sub(lambda found: _stand_ins(found[0]), printable(text))
    return _NUMBER.sub(lambda found: found[1] + _stand_ins(found[2]), text)


def _stand_ins(characters: str) -> str:
    return "".join(chr(_PRIVATE + ord(one)) for one in characters)


def with_spaces(name: str) -> str:
    """Return a name, from `as_text`, with spaces in place of its underscores."""
    return name.replace("_", " ").replace(_stand_ins("_"), " ")


def _line(line: str) -> str:
    if not _STAND_INS.search(line) and "``" not in line:
        return line
    if line.startswith("    "):
        return _plain(line)
    parts = line.split("`")  # text has no backticks of its own, so every other part is code
    in_table = line.startswith("|")
    shown = [_code(part, in_table) if place % 2 else _text(part) for place, part in enumerate(parts)]
    return "".join(shown)


def _plain(text: str) -> str:
    return _STAND_INS.sub(lambda found: chr(ord(found[0]) - _PRIVATE), text)


def _text(text: str) -> str:
    def escaped(found: re.Match[str]) -> str:
        character = _plain(found[0])
        return "&#32;" if character == " " else f"\\{character}"

    return _STAND_INS.sub(escaped, text)


def _code(text: str, in_table: bool) -> str:
    """Return a code span: its fence is longer than any in it, and spaces at its ends are doubled, as they get lost."""
    text = _plain(text.replace(_stand_ins("|"), "\\|") if in_table else text) or " "
    longest = max(map(len, re.findall("`+", text)), default=0)
    if text.strip() and (text[0] in "` " or text[-1] in "` "):
        text = f" {text} "
    fence = "`" * (longest + 1)
    return f"{fence}{text}{fence}"
