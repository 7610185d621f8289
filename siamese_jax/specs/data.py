"""What is trained on: the images, how they are split and paired, and how they are distorted."""

from dataclasses import dataclass
from typing import Literal

SIDE = 105
"""Rows and columns of a drawing as published, in pixels; every data set here has the same."""


@dataclass(frozen=True)
class DataSpec:
    """Which images, split how, and how many pairs are drawn from them."""

    name: Literal["omniglot", "glyphs"] = "omniglot"
    background: Literal["all", "small1", "small2"] = "all"
    """Training alphabets: all 30 of the background set, or one of the two sets of 5 released beside it (Lake et al.
    2015)."""
    downsample: int = 1
    """Side of the square blocks that are averaged into one pixel: 3 makes 105×105 into 35×35."""
    side: int = 0
    """Side that images are resized to by area averages, where no block of whole pixels gives it; 0: as they are."""
    drawer_split: Literal["paper", "official"] = "paper"
    """`paper`: train on drawers 1-12, validate on 13-16, test on 17-20. `official`: train on 9-20,
    validate on 5-8, test on 1-4, so that no drawer of the official one-shot runs is trained on."""
    train_pairs: int = 150_000
    validation_pairs: int = 10_000
    test_pairs: int = 10_000
    different_drawers: bool = True
    """Whether the two images of a "different" pair come from two drawers, as those of a "same" pair
    must; then who drew says nothing about the answer. The paper leaves it open."""
    redraw: bool = False
    """False: one fixed set of pairs, each as it is and in `distort.copies` distorted copies, seen again each
    epoch, as in the paper. True: an epoch is `train_pairs` pairs never seen before, as many of them
    distorted as in a fixed set."""
    batch_alphabets: int = 2
    """A grid batch, for the losses `all_pairs` and `n_way`: alphabets, of each so many characters, of each so many
    drawers; the images of an alphabet are all compared with each other."""
    batch_characters: int = 20
    """An alphabet of fewer characters shows all it has."""
    batch_drawers: int = 4
    epoch_steps: int = 100
    """Steps from one validation to the next in training on grid batches, which have no pass over a set."""
    rotations: bool = False
    """Whether an alphabet of a grid batch is turned by a multiple of 90°, drawn anew each time: it is another then."""

    @property
    def image_side(self) -> int:
        """Rows and columns of the images that are trained on."""
        return self.side or SIDE // self.downsample


@dataclass(frozen=True)
class DistortSpec:
    """Affine distortions of the training pairs (paper, section 4.3). Ranges are symmetric."""

    copies: int = 8
    """Distorted copies added to each undistorted pair; 0 switches distortions off."""
    probability: float = 0.5
    """Of each of the seven components, on its own, to be included."""
    rotation: float = 10.0
    """Degrees either way."""
    shear: float = 0.3
    scale: float = 0.2
    """Scales are 1 ± this."""
    translation: float = 2.0
    """Pixels of the image that is trained on, either way."""
    elastic: float = 0.0
    """Standard deviation, in those pixels, of a smooth random displacement of each point (Simard, Steinkraus and Platt
    2003), included with `probability` like the components; 0 switches it off."""
    elastic_scale: int = 8
    """Pixels between the points that are displaced independently; those between follow smoothly."""
