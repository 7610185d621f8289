"""The data of an experiment: the images, how they are split, paired and distorted."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from siamese_jax.specs.fields import BelowOne, OrZero, Share, Variant

SIDE = 105
"""Rows and columns of a drawing as published, in pixels."""


@dataclass(frozen=True, kw_only=True)
class DataSpec(Variant):
    """What every source of images has: how many pairs, and grid batches. Its members say which images, and their size.

    A new source is a member with a `name`, its own fields, and `image_shape`.
    """

    variants: ClassVar[dict[str, type["DataSpec"]]] = {}
    train_pairs: int = 150_000
    validation_pairs: int = 10_000
    test_pairs: int = 10_000
    different_drawers: bool = True
    """Whether the two images of a "different" pair have two drawers, as those of a "same" pair always have. If so, the
    drawers do not reveal the answer. The paper does not say."""
    redraw: bool = False
    """False: a fixed set of pairs, as in the paper; every epoch shows each pair once undistorted and `distort.copies`
    times distorted. True: every epoch samples `train_pairs` new pairs, with the same proportion distorted."""
    batch_alphabets: int = 2
    """Alphabets in a grid batch. A grid batch, for the losses `all_pairs` and `n_way`, has so many alphabets, so many
    characters of each, and so many drawers of each character. All images of an alphabet are compared."""
    batch_characters: int = 20
    """Characters of each alphabet in a grid batch; a smaller alphabet gives all of its characters."""
    batch_drawers: int = 4
    epoch_steps: int = 100
    """Steps in an epoch of grid batches, which have no fixed set to pass over. Each epoch ends with a validation."""
    rotations: bool = False
    """Whether grid batches use rotation as new classes: each alphabet is rotated by a random multiple of 90°."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the images that are trained on."""
        raise NotImplementedError

    @property
    def author_split(self) -> str:
        """Which authors are for which set, for images that are split as released: see `sampling.splits.DRAWERS`."""
        return "paper"

    @property
    def source(self) -> tuple[object, ...]:
        """The values that decide which images are loaded. Specs with equal values share their images."""
        of_all = {field.name for field in fields(DataSpec)}
        return self.name, *(getattr(self, field.name) for field in fields(self) if field.name not in of_all)


@dataclass(frozen=True, kw_only=True)
class ReleasedSpec(DataSpec):
    """Images that can have released episodes, whose authors are split as the paper or the episodes ask for."""

    drawer_split: Literal["paper", "official"] = "paper"
    """`paper`: train on drawers 1-12, validate on 13-16, test on 17-20. `official`: train on 9-20, validate on 5-8,
    test on 1-4, so that no drawer of the official one-shot runs is trained on."""

    @property
    def author_split(self) -> str:
        return self.drawer_split


@dataclass(frozen=True, kw_only=True)
class Characters(ReleasedSpec):
    """Drawings of characters, 105×105 pixels with one channel as released."""

    downsample: int = 1
    """Side of the square blocks whose mean becomes one pixel: 3 reduces 105×105 to 35×35."""
    side: OrZero = 0
    """Side that images are resized to by area averages, for sizes that `downsample` cannot give; 0: not resized."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        side = self.side or SIDE // self.downsample
        return side, side, 1


@dataclass(frozen=True, kw_only=True)
class Omniglot(Characters):
    """Handwritten characters of 50 alphabets by 20 drawers (Lake et al. 2015)."""

    name = "omniglot"
    background: Literal["all", "small1", "small2"] = "all"
    """Training alphabets: all 30 of the background set, or one of the two sets of 5 released beside it."""


@dataclass(frozen=True, kw_only=True)
class Glyphs(Characters):
    """Rendered characters that the package draws itself; nothing is downloaded."""

    name = "glyphs"


@dataclass(frozen=True, kw_only=True)
class InMemory(ReleasedSpec):
    """Images that the caller hands over as arrays. Their shape is filled in when a run begins."""

    name = "in_memory"
    height: OrZero = 0
    """Rows of an image; 0: as the images have."""
    width: OrZero = 0
    """Columns of an image; 0: as the images have."""
    channels: OrZero = 0
    """Channels of an image, 1 for grey and 3 for colour; 0: as the images have."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


@dataclass(frozen=True, kw_only=True)
class Folder(DataSpec):
    """Pictures of your own: DIR/CLASS/PICTURE, DIR/GROUP/CLASS/PICTURE, or a table."""

    name = "folder"
    path: str = ""
    """The folder DIR. With a table: the folder that the paths of the table start from."""
    table: str = ""
    """A CSV file with the columns path and class, and if known group, author and split (train, validation, test)."""
    side: int = 48
    """Rows and columns that pictures are resized to."""
    colour: bool = True
    """Whether pictures have three channels. False: grey, as `polarity` says."""
    fit: Literal["pad", "crop", "squash"] = "pad"
    """How a picture that is not square becomes square: centred on paper, cut, or distorted."""
    polarity: Literal["auto", "dark", "light", "keep"] = "auto"
    """Without colour: whether ink is darker or lighter than its paper. `auto` finds out for each picture; `keep` leaves
    grey as it is, for pictures that are no drawings."""
    author: Literal["unknown", "stem"] = "unknown"
    """`stem`: the name of a file without its ending is its author. Pairs and trials then have two authors."""
    split: Literal["auto", "group", "class"] = "auto"
    """What a random split puts whole into one set. `auto`: groups if there are five or more, else classes."""
    split_seed: OrZero = 0
    """Seed of the random split."""
    validation_groups: str = ""
    """Groups for validation, separated by commas. With `test_groups` they replace the random split."""
    test_groups: str = ""
    """Groups for test, separated by commas."""
    train_classes: OrZero = 0
    """Train on so many classes only, chosen by `split_seed`; 0: all. A search of it gives the learning curve."""
    words: str = "group,class,author"
    """What reports call a group, a class and an author."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.side, self.side, 3 if self.colour else 1


@dataclass(frozen=True)
class DistortSpec:
    """Affine and elastic distortions of training images (paper, section 4.3). Ranges are symmetric."""

    copies: OrZero = 8
    """Distorted copies added to each undistorted pair; 0 switches distortions off."""
    probability: Share = 0.5
    """Probability that a component is included; each of the components is sampled on its own."""
    rotation: float = 10.0
    """Largest angle, in degrees."""
    shear: BelowOne = 0.3
    """Largest shear. From 1 on an image would be folded over."""
    scale: BelowOne = 0.2
    """Scales are 1 ± at most this. From 1 on an image would be folded over."""
    translation: float = 2.0
    """Largest shift, in pixels of the image that is trained on."""
    colour: BelowOne = 0.0
    """Images with three channels: largest change of saturation, and of the ink of each channel, as a share. Each is
    included with `probability`; 0 switches it off."""
    elastic: float = 0.0
    """Standard deviation, in those pixels, of a smooth random displacement of each point (Simard, Steinkraus and Platt
    2003), included with `probability` like the other components; 0 switches it off."""
    elastic_scale: int = 8
    """Pixels between points that are displaced independently; the displacement is interpolated between them."""
