"""The pictures that a report shows: in which section, in which order, with which caption.

A picture is a PNG file beside the report. `siamese_jax.plots` draws it.
"""

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from siamese_jax.errors import UserError
from siamese_jax.results import Words, plural
from siamese_jax.storage import files

HEADLINE, ONE_SHOT, VERIFICATION, DECISIONS, TRAINING, NETWORK = (
    "Result",
    "One-shot recognition",
    "Verification",
    "Decisions",
    "Training",
    "Network",
)

Pictures = Mapping[str, tuple[str, str]]
"""By file: the heading of its section, and its caption. The source's words stand for {group} and {classes}."""

PICTURES: Pictures = {
    "trial.png": (HEADLINE, "One trial: the query, and each support with its score"),
    "n_way.png": (ONE_SHOT, "Accuracy by the number of {classes} to choose from, with 95 % intervals"),
    "groups.png": (ONE_SHOT, "Accuracy on each {group}, by the number of {classes} to choose from"),
    "hardest.png": (ONE_SHOT, "The hardest trials of each {group}"),
    "confused.png": (ONE_SHOT, "The {classes} most often confused"),
    "units.png": (ONE_SHOT, "What each unit of the embedding adds to one decision"),
    "roc.png": (VERIFICATION, "Both kinds of error at every threshold: ROC and DET curve"),
    "reliability.png": (DECISIONS, "Are probabilities what happens? Reliability diagrams before and after calibration"),
    "training.png": (TRAINING, "Loss and accuracy by epoch"),
    "distortions.png": (TRAINING, "Training images and distorted copies"),
    "filters.png": (NETWORK, "Filters of the first layer"),
}

COMPARISON_PICTURES: Pictures = {
    "comparison.png": (HEADLINE, "20-way one-shot accuracy on the official runs, beside published figures"),
    "n_way.png": (ONE_SHOT, "Accuracy of each run by the number of {classes} to choose from"),
    "roc.png": (VERIFICATION, "Both kinds of error of each run at every threshold: ROC and DET curves"),
}


MOST_BYTES = 32_000_000
"""Longer pictures are not shown."""
MOST_PIXELS = 64_000_000
"""Larger pictures are not shown: a browser would need too much memory for them."""


def there(folder: Path, pictures: Pictures) -> list[str]:
    """Return the names of those pictures that are in a folder and can be shown; see `content`."""
    found = []
    for name in pictures:
        with contextlib.suppress(UserError):
            content(folder, name)
            found.append(name)
    return found


def content(folder: Path, name: str) -> bytes:
    """Return a picture of a folder.

    Args:
      folder: The folder. A link that leads out of it is not followed.
      name: The name of the file.

    Raises:
      UserError: There is no such file, or it is not a PNG file of a bounded size.
    """
    path = folder / name
    real = os.path.realpath  # it also ends where links form a circle
    if not Path(real(path)).is_relative_to(real(folder)):
        raise UserError(f"{path} is a link out of its folder: remove it")
    found = files.read_bytes(path, MOST_BYTES)
    try:
        with Image.open(io.BytesIO(found), formats=("PNG",)) as image:
            image.verify()
            size = image.width * image.height
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise UserError(f"{path} is not a whole PNG file: remove it") from error
    if size > MOST_PIXELS:
        raise UserError(f"{path} has {size:,} pixels, more than {MOST_PIXELS:,}: remove it")
    return found


def shown(heading: str, names: Sequence[str], words: Words, pictures: Pictures = PICTURES) -> list[str]:
    """Return the pictures of a section as Markdown, each under its caption.

    Args:
      heading: The heading of the section.
      names: The files that are there.
      words: The words of the data source.
      pictures: The pictures of the report.
    """
    said = {"group": words.group, "classes": plural(words.class_)}
    captions = {
        name: caption.format(**said)
        for name, (where, caption) in pictures.items()
        if name in names and where == heading
    }
    return [f"{caption}:\n\n![{caption}]({name})" for name, caption in captions.items()]


def section(heading: str, text: str, names: Sequence[str], words: Words, pictures: Pictures = PICTURES) -> str:
    """Return a section: its heading, its text and its pictures; "" if it has neither text nor pictures.

    Args:
      heading: The heading.
      text: The text below it, Markdown.
      names: The picture files that are there.
      words: The words of the data source.
      pictures: The pictures of the report.
    """
    parts = [*filter(None, [text]), *shown(heading, names, words, pictures)]
    return "\n\n".join([f"## {heading}", *parts]) if parts else ""
