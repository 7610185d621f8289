"""Flag files: one flag a line, and notes. Each --flagfile on the command line becomes the flags of its file."""

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.storage import home

LARGEST = 1 << 20
"""Bytes of a flag file."""
DEEPEST, MOST = 20, 200
"""How deep flag files may name each other, and how many may be read."""
_DIRECTIVE = re.compile(r"--?flagfile(?:=(.*))?", re.DOTALL)
_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*)(\s*=|(?=\s|$))")
_QUOTED = re.compile(r"""\s*(["'])(.*?)\1(?=\s|$)""")
_END = re.compile(r"\s+(?:#|--[A-Za-z]|\\$)")
"""What ends a value: a note, another flag, or a backslash that continues a line of a shell."""


def expanded(argv: Sequence[str]) -> list[str]:
    """Return words of a command line with each --flagfile=FILE or --flagfile FILE replaced by the flags of the file.

    Args:
      argv: the words, without the name of the program.

    Raises:
      UserError: a file cannot be read, holds something else than flags, or names itself.
    """
    words, read = list(argv), _Reader()
    flags = []
    while words:
        word = words.pop(0)
        if word == "--":
            return [*flags, word, *words]
        directive = _DIRECTIVE.fullmatch(word)
        if directive is None:
            flags.append(word)
            continue
        name = directive[1] if directive[1] is not None else words.pop(0) if words else ""
        flags += read(_named(name, "the command line"), ())
    return flags


class _Reader:
    """Reads flag files, and those that they name."""

    def __init__(self) -> None:
        self._files = 0

    def __call__(self, path: Path, inside: tuple[Path, ...]) -> list[str]:
        """Return the flags of a file; `inside` are the files that name it, from the outermost on."""
        self._files += 1
        if any(os.path.realpath(path) == os.path.realpath(outer) for outer in inside):
            by = f", by way of {inside[-1]}" if len(inside) > 1 else ""
            raise UserError(f"the flag file {path} names itself{by}: take that --flagfile out")
        if len(inside) >= DEEPEST or self._files > MOST:
            raise UserError(
                f"the flag files name each other more than {DEEPEST} deep, or more than {MOST} in all, at {path}: "
                "put their flags into fewer files"
            )
        flags = []
        for number, line in enumerate(re.split("\r\n|\r|\n", _text(path)), 1):
            for flag, value in _flags(line, f"{path}:{number}"):
                if flag.lstrip("-") != "flagfile":
                    flags.append(flag if value is None else f"{flag}={value}")
                    continue
                named = _named(value or "", f"{path}:{number}")
                beside = path.parent / named if path.is_file() else named  # a pipe has no folder
                flags += self(beside, (*inside, path))
        return flags


def _named(name: str, where: str) -> Path:
    if not name.strip():
        raise UserError(f"--flagfile names no file in {where}: write --flagfile=FILE")
    return home.expanded(name.strip())


def _text(path: Path) -> str:
    """Return the text of a file; UserError if it is too large or not text. It may be a pipe or a device."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the flag file {path} could not be read: {reason}; check the path") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content[:LARGEST].decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(f"the flag file {path} is not text: flag files hold one flag a line")
    if len(content) > LARGEST:
        raise UserError(f"the flag file {path} is larger than {LARGEST >> 20} MB: flag files hold one flag a line")
    return text


def _flags(line: str, where: str) -> Iterator[tuple[str, str | None]]:
    """Yield the flags of a line with their values; None: the flag has no value.

    A note begins with # or // at the start of a line, or with # after a blank. Quotes around a value keep #, blanks and
    --. A backslash at the end, which continues a line of a shell, has no meaning.
    """
    rest = line.strip()
    while rest and not rest.startswith(("#", "//")) and rest != "\\":
        found = _FLAG.match(rest)
        if found is None:
            raise UserError(f"{where}: {rest[:80]!r} is not a flag: flags are written --name=value, notes begin with #")
        name, assigned, rest = found[1], bool(found[2]), rest[found.end() :]
        if quoted := _QUOTED.match(rest):
            value, rest = quoted[2], rest[quoted.end() :]
        else:
            end = _END.search(rest)
            value, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
            value = value.strip()
        yield name, value if assigned or quoted or value else None
        rest = rest.strip()
