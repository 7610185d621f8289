"""Verbs that use pictures: their requests, their help, and their flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from absl import flags

from siamese_jax.command import places
from siamese_jax.command.verb import OF_READING, Reading, Verb, VerbRequest, define_reading, gallery_of, network_of
from siamese_jax.errors import UserError
from siamese_jax.results import FPIR


@dataclass(frozen=True, kw_only=True)
class Unpack(VerbRequest):
    """Write a built-in data set as a folder of pictures."""

    writes: ClassVar[bool] = True
    source: str
    folder: Path
    data_dir: str | None
    archives: str | None


@dataclass(frozen=True, kw_only=True)
class Enrol(VerbRequest):
    """Put pictures of known classes into a gallery. `class_name` is for all of them; None: that of their folder."""

    writes: ClassVar[bool] = True
    paths: tuple[Path, ...]
    class_name: str | None
    only: str
    gallery: str
    checkpoint: str
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Identify(VerbRequest):
    """Say which enrolled class each picture shows, or "unknown"."""

    paths: tuple[Path, ...]
    gallery: str
    checkpoint: str
    top: int
    fpir: float
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Verify(VerbRequest):
    """Say whether two pictures show one class."""

    first: Path
    second: Path
    checkpoint: str
    prior: float
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class ListGallery(VerbRequest):
    """Show the classes and pictures of a gallery."""

    gallery: str


@dataclass(frozen=True, kw_only=True)
class RemoveFromGallery(VerbRequest):
    """Remove a class, or one picture, from a gallery."""

    writes: ClassVar[bool] = True
    gallery: str
    class_name: str | None
    picture: int | None


@dataclass(frozen=True, kw_only=True)
class CheckGallery(VerbRequest):
    """Look for damage in a gallery; with a network, embed its pictures again, too."""

    gallery: str
    checkpoint: str | None


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
{OF_READING}"""
IDENTIFY = f"""Say which enrolled class each picture shows, or "unknown".

  siamese-jax identify a.png b.jpg --gallery=mine.gallery

  --gallery=FILE                as it was enrolled; or postgresql://USER@HOST/DB
  --top=5                       how many classes are named
  --fpir=0.1                    how often a picture of a class that is not enrolled may be accepted, as a share. A lower
                                rate answers "unknown" more often
{OF_READING}"""
VERIFY = f"""Say whether two pictures show the same class, with a probability.

  siamese-jax verify a.png b.png

  --prior=0.5                   how often two pictures show the same class before they are seen, as a share
{OF_READING}"""
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


def _define_unpack(values: flags.FlagValues) -> None:
    flags.DEFINE_string("archives", None, "Published archives.", flag_values=values)
    flags.DEFINE_string("data_dir", None, "Prepared data.", flag_values=values)


def _define_enrol(values: flags.FlagValues) -> None:
    define_reading(values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_string("class", None, "Class of all pictures.", flag_values=values)
    flags.DEFINE_string("only", "*", "Pattern of file names.", flag_values=values)


def _define_identify(values: flags.FlagValues) -> None:
    define_reading(values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_integer("top", 5, "Classes named.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("fpir", FPIR, "False-positive identification rate.", flag_values=values)


def _define_verify(values: flags.FlagValues) -> None:
    define_reading(values)
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
        folder=places.folder("", words[1]),
        **places.sources(values),
        json=values.json,
    )


def _enrol(words: list[str], values: Any) -> Enrol:
    if not words:
        raise UserError("enrol takes a folder of pictures, for example: siamese-jax enrol DIR --gallery=mine.gallery")
    return Enrol(
        paths=tuple(places.picture(word) for word in words),
        class_name=values["class"].value,
        only=values.only,
        gallery=gallery_of("enrol DIR", values),
        checkpoint=network_of(values),
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _identify(words: list[str], values: Any) -> Identify:
    if not words:
        raise UserError("identify takes pictures, for example: siamese-jax identify a.png --gallery=mine.gallery")
    return Identify(
        paths=tuple(places.picture(word) for word in words),
        gallery=gallery_of("identify a.png", values),
        checkpoint=network_of(values),
        top=values.top,
        fpir=values.fpir,
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _verify(words: list[str], values: Any) -> Verify:
    if len(words) != 2:
        raise UserError(f"verify takes two pictures, not {len(words)}, for example: siamese-jax verify a.png b.png")
    return Verify(
        first=places.picture(words[0]),
        second=places.picture(words[1]),
        checkpoint=network_of(values),
        prior=values.prior,
        reading=Reading(values.fit, values.polarity),
        json=values.json,
    )


def _gallery(words: list[str], values: Any) -> ListGallery | RemoveFromGallery | CheckGallery:
    if len(words) != 1 or words[0] not in ("list", "remove", "check"):
        raise UserError("gallery takes list, remove or check, for example: siamese-jax gallery list --gallery=FILE")
    (action,) = words
    gallery, class_name, picture = gallery_of(f"gallery {action}", values), values["class"].value, values.picture
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
    return CheckGallery(gallery=gallery, checkpoint=network_of(values), json=values.json)


PICTURE_VERBS = {
    "unpack": Verb(UNPACK, _define_unpack, _unpack),
    "enrol": Verb(ENROL, _define_enrol, _enrol),
    "identify": Verb(IDENTIFY, _define_identify, _identify),
    "verify": Verb(VERIFY, _define_verify, _verify),
    "gallery": Verb(GALLERY, _define_gallery, _gallery),
}
