"""The verb `export`: its request, its help, and its flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from absl import flags

from siamese_jax.command import places
from siamese_jax.command.verb import Verb, VerbRequest, network_of
from siamese_jax.errors import UserError

PAGE = "page"


@dataclass(frozen=True, kw_only=True)
class Export(VerbRequest):
    """Write a network for other runtimes. `formats` is ("page",) or holds no page."""

    writes: ClassVar[bool] = True
    checkpoint: str
    formats: tuple[str, ...]
    output: Path
    gallery: str | None
    data_dir: str | None
    archives: str | None


EXPORT = """Write a trained network for use without JAX, or as a web page.

  siamese-jax export --format=onnx,stablehlo,safetensors --output=DIR
  siamese-jax export --format=page --gallery=mine.gallery --output=draw.html

  --format=onnx       onnx: for onnxruntime, also in browsers. stablehlo: for JAX; its files expire after six months.
                      safetensors: the parameters. page: one HTML file to draw on, which needs no server
  --output=DIR        the folder; an earlier export there is replaced, and nothing else. With page: the HTML file
  --checkpoint=best   the network: best comes with the package; or the folder of a run
  --gallery=FILE      with page: the classes that it knows, one picture of each
  --archives=DIR      folder with Omniglot's archives, for the comparison with JAX on the 400 official trials
  --data_dir=DIR      where prepared data are kept
  --json              print JSON for programs

The folder holds the network, a guide, the model card, examples in Python and JavaScript, and parity.json: how far each
format is from JAX on one-shot trials. A format that differs by more than rounding is an error, and nothing is written.
"""


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("format", "onnx", "What is written.", flag_values=values)
    flags.DEFINE_string("output", None, "Where it is written.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "The network.", flag_values=values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_string("archives", None, "Published archives.", flag_values=values)
    flags.DEFINE_string("data_dir", None, "Prepared data.", flag_values=values)


def _request(words: list[str], values: Any) -> Export:
    if words:
        raise UserError(f"export takes flags only, not {words[0]}: siamese-jax export --format=onnx --output=DIR")
    if not values.output:
        raise UserError("export needs --output, for example: siamese-jax export --format=onnx --output=DIR")
    formats = tuple(name.strip() for name in values.format)
    if PAGE in formats and len(formats) > 1:
        raise UserError("--format=page is one file, and other formats are a folder: export them one after the other")
    if values.gallery is not None and formats != (PAGE,):
        raise UserError("--gallery is for --format=page: leave it out")
    return Export(
        checkpoint=network_of(values),
        formats=formats,
        output=(places.file if PAGE in formats else places.folder)("--output", values.output),
        gallery=None if values.gallery is None else places.gallery("--gallery", values.gallery),
        **places.sources(values),
        json=values.json,
    )


EXPORT_VERBS = {"export": Verb(EXPORT, _define, _request)}
