"""Drawings for tests of pictures: black strokes on a white page, of two groups with five classes by three authors."""

import numpy as np
from PIL import Image, ImageDraw

from siamese_jax.records import Dataset, Images, Words

SIDE, GROUPS, CLASSES, AUTHORS = 60, "ab", 5, 3


def draw(class_: int, author: int) -> np.ndarray:
    """Three strokes between random points, which the author has moved a little: uint8 [60, 60, 1], 255 for ink."""
    points = np.random.default_rng(class_).uniform(8, SIDE - 8, (4, 2))
    points += np.random.default_rng([class_, author]).normal(0, 1.5, points.shape)
    page = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(page).line([tuple(point) for point in points], fill=255, width=3)
    return np.asarray(page)[..., None]


def make_drawings() -> Dataset:
    """All drawings, as a source returns them."""
    count = len(GROUPS) * CLASSES
    return Dataset(
        Images(
            images=np.stack([draw(class_, author) for class_ in range(count) for author in range(1, AUTHORS + 1)]),
            class_index=np.repeat(np.arange(count, dtype=np.int32), AUTHORS),
            group_index=np.repeat(np.arange(len(GROUPS), dtype=np.int32), CLASSES * AUTHORS),
            author=np.tile(np.arange(1, AUTHORS + 1, dtype=np.int32), count),
            group_names=tuple(GROUPS),
            words=Words("alphabet", "character", "drawer"),
        )
    )
