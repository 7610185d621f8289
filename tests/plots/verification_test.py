"""The two errors are drawn where they were measured."""

import dataclasses

import numpy as np
import pytest
from example_results import RESULTS
from pictures import assert_readable
from scipy.special import ndtr

from siamese_jax.plots import roc_figure
from siamese_jax.results import Roc

ACCEPTED = [0.0, 0.001, 0.01, 0.1, 0.5, 1.0]
TRUE = [0.0, 0.2, 0.6, 0.9, 1.0, 1.0]


def part(accepted=ACCEPTED, true=TRUE, equal=0.1, worst=0.8):
    """Verification of a run; `worst` is the false-reject rate of the second operating point."""
    one = RESULTS.verification.test
    points = tuple(
        dataclasses.replace(
            one.operating_points[0],
            false_accept_rate=wanted,
            measured_false_accept_rate=measured,
            true_accept_rate=1 - refused,
            false_reject_rate=refused,
        )
        for wanted, measured, refused in ((0.01, 0.009, 0.4), (0.001, 0.0008, worst))
    )
    roc = Roc(false_accept_rate=tuple(accepted), true_accept_rate=tuple(true))
    return dataclasses.replace(one, roc=roc, auc=0.9512, equal_error_rate=equal, operating_points=points)


def test_the_roc_is_drawn_in_per_cent_and_its_area_is_told():
    figure = roc_figure({"run": part()})
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), 100 * np.array([ACCEPTED, TRUE]).T)
    said = figure.legends[0].get_texts()[0].get_text()
    assert said == (
        "run\nAUC 0.9512; equal error rate 10.00 %\n"
        "threshold chosen for 1 % on validation: 0.9 % false accepts, 40.0 % false rejects\n"
        "threshold chosen for 0.1 % on validation: 0.1 % false accepts, 80.0 % false rejects"
    )


def test_the_det_curve_is_on_normal_deviates_without_what_is_infinitely_far():
    curve = roc_figure({"run": part()}).axes[1].lines[0]
    drawn = ndtr(curve.get_xydata())
    np.testing.assert_allclose(drawn[1:4], [(0.001, 0.8), (0.01, 0.4), (0.1, 0.1)])
    assert np.isnan(drawn[[0, 4, 5]]).any(axis=1).all()


def test_the_equal_errors_and_operating_points_are_where_they_were_measured():
    marks = {line.get_label(): ndtr(line.get_xydata()[0]) for line in roc_figure({"run": part()}).axes[1].lines[1:4]}
    assert list(marks) == ["equal error rate", "threshold chosen for 1 %", "threshold chosen for 0.1 %"]
    np.testing.assert_allclose(list(marks.values()), [(0.1, 0.1), (0.009, 0.4), (0.0008, 0.8)])


def test_ticks_of_the_det_curve_are_per_cent_where_they_say():
    axis = roc_figure({"run": part()}).axes[1].xaxis
    said = [float(label.get_text()) for label in axis.get_ticklabels()]
    np.testing.assert_allclose(100 * ndtr(axis.get_majorticklocs()), said)


@pytest.mark.parametrize("worst", [0.05, 0.8, 1.0])
def test_all_operating_points_that_can_be_drawn_are_within_the_axes(worst):
    axes = roc_figure({"run": part(worst=worst)}).axes[1]
    for line in axes.lines[1:4]:
        y = line.get_ydata()[0]
        assert np.isnan(y) or axes.get_ylim()[0] <= y <= axes.get_ylim()[1]
    assert np.isnan(axes.lines[3].get_ydata()[0]) == (worst == 1)


@pytest.mark.parametrize("runs", [1, 2, 6])
@pytest.mark.parametrize("worst", [0.3, 0.9, 1.0])
def test_the_words_are_readable(runs, worst):
    parts = {f"omniglot_20way_with_a_rather_long_name, seed {i}": part(worst=worst) for i in range(runs)}
    assert_readable(roc_figure(parts))


def test_a_perfect_network_can_be_drawn():
    run = dataclasses.replace(part([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], equal=0.0), operating_points=())
    assert_readable(roc_figure({"run": run}))
