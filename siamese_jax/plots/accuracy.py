"""One-shot accuracy: by the number of ways, by group, and of several runs beside published figures.

Accuracies of results are in [0, 1]; pictures show per cent.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import chex
import numpy as np

from siamese_jax.plots.style import (
    BLUE,
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    SKY,
    blank,
    entitle_laid_out,
    legend_below,
    plain,
    spoken,
)
from siamese_jax.results import Interval, OneShot, OneShotResult, Words, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def n_way_figure(by_run: Mapping[str, OneShot]) -> "Figure":
    """Plot accuracy against the number of ways, a line per run and k_shot, with 95 % intervals and the chance level.

    Args:
      by_run: The one-shot results of each run, by its label. Those named `5_way_1_shot` and the like are plotted.

    Raises:
      ValueError: No run has any of them.
    """
    grids = {label: _grid(one_shot) for label, one_shot in by_run.items()}
    ways = sorted({n_way for grid in grids.values() for line in grid.values() for n_way in line})
    if not ways:
        raise ValueError(f"no results by n_way in {', '.join(by_run) or 'no run'}")
    shots = sorted({k_shot for grid in grids.values() for k_shot in grid})
    several = len(grids) > 1
    figure = blank(7.5, 4.8 + 0.18 * sum(map(len, grids.values())), layout="constrained")
    axes = figure.subplots()
    for run, (label, grid) in enumerate(grids.items()):
        for k_shot, line in grid.items():
            accuracy = 100 * np.array([part.accuracy for part in line.values()])
            bounds = 100 * np.array([part.ci95 for part in line.values()]).T
            shot = shots.index(k_shot)
            sign = run if several else shot
            axes.errorbar(
                list(line),
                accuracy,
                yerr=np.abs(bounds - accuracy),
                color=COLOURS[sign % len(COLOURS)],
                marker=MARKERS[sign % len(MARKERS)],
                markerfacecolor="white" if shot else None,
                linestyle=LINES[shot % len(LINES)],
                markersize=6,
                capsize=4,
                label=f"{label}: {_shots(k_shot, line)}" if several else _shots(k_shot, line),
            )
    n = np.linspace(ways[0], ways[-1], 100)
    axes.plot(n, 100 / n, color=GREY, linestyle=":", linewidth=1.5, label="chance level: 1/n")
    entitle_laid_out(figure, "One-shot accuracy, with 95 % intervals")
    axes.set(xticks=ways, ylim=(0, 102))
    axes.set(xlabel="n: classes to choose from", ylabel="right answers (%)")
    plain(axes)
    legend_below(axes)
    return figure


def groups_figure(one_shot: OneShot, words: Words) -> "Figure":
    """Plot the one-shot accuracy of each group, a panel of bars per number of ways.

    Groups are sorted by their accuracy in the task with the most ways, the best on top.

    Args:
      one_shot: Results by protocol. Those named `5_way_1_shot` and the like are plotted.
      words: What the data source calls a group.

    Raises:
      ValueError: There are none of them.
    """
    panels = _grid(one_shot).get(1, {})
    if not panels:
        raise ValueError(f"no one-shot results by n_way in {', '.join(one_shot) or 'no results'}")
    hardest = panels[max(panels)].by_group
    names = sorted(hardest, key=lambda name: (-hardest[name].accuracy, name))
    figure = blank(2.6 + 1.7 * len(panels), 1.9 + 0.33 * len(names))
    # So that a value stands nearer to its own bar than to the next panel.
    figure.set_layout_engine("constrained", wspace=0.1, w_pad=0.12)
    entitle_laid_out(figure, f"One-shot accuracy on each test {words.group}")
    for axes, (n_way, part) in zip(np.ravel(figure.subplots(1, len(panels), sharey=True)), panels.items(), strict=True):
        of_group = [part.by_group[name] for name in names]
        percent = [100 * one.accuracy for one in of_group]
        axes.barh(range(len(names)), percent, height=0.72, color=SKY)
        for place, value in enumerate(percent):
            axes.text(132, place, f"{value:.1f}", ha="right", va="center", fontsize=9)
        axes.axvline(
            100 * part.accuracy,
            color="black",
            linestyle="--",
            linewidth=1.2,
            label=f"all {plural(words.group)}",
            clip_on=False,  # a line at 100 is as wide as others
        )
        axes.axvline(100 / n_way, color="black", linestyle=":", linewidth=1.5, label="chance level: 1/n")
        axes.set_title(f"{n_way}-way: {100 * part.accuracy:.1f} %", fontsize=11)
        axes.set_xlabel(f"right answers (%)\n{_trials([one.trials for one in of_group])} trials each", fontsize=9)
        axes.set(xlim=(0, 100), xticks=[0, 50, 100])
        axes.tick_params(axis="y", length=0)
        plain(axes, grid="x")
    first = figure.axes[0]
    first.set_yticks(range(len(names)), [spoken(name, 22) for name in names], fontsize=9)
    first.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncol=2, frameon=False, fontsize=9)
    return figure


def comparison_figure(
    labels: Sequence[str],
    accuracies: Sequence[float],
    intervals: Sequence[Interval],
    published: Mapping[str, float],
    title: str = "20-way one-shot on the official runs",
) -> "Figure":
    """Plot runs as bars with 95 % intervals among hatched bars of published figures, the best on top.

    Args:
      labels: Names of the runs.
      accuracies: Their accuracies, in [0, 1].
      intervals: Their intervals, in [0, 1].
      published: Published accuracies in per cent, by who reached them.
      title: The title.
    """
    chex.assert_equal(len(labels), len(accuracies))
    chex.assert_equal(len(labels), len(intervals))
    ours = [(100 * a, label, i) for a, label, i in zip(accuracies, labels, intervals, strict=True)]
    rows = sorted([*ours, *((a, who, None) for who, a in published.items())], key=lambda row: -row[0])
    figure = blank(8.5, 1.5 + 0.38 * len(rows), layout="constrained")
    axes = figure.subplots()
    measured: dict[str, Any] = {"color": BLUE}
    printed: dict[str, Any] = {"facecolor": "white", "edgecolor": GREY, "hatch": "////"}
    named = set()
    for place, (percent, _, interval) in enumerate(rows):
        word = "published" if interval is None else "measured, with 95 % interval"
        # The legend names each kind once: matplotlib leaves out labels that begin with an underscore.
        label = f"_{word}" if word in named else word
        named.add(word)
        axes.barh(place, percent, height=0.68, label=label, **(printed if interval is None else measured))
        said = f"{percent:.1f}"
        if interval is not None:
            low, high = (100 * bound for bound in interval)
            reach = [[max(0, percent - low)], [max(0, high - percent)]]
            axes.errorbar(percent, place, xerr=reach, color="black", capsize=4, linewidth=1.5)
            said += f"  ({low:.1f}–{high:.1f})"
        weight = "normal" if interval is None else "bold"
        axes.text(102, place, said, va="center", fontsize=10, fontweight=weight)
    axes.set_yticks(range(len(rows)), [textwrap.fill(label, 34) for _, label, _ in rows])
    for tick, (_, _, interval) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("normal" if interval is None else "bold")
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6), xlabel="right answers (%)")
    entitle_laid_out(figure, title)
    plain(axes, grid="x")
    figure.legend(loc="outside lower center", ncol=2, frameon=False, fontsize=9)
    return figure


def _grid(one_shot: OneShot) -> dict[int, dict[int, OneShotResult]]:
    """Return the results that are named by their ways and shots: {k_shot: {n_way: result}}, both rising."""
    grid: dict[int, dict[int, OneShotResult]] = {}
    for part in sorted(
        (part for name, part in one_shot.items() if name == f"{part.card.n_way}_way_{part.card.k_shot}_shot"),
        key=lambda part: (part.card.k_shot, part.card.n_way),
    ):
        grid.setdefault(part.card.k_shot, {})[part.card.n_way] = part
    return grid


def _shots(k_shot: int, line: Mapping[int, OneShotResult]) -> str:
    return f"{k_shot}-shot ({_trials([part.card.trials for part in line.values()])} trials each)"


def _trials(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
