"""Reliability is drawn as it was measured."""

import dataclasses

import numpy as np
import pytest
from example_results import DECISIONS
from pictures import assert_readable

from siamese_jax.plots import reliability_figure
from siamese_jax.plots.decisions import shown_gallery


def test_bins_are_drawn_in_per_cent_before_and_after():
    pairs, choices = reliability_figure(DECISIONS, 20).axes
    for axes, part in ((pairs, DECISIONS.pairs), (choices, DECISIONS.galleries[1])):
        for line, measured in zip(axes.lines[1:], (part.before, part.after), strict=True):
            bins = measured.reliability
            np.testing.assert_allclose(line.get_xydata(), 100 * np.array([bins.probabilities, bins.shares]).T)
        small, large = axes.collections[0].get_sizes()[[1, 0]]  # 40 and 60 of 100
        assert 0 < small < large


def test_the_legend_has_the_calibration_errors():
    said = [text.get_text() for text in reliability_figure(DECISIONS, 20).axes[0].get_legend().get_texts()]
    assert said == [
        "sigmoid of the score: ECE 40.0 % (20.0–80.0)",
        "Platt scaling: ECE 2.0 % (1.0–4.0)",
    ]


@pytest.mark.parametrize(("n_way", "classes"), [(2, 5), (5, 5), (9, 5), (11, 20), (1000, 20)])
def test_the_galleries_of_the_nearest_size_are_shown(n_way, classes):
    assert shown_gallery(DECISIONS, n_way).classes == classes
    assert f"among {classes} classes" in reliability_figure(DECISIONS, n_way).axes[1].get_title()


def test_the_words_are_readable_also_where_one_bin_holds_everything():
    assert_readable(reliability_figure(DECISIONS, 20))
    bins = dataclasses.replace(DECISIONS.pairs.before.reliability, counts=(9.0,), probabilities=(0.0,), shares=(0.5,))
    before = dataclasses.replace(DECISIONS.pairs.before, reliability=bins)
    assert_readable(
        reliability_figure(dataclasses.replace(DECISIONS, pairs=dataclasses.replace(DECISIONS.pairs, before=before)), 5)
    )
