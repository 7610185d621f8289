"""What all pictures share: colours, line styles, layout in inches, and `save`.

Colour-blind readers can distinguish the colours (Okabe and Ito 2008). Line styles, markers, hatches and words say
the same in grey. Lengths are inches from the top left corner of the figure.
"""

import io
import os
import textwrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from siamese_jax import extras
from siamese_jax.printable import printable
from siamese_jax.storage import home
from siamese_jax.storage.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
GREY, PALE, GRID = "#666666", "#BBBBBB", "#E6E6E6"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, "black")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 150
MARGIN = 0.2
LINE = 0.25
"""Height of a line of a title."""


def save(figure: "Figure", path: str | os.PathLike, fit: bool = False) -> None:
    """Write a picture as PNG.

    Args:
      figure: The picture.
      path: Where it is written.
      fit: Whether to cut the figure to what is drawn in it.

    Raises:
      UserError: The file cannot be written.
    """
    import matplotlib
    from matplotlib.text import Text

    png = io.BytesIO()
    with matplotlib.rc_context({"text.parse_math": False}):  # for labels that are made while it is drawn
        for text in figure.findobj(Text):
            text.set_parse_math(False)  # names of classes and runs may hold anything, also "$"
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        figure.savefig(png, format="png", bbox_inches="tight" if fit else None)
    write_bytes(path, png.getvalue())


def blank(width: float, height: float, layout: Literal["constrained"] | None = None) -> "Figure":
    """Return an empty figure without pyplot's global state. Only this function imports matplotlib, which is slow.

    Args:
      width: In inches.
      height: In inches.
      layout: A layout engine of matplotlib.
    """
    extras.require("report")
    own = home.at_home(".config/matplotlib")
    if "MPLCONFIGDIR" not in os.environ and (folder := home.kept(own, "matplotlib")) != own:
        os.environ["MPLCONFIGDIR"] = str(folder)  # without a home matplotlib fails, or warns
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def heading(title: str, width: float) -> tuple[str, float]:
    """Return a title in lines that fit a figure of some width, and how far down it reaches, both in inches."""
    lines = textwrap.wrap(title, int((width - 2 * MARGIN) * 10))
    return "\n".join(lines), MARGIN + LINE * len(lines)


def entitle(figure: "Figure", title: str) -> None:
    """Write a title that `heading` has wrapped at the top of a figure."""
    write(figure, MARGIN, MARGIN, title, va="top", fontsize=12, fontweight="bold")


def entitle_laid_out(figure: "Figure", title: str) -> None:
    """Write a title at the top left of a figure that matplotlib lays out, in the style of `entitle`."""
    figure.suptitle(title, x=MARGIN / figure.get_size_inches()[0], ha="left", fontsize=12, fontweight="bold")


def write(figure: "Figure", x: float, y: float, text: str, **style: Any) -> None:
    """Write text at (x, y), in inches; `style` is that of `Figure.text`."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, **style)


class Box(NamedTuple):
    """A rectangle of a figure: its top left corner and its size."""

    x: float
    y: float
    width: float
    height: float


def place(figure: "Figure", box: Box) -> "Axes":
    """Return new axes of a figure that fill a box."""
    width, height = figure.get_size_inches()
    bottom = 1 - (box.y + box.height) / height
    return figure.add_axes((box.x / width, bottom, box.width / width, box.height / height))


def ink(axes: "Axes", image: np.ndarray) -> None:
    """Draw an image without ticks: uint8 [H, W, C] with 0 for white paper; three channels are its colours."""
    axes.imshow(255 - np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=PALE, linewidth=0.8)


def plain(axes: "Axes", grid: Literal["both", "x", "y"] = "both") -> None:
    """Reduce the frame of axes to two spines, with a pale grid behind the data."""
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(axes: "Axes", columns: int = 1) -> None:
    """Place the legend below the axes, where it hides no data, with the chance level last."""
    labelled = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda pair: "chance" in pair[1])
    handles, labels = zip(*labelled, strict=True)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)}
    axes.legend(handles, labels, ncol=columns, frameon=False, fontsize=9, **place)


def chance(axes: "Axes", value: float, label: str) -> None:
    """Draw the dotted line of the chance level."""
    axes.axhline(value, color=GREY, linestyle=":", linewidth=1.5, label=label)


def spoken(name: str, width: int = 100) -> str:
    """Return a name with spaces for underscores, in lines of at most `width` letters."""
    return "\n".join(textwrap.wrap(printable(name).replace("_", " "), width))
