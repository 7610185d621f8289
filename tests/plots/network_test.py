"""What the network sees and has learned is drawn as it is."""

import numpy as np
import pytest
from pictures import assert_readable

from siamese_jax.plots import distortions_figure, filters_figure, units_figure

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 6), dtype=np.uint8)


def test_each_row_is_an_original_followed_by_its_copies_black_on_white():
    figure = distortions_figure(IMAGES[..., None])
    for axes, image in zip(figure.axes, IMAGES.reshape(-1, 6, 6), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), 255 - image)
    places = np.array([axes.get_position().p0 for axes in figure.axes]).reshape(3, 5, 2)
    assert np.ptp(places[:, :, 1], axis=1).max() == 0
    assert (np.diff(places[0, :, 0]) > 0).all()
    assert places[0, 1, 0] - places[0, 0, 0] > places[0, 2, 0] - places[0, 1, 0]  # the original stands apart


@pytest.mark.parametrize(("rows", "copies"), [(1, 0), (1, 8), (6, 1), (6, 8)])
def test_the_words_beside_distortions_are_readable(rows, copies):
    assert_readable(distortions_figure(np.zeros((rows, 1 + copies, 4, 4, 1), np.uint8)))


def test_filters_are_drawn_on_one_scale_that_is_symmetric_about_zero():
    kernel = np.random.default_rng(0).normal(size=(4, 3, 1, 32))
    kernel[0, 0, 0, 5] = -7
    *grid, bar = filters_figure(kernel, "stem").axes
    for i, axes in enumerate(grid):
        np.testing.assert_array_equal(axes.images[0].get_array(), kernel[:, :, 0, i])
        assert axes.images[0].get_clim() == (-7, 7)
    assert len(grid) == 32
    assert bar.figure.texts[0].get_text() == "stem: 32 filters of 4×3"
    assert bar.get_ylim() == (-7, 7)


def test_filters_of_colour_images_are_drawn_in_the_colours_of_ink():
    kernel = np.zeros((2, 2, 3, 2))
    kernel[0, 0, :, 0], kernel[0, 1, 0, 0] = 2.0, -2.0
    first, second, _ = filters_figure(kernel, "stem").axes
    black, light_red, grey = [0, 0, 0], [1, 0.5, 0.5], [0.5, 0.5, 0.5]
    np.testing.assert_allclose(first.images[0].get_array(), [[black, light_red], [grey, grey]])
    np.testing.assert_allclose(second.images[0].get_array(), [[grey, grey], [grey, grey]])


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (16, 4), (32, 8), (64, 8), (7, 4), (256, 16)])
def test_filters_stand_in_a_full_grid_and_their_words_are_readable(count, columns):
    figure = filters_figure(np.zeros((10, 10, 1, count)), "conv1")
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes[:-1]}) == columns
    assert_readable(figure)


def decision(right=(-4.0, 1.0, 0.0, -0.5), wrong=(-1.0, -3.0, 0.0, -0.5), title="One decision", p_same=True):
    return units_figure(np.array(right), np.array(wrong), *IMAGES[0, :3], bias=2.0, title=title, p_same=p_same)


def test_a_decision_shows_its_images_with_logits_that_are_the_terms_and_the_bias():
    figure = decision()
    for axes, image in zip(figure.axes, IMAGES[0, :3], strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), 255 - image)
    said = [axes.get_xlabel() for axes in figure.axes[:3]]
    assert said == ["query", "right: p = 0.182\nlogit −1.50", "wrong: p = 0.076\nlogit −2.50"]


def test_without_p_same_a_decision_shows_logits_alone():
    said = [axes.get_xlabel() for axes in decision(p_same=False).axes[:3]]
    assert said == ["query", "right\nlogit −1.50", "wrong\nlogit −2.50"]


def test_terms_are_sorted_for_each_support():
    right, wrong = decision().axes[3].lines[:2]
    np.testing.assert_array_equal(right.get_ydata(), [-4, -0.5, 0, 1])
    np.testing.assert_array_equal(wrong.get_ydata(), [-3, -1, -0.5, 0])
    assert right.get_linestyle() != wrong.get_linestyle()


def test_the_lead_adds_up_from_the_units_that_differ_most_to_the_difference_of_the_logits():
    lead = decision().axes[4].lines[0]
    np.testing.assert_array_equal(lead.get_xydata(), [(0, 0), (1, 4), (2, 1), (3, 1), (4, 1)])
    assert lead.get_label() == "lead of the right support, in the end +1.00"


def test_it_is_told_how_few_units_make_half_and_nine_tenths_of_the_differences():
    lines = {line.get_label(): line.get_xdata()[0] for line in decision().axes[4].lines}
    assert lines["1 of 4 units give half of all differences"] == 1  # 4 of 7
    assert lines["2 of 4 units give nine tenths of all differences"] == 2


def test_two_equal_supports_need_no_unit():
    figure = decision(right=(1.0, 2.0), wrong=(1.0, 2.0))
    assert "0 of 2 units give half of all differences" in [line.get_label() for line in figure.axes[4].lines]


@pytest.mark.parametrize("units", [4, 4096])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_words_beside_a_decision_are_readable(units, size):
    right, wrong = size * np.random.default_rng(0).normal(size=(2, units))
    assert_readable(decision(right, wrong, "omniglot_20way: a trial of Old Church Slavonic (Cyrillic) " * 3))
