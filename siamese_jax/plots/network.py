"""What the network sees and has learned: distorted images, the filters of the first layer, and its units."""

import math
from typing import TYPE_CHECKING

import chex
import numpy as np
from scipy.special import expit

from siamese_jax.plots.style import BLUE, GREY, MARGIN, ORANGE, Box, blank, entitle, heading, ink, place, plain, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def distortions_figure(images: np.ndarray, title: str = "Affine distortions") -> "Figure":
    """Plot originals and their distorted copies, one image per row (paper, figure 5).

    Args:
      images: uint8 [n, 1 + copies, H, W], the original first.
      title: The title.
    """
    chex.assert_rank(images, 5)
    count, columns = images.shape[:2]
    side, step, gap = 0.85, 0.95, 0.2
    width = max(2 * MARGIN + columns * step + gap, 3.5)
    title, top = heading(title, width)
    top += 0.4
    figure = blank(width, top + count * step + 0.1)
    entitle(figure, title)
    write(figure, MARGIN, top - 0.1, "original", fontsize=10, va="bottom")
    if columns > 1:
        write(figure, MARGIN + step + gap, top - 0.1, "distorted copies", fontsize=10, va="bottom")
    for row, shown in enumerate(images):
        for column, image in enumerate(shown):
            ink(place(figure, Box(MARGIN + column * step + gap * (column > 0), top + row * step, side, side)), image)
    return figure


def filters_figure(kernel: np.ndarray, layer: str) -> "Figure":
    """Plot the filters of a first layer in a grid, on one grey scale that is symmetric about 0 (paper, figure 6).

    Args:
      kernel: Weights [h, w, C, F] of grey or colour images. Dark is positive: ink there raises the output.
      layer: Name of the layer.
    """
    chex.assert_shape(kernel, (None, None, {1, 3}, None))
    height, width, channels, count = kernel.shape
    # As many columns as leave the fewest places of the last row empty, in a grid that is not taller than wide.
    columns = min(range(math.isqrt(count - 1) + 1, 2 * math.isqrt(count) + 1), key=lambda c: (-count % c, c))
    rows = math.ceil(count / columns)
    side, step, bar = 0.55, 0.62, 0.9
    title = f"{layer}: {count} filter{'s'[: count != 1]} of {height}×{width}"
    across = max(2 * MARGIN + columns * step + bar, 4.5)
    title, below_title = heading(title, across)
    top = below_title + 0.4
    body = max(rows * step - (step - side), 2.0)
    figure = blank(across, top + body + MARGIN)
    entitle(figure, title)
    write(
        figure,
        MARGIN,
        top - 0.12,
        "one scale for all; ink raises the output where dark",
        fontsize=9,
        va="bottom",
    )
    reach = float(np.abs(kernel).max()) or 1.0
    for i in range(count):
        row, column = divmod(i, columns)
        axes = place(figure, Box(MARGIN + column * step, top + row * step, side, side))
        weights = kernel[:, :, 0, i] if channels == 1 else 0.5 - kernel[:, :, :, i] / (2 * reach)
        image = axes.imshow(weights, cmap="gray_r", vmin=-reach, vmax=reach, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=GREY, linewidth=0.6)
    scale = place(figure, Box(MARGIN + columns * step + 0.15, top, 0.15, body))
    figure.colorbar(image, cax=scale, ticks=[-reach, 0, reach], format="%.2g")
    scale.tick_params(labelsize=9)
    scale.set_ylabel("weight", fontsize=9)
    return figure


def units_figure(
    right: np.ndarray,
    wrong: np.ndarray,
    query: np.ndarray,
    right_image: np.ndarray,
    wrong_image: np.ndarray,
    bias: float,
    title: str = "One decision, unit by unit",
    p_same: bool = True,
) -> "Figure":
    """Plot what each unit of the embedding adds to the logits of two supports, and how few units decide between them.

    Left: the terms of each support, sorted. Right: the cumulative lead of the right support, starting with the units
    that differ most. The lead ends at the difference of the logits. Two vertical lines show how many units give half
    and nine tenths of the sum of absolute differences.

    Args:
      right: Terms α_j |query_j − support_j| [D] of the right support (paper, section 3.1). Their sum and `bias` make
        its logit.
      wrong: Terms [D] of the wrong support with the highest score.
      query: Image, uint8 [H, W, C].
      right_image: Image of the right support.
      wrong_image: Image of the wrong support.
      bias: Bias of the logit.
      title: The title.
      p_same: Whether the network was trained on p(same), so that the sigmoid of a logit is p(same).
    """
    right, wrong = np.asarray(right, float), np.asarray(wrong, float)
    chex.assert_rank([right, wrong], 1)
    chex.assert_equal_shape([right, wrong])
    logits = {"right": right.sum() + bias, "wrong": wrong.sum() + bias}
    p = {word: f": p = {expit(logit):.3f}" if p_same else "" for word, logit in logits.items()}
    words = {word: f"{word}{p[word]}\nlogit {_signed(logit)}" for word, logit in logits.items()}
    side, panel = 1.25, (3.9, 3.5)
    title, top = heading(title, 11.4)
    top += 0.45
    figure = blank(11.4, top + 5.0)
    entitle(figure, title)
    # Frames have the colours and dashes of the curves.
    shown = (
        (query, "query", {}),
        (right_image, words["right"], {"color": BLUE, "linewidth": 2.5}),
        (wrong_image, words["wrong"], {"color": ORANGE, "linewidth": 2.5, "linestyle": (0, (4, 2))}),
    )
    for i, (image, word, frame) in enumerate(shown):
        axes = place(figure, Box(MARGIN + 0.1, top + 1.7 * i - 0.2 * (i > 0), side, side))
        ink(axes, image)
        axes.spines[:].set(**frame)
        axes.set_xlabel(word, fontsize=10, labelpad=4)

    units = np.arange(1, len(right) + 1)
    terms = place(figure, Box(2.6, top, *panel))
    terms.plot(units, np.sort(right), color=BLUE, label="right support")
    terms.plot(units, np.sort(wrong), color=ORANGE, linestyle="--", label="wrong support")
    terms.axhline(0, color=GREY, linestyle=":", linewidth=1.5)
    terms.set_title("Each unit's term of the logit, sorted", fontsize=11)
    terms.set(xlabel="unit, sorted for each support", ylabel="term of the logit (below 0: “different”)")

    difference = right - wrong
    order = np.argsort(-np.abs(difference), kind="stable")
    lead = np.concatenate([[0.0], np.cumsum(difference[order])])
    gain = place(figure, Box(7.3, top, *panel))
    gain.plot(
        np.arange(len(lead)), lead, color="black", label=f"lead of the right support, in the end {_signed(lead[-1])}"
    )
    gain.axhline(0, color=GREY, linestyle=":", linewidth=1.5)
    share = np.cumsum(np.abs(difference[order]))
    for part, line, word in ((0.5, "--", "half"), (0.9, "-.", "nine tenths")):
        needed = int(np.searchsorted(share, part * share[-1])) + 1 if share[-1] else 0
        label = f"{needed:,} of {len(right):,} units give {word} of all differences"
        gain.axvline(needed, color=GREY, linestyle=line, linewidth=1.2, label=label)
    gain.set_title("Cumulative lead, unit by unit", fontsize=11)
    gain.set(xlabel="units added, those that differ most first", ylabel="lead in logit (above 0: right choice)")
    for axes in (terms, gain):
        plain(axes)
        axes.set_xlim(0, len(right))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    return figure


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
