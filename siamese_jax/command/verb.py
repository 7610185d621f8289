"""What every verb has: help, flags of its own apart from those of experiments, and a request that they become.

Nothing heavy is imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from absl import flags

from siamese_jax.command import places
from siamese_jax.errors import UserError

FITS = ("pad", "ink", "crop", "squash")
POLARITIES = ("auto", "dark", "light", "keep")


@dataclass(frozen=True)
class Reading:
    """How pictures are read, as the arguments of `read_image`. None: as in training."""

    fit: str | None
    polarity: str | None


@dataclass(frozen=True, kw_only=True)
class VerbRequest:
    """What a verb asks for. `json` prints the answer for programs."""

    json: bool
    writes: ClassVar[bool] = False
    """Whether what is printed only says what was written: then it may be lost."""


class Verb(NamedTuple):
    """A verb: its help, its flags, and how words and flags become a request."""

    help: str
    define: Callable[[flags.FlagValues], None]
    request: Callable[[list[str], Any], VerbRequest]

    def flags(self) -> flags.FlagValues:
        """Return the flags of this verb, not parsed yet."""
        values = flags.FlagValues()
        flags.DEFINE_bool("json", False, "Print JSON.", flag_values=values)
        self.define(values)
        return values


OF_READING = """
  --fit=pad|ink|crop|squash     how a page becomes a square: pad keeps it, ink moves each drawing to the middle of a
                                page that it fills, crop cuts the edges off, squash stretches
  --polarity=auto|dark|light    whether ink is darker or lighter than its paper; auto finds out. keep leaves grey as it
                                is, for pictures that are no drawings. Without these two flags pictures are read as in
                                training; for best that is pad and auto
  --checkpoint=best             the network: best comes with the package; or the folder of a run
  --json                        print JSON for programs
"""


def define_reading(values: flags.FlagValues) -> None:
    flags.DEFINE_enum("fit", None, FITS, "How a page becomes a square.", flag_values=values)
    flags.DEFINE_enum("polarity", None, POLARITIES, "Ink darker or lighter than paper.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "The network.", flag_values=values)


def gallery_of(words: str, values: Any) -> str:
    """Return the --gallery; UserError if there is none."""
    if not values.gallery:
        raise UserError(
            f"no gallery is named: add --gallery=FILE, for example siamese-jax {words} --gallery=my.gallery"
        )
    return places.gallery("--gallery", values.gallery)


def network_of(values: Any) -> Any:
    """Return the --checkpoint; None where it has no default and is not given."""
    return None if values.checkpoint is None else places.network("--checkpoint", values.checkpoint)
