"""Folders of small pictures, as users have them."""

from pathlib import Path

import numpy as np
from PIL import Image


def make_folder(root: Path, classes: dict[str, int], side: int = 16) -> Path:
    """Write coloured pictures, root/CLASS/ARTIST.png, by class: how many. Classes look different, pictures alike."""
    rng = np.random.default_rng(5)
    for name, count in classes.items():
        shape = np.kron(rng.random((4, 4, 1)) < 0.5, np.ones((side // 4, side // 4, 1))) * rng.random(3)
        shape[0, 0] = 1 - shape[-1, -1]  # never blank
        for number in range(count):
            noisy = np.clip(shape - 0.2 * rng.random(shape.shape), 0, 1)
            path = root / name / f"artist{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((255 * noisy).astype(np.uint8)).save(path)
    return root
