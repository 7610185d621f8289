"""The format `page`: one HTML file that needs no server."""

import os
from pathlib import Path

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery
from siamese_jax.pages import draw_page
from siamese_jax.pretrained import Model
from siamese_jax.storage import files

PAGE = b"<!doctype html>"
"""How a file begins that may be replaced."""


def export_page(model: Model, path: str | os.PathLike[str], gallery: str | None = None) -> int:
    """Write the page on which visitors draw and the network recognises.

    Args:
      model: The network.
      path: The HTML file. Another HTML file there is replaced, and nothing else.
      gallery: Location of a gallery whose classes the page knows: one picture of each. None: none.

    Returns:
      How many classes it knows.

    Raises:
      UserError: The network has no page, the gallery cannot be used, or the file cannot be written.
    """
    path = Path(path)
    check_page(path)
    classes = None if gallery is None else classes_of(model, gallery)
    page = draw_page(model, classes)  # pyright: ignore[reportArgumentType]  # a cached property is a property, too
    files.write_text(path, page)
    return len(classes or [])


def check_page(path: Path) -> None:
    """Raise UserError if something other than a page is at a path."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a file for the page, for example --output={path / 'draw.html'}")
    if path.exists():
        with files.open_file(path) as file, files.explained(path, "read"):
            if file.read(len(PAGE)).lower() != PAGE:
                raise UserError(f"{path} is not a page that can be replaced: choose another --output")


def classes_of(model: Model, gallery: str) -> list[tuple[str, bytes, np.ndarray]]:
    """Return one picture of each class of a gallery: its name, a PNG file, and the embedding [D]."""
    with Gallery.open(gallery, model) as opened:
        found = opened.one_of_each()
    if not found:
        raise UserError(f"{gallery} is empty: enrol pictures first, or leave --gallery out")
    return found
