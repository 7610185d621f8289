"""Text from outside as it is shown: names of files, classes and runs may hold anything, also orders to a terminal."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Not printable, but scripts and emoji are written with them."""


def printable(text: str) -> str:
    r"""Return text in one line that a terminal cannot take for an order: what is not printable is written as "\x1b".

    Line breaks, control characters, marks that turn the direction of writing, and bytes that are not UTF-8 are written
    as Python writes them. Letters, signs and spaces stay as they are.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    return repr(character)[1:-1]
