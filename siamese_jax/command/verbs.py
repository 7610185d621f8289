"""Verbs: `siamese-jax enrol DIR --gallery=mine.gallery`. Words and flags become one request; nothing heavy is imported.

Each verb has flags of its own, apart from those of experiments.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from siamese_jax.errors import UserError, did_you_mean
from siamese_jax.results import FPIR

FITS = ("pad", "ink", "crop", "squash")
POLARITIES = ("auto", "dark", "light")


@dataclass(frozen=True)
class Reading:
    """How pictures are read, as the arguments of `read_image`."""

    fit: str
    polarity: str


@dataclass(frozen=True, kw_only=True)
class PictureRequest:
    """What a verb asks for. `json` prints the answer for programs."""

    json: bool


@dataclass(frozen=True, kw_only=True)
class Unpack(PictureRequest):
    """Write a built-in data set as a folder of pictures."""

    source: str
    folder: Path
    data_dir: str | None
    archives: str | None


@dataclass(frozen=True, kw_only=True)
class Enrol(PictureRequest):
    """Put pictures of known classes into a gallery. `class_name` is for all of them; None: that of their folder."""

    paths: tuple[Path, ...]
    class_name: str | None
    only: str
    gallery: str
    checkpoint: str
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Identify(PictureRequest):
    """Say which enrolled class each picture shows, or "unknown"."""

    paths: tuple[Path, ...]
    gallery: str
    checkpoint: str
    top: int
    fpir: float
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Verify(PictureRequest):
    """Say whether two pictures show one class."""

    first: Path
    second: Path
    checkpoint: str
    prior: float
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class ListGallery(PictureRequest):
    """Show the classes and pictures of a gallery."""

    gallery: str


@dataclass(frozen=True, kw_only=True)
class RemoveFromGallery(PictureRequest):
    """Remove a class, or one picture, from a gallery."""

    gallery: str
    class_name: str | None
    picture: int | None


@dataclass(frozen=True, kw_only=True)
class CheckGallery(PictureRequest):
    """Look for damage in a gallery; with a network, embed its pictures again, too."""

    gallery: str
    checkpoint: str | None


class Verb(NamedTuple):
    """A verb: its help, its flags, and how words and flags become a request."""

    help: str
    define: Callable[[flags.FlagValues], None]
    request: Callable[[list[str], Any], PictureRequest]

    def flags(self) -> flags.FlagValues:
        """Return the flags of this verb, not parsed yet."""
        values = flags.FlagValues()
        flags.DEFINE_bool("json", False, "Print JSON.", flag_values=values)
        self.define(values)
        return values


_OF_READING = """
  --fit=pad|ink|crop|squash     how a page becomes a square: pad (default) keeps it, ink moves each drawing to the
                                middle of a page that it fills, crop cuts the edges off, squash stretches
  --polarity=auto|dark|light    whether ink is darker or lighter than its paper (default: found out)
  --checkpoint=best             the network: best comes with the package; or the folder of a run
  --json                        print JSON for programs
"""

UNPACK = """Write a built-in data set as a folder of pictures: DIR/GROUP/CLASS/AUTHOR.png.

  siamese-jax unpack glyphs DIR

  glyphs              characters of 16 scripts by 20 simulated drawers; nothing is downloaded
  omniglot, mnist     are downloaded, or read from --archives=DIR
  DIR                 must be empty, or not there

  --archives=DIR      folder with the published archives
  --data_dir=DIR      where prepared data are kept
  --json              print JSON for programs
"""
ENROL = f"""Put pictures of known classes into a gallery, which is made if it is not there.

  siamese-jax enrol DIR --gallery=mine.gallery

  DIR                           holds a folder for each class, named after it; one or more pictures in each.
                                A picture that lies in DIR itself is a class that is named after the file
  --gallery=FILE                where they are kept; or postgresql://USER@HOST/DB
  --class=NAME                  enrols all pictures as one class; then single files can be named, too
  --only='01.*'                 enrols the files of this name only
{_OF_READING}"""
IDENTIFY = f"""Say which enrolled class each picture shows, or "unknown".

  siamese-jax identify a.png b.jpg --gallery=mine.gallery

  --gallery=FILE                as it was enrolled; or postgresql://USER@HOST/DB
  --top=5                       how many classes are named
  --fpir=0.1                    how often a picture of a class that is not enrolled may be accepted, as a share. A lower
                                rate answers "unknown" more often
{_OF_READING}"""
VERIFY = f"""Say whether two pictures show the same class, with a probability.

  siamese-jax verify a.png b.png

  --prior=0.5                   how often two pictures show the same class before they are seen, as a share
{_OF_READING}"""
GALLERY = """Look after a gallery.

  siamese-jax gallery list --gallery=mine.gallery
  siamese-jax gallery remove --class=NAME --gallery=mine.gallery
  siamese-jax gallery check --gallery=mine.gallery

  list                shows its classes and how many pictures each has
  remove              removes --class=NAME, or --picture=NUMBER, as list --json shows it
  check               looks for damage; with --checkpoint=best it also embeds every picture again

  --gallery=FILE      as it was enrolled; or postgresql://USER@HOST/DB
  --json              print JSON for programs
"""


def read_request(words: list[str]) -> PictureRequest:
    """Return what a verb and the words after it ask for. With --help among them, print the verb's help and exit.

    Args:
      words: The verb, then what follows it.

    Raises:
      UserError: There is no such verb, a flag is unknown, or words are missing.
    """
    name, *rest = words
    if name not in VERBS:
        hint = did_you_mean(name, [*VERBS, "train"])
        raise UserError(f"{name} is not a verb: {hint}{' ' * bool(hint)}use {', '.join(['train', *VERBS])}")
    verb = VERBS[name]
    if {"--help", "-help", "-h"} & set(rest):
        print(verb.help.strip())
        sys.exit(0)
    values = verb.flags()
    try:
        positional = values([name, *rest])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = did_you_mean(error.flagname, values, "--")
        raise UserError(
            f"--{error.flagname} is not a flag of {name}: {hint or f'siamese-jax {name} --help'}"
        ) from error
    except flags.Error as error:
        raise UserError(str(error)) from error
    return verb.request(positional, values)


def _define_unpack(values: flags.FlagValues) -> None:
    flags.DEFINE_string("archives", None, "Published archives.", flag_values=values)
    flags.DEFINE_string("data_dir", None, "Prepared data.", flag_values=values)


def _define_reading(values: flags.FlagValues) -> None:
    flags.DEFINE_enum("fit", "pad", FITS, "How a page becomes a square.", flag_values=values)
    flags.DEFINE_enum("polarity", "auto", POLARITIES, "Ink darker or lighter than paper.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "The network.", flag_values=values)


def _define_enrol(values: flags.FlagValues) -> None:
    _define_reading(values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_string("class", None, "Class of all pictures.", flag_values=values)
    flags.DEFINE_string("only", "*", "Pattern of file names.", flag_values=values)


def _define_identify(values: flags.FlagValues) -> None:
    _define_reading(values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_integer("top", 5, "Classes named.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("fpir", FPIR, "False-positive identification rate.", flag_values=values)


def _define_verify(values: flags.FlagValues) -> None:
    _define_reading(values)
    flags.DEFINE_float("prior", 0.5, "Share of same pairs.", flag_values=values)


def _define_gallery(values: flags.FlagValues) -> None:
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_string("class", None, "A class to remove.", flag_values=values)
    flags.DEFINE_integer("picture", None, "A picture to remove.", flag_values=values)
    flags.DEFINE_string("checkpoint", None, "The network.", flag_values=values)


def _unpack(words: list[str], values: Any) -> Unpack:
    if len(words) != 2:
        raise UserError("unpack takes a data set and a folder, for example: siamese-jax unpack glyphs DIR")
    return Unpack(
        source=words[0],
        folder=Path(words[1]),
        data_dir=values.data_dir,
        archives=values.archives,
        json=values.json,
    )


def _enrol(words: list[str], values: Any) -> Enrol:
    if not words:
        raise UserError("enrol takes a folder of pictures, for example: siamese-jax enrol DIR --gallery=mine.gallery")
    return Enrol(
        paths=tuple(map(Path, words)),
        class_name=values["class"].value,
        only=values.only,
        gallery=_gallery_of("enrol DIR", values),
        checkpoint=values.checkpoint,
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _identify(words: list[str], values: Any) -> Identify:
    if not words:
        raise UserError("identify takes pictures, for example: siamese-jax identify a.png --gallery=mine.gallery")
    return Identify(
        paths=tuple(map(Path, words)),
        gallery=_gallery_of("identify a.png", values),
        checkpoint=values.checkpoint,
        top=values.top,
        fpir=values.fpir,
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _verify(words: list[str], values: Any) -> Verify:
    if len(words) != 2:
        raise UserError(f"verify takes two pictures, not {len(words)}, for example: siamese-jax verify a.png b.png")
    return Verify(
        first=Path(words[0]),
        second=Path(words[1]),
        checkpoint=values.checkpoint,
        prior=values.prior,
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _gallery(words: list[str], values: Any) -> ListGallery | RemoveFromGallery | CheckGallery:
    if len(words) != 1 or words[0] not in ("list", "remove", "check"):
        raise UserError("gallery takes list, remove or check, for example: siamese-jax gallery list --gallery=FILE")
    (action,) = words
    gallery, class_name, picture = _gallery_of(f"gallery {action}", values), values["class"].value, values.picture
    if action == "remove":
        if (class_name is None) == (picture is None):
            raise UserError("gallery remove takes a class or a picture: add --class=NAME or --picture=NUMBER")
        return RemoveFromGallery(gallery=gallery, class_name=class_name, picture=picture, json=values.json)
    for name, value, of in (("class", class_name, "remove"), ("picture", picture, "remove")):
        if value is not None:
            raise UserError(f"--{name} is for gallery {of}, not for gallery {action}: leave it out")
    if action == "list":
        if values.checkpoint is not None:
            raise UserError("--checkpoint is for gallery check, not for gallery list: leave it out")
        return ListGallery(gallery=gallery, json=values.json)
    return CheckGallery(gallery=gallery, checkpoint=values.checkpoint, json=values.json)


def _gallery_of(words: str, values: Any) -> str:
    """Return the --gallery; UserError if there is none."""
    if not values.gallery:
        raise UserError(
            f"no gallery is named: add --gallery=FILE, for example siamese-jax {words} --gallery=my.gallery"
        )
    return values.gallery


VERBS = {
    "unpack": Verb(UNPACK, _define_unpack, _unpack),
    "enrol": Verb(ENROL, _define_enrol, _enrol),
    "identify": Verb(IDENTIFY, _define_identify, _identify),
    "verify": Verb(VERIFY, _define_verify, _verify),
    "gallery": Verb(GALLERY, _define_gallery, _gallery),
}
