"""Ink: what is ink on any paper is found and brought to one scale, compared with how the pages were made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.images import ink

RNG = np.random.default_rng(0)
DRAWN = np.zeros((60, 60), bool)
DRAWN[15:45, 28:33] = DRAWN[15:20, 18:43] = True


def page(paper: float, inked: float, noise: float = 0.0, drawn: np.ndarray = DRAWN) -> np.ndarray:
    level = np.where(drawn, inked, paper)
    return np.clip(level + noise * np.random.default_rng(0).normal(size=drawn.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize(("paper", "inked"), [(1.0, 0.0), (0.8, 0.6), (0.3, 0.1), (0.9, 0.85), (1.0, 0.7)])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_ink_of_any_level_on_paper_of_any_level_becomes_full_ink(paper, inked, noise):
    light = page(paper, inked, noise)
    assert not ink.is_blank(light)
    assert not ink.is_light_on_dark(light)
    np.testing.assert_array_equal(ink.as_ink(light) > 0.5, DRAWN)
    assert ink.as_ink(light)[DRAWN].mean() > 0.85
    assert ink.as_ink(light)[~DRAWN].mean() < 0.01


@pytest.mark.parametrize(("paper", "inked"), [(0.0, 1.0), (0.2, 0.4), (0.6, 0.9)])
def test_light_ink_on_dark_paper_is_found(paper, inked):
    assert ink.is_light_on_dark(page(paper, inked, 0.01))


@pytest.mark.parametrize(("across", "down"), [(0.6, 0.0), (0.0, -0.6), (0.3, 0.3)])
def test_uneven_light_changes_neither_the_polarity_nor_the_ink(across, down):
    ramp = np.linspace(-0.5, 0.5, 60)
    light = page(0.9, 0.3) * (0.7 + across * ramp + down * ramp[:, None])
    light = light.astype(np.float32)
    assert not ink.is_light_on_dark(light)
    assert ink.is_light_on_dark(1 - light)
    np.testing.assert_array_equal(ink.as_ink(light) > 0.5, DRAWN)


def test_light_that_falls_towards_a_corner_leaves_most_of_the_page_dark_and_still_is_light_paper():
    fall = np.linspace(1, 0.35, 60)
    light = (page(0.9, 0.25) * fall * fall[:, None]).astype(np.float32)
    assert (light > ink.otsu(light)).mean() < 0.5  # so that most of the page would be taken for ink
    assert not ink.is_light_on_dark(light)
    np.testing.assert_array_equal(ink.as_ink(light) > 0.5, DRAWN)


def test_bold_ink_is_not_taken_for_paper_where_the_border_shows_paper():
    bold = np.zeros((60, 60), bool)
    bold[6:54, 6:54] = True  # 64 % of the page
    assert not ink.is_light_on_dark(page(1.0, 0.0, drawn=bold))
    assert ink.is_light_on_dark(page(0.0, 1.0, drawn=bold))


def test_a_clean_page_is_black_on_white_and_nothing_else():
    assert ink.is_clean(page(1.0, 0.0))
    assert ink.is_clean(page(0.98, 0.1, 0.01))
    for paper, inked in ((0.9, 0.0), (1.0, 0.3), (1.0, 1.0), (0.0, 0.0)):
        assert not ink.is_clean(page(paper, inked))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
def test_paper_and_noise_alone_are_blank(level, noise):
    assert ink.is_blank(page(level, level, noise))


def test_a_single_dark_pixel_is_a_drawing():
    light = np.ones((105, 105), np.float32)
    light[50, 50] = 0
    assert ink.is_clean(light)
    assert ink.box_of(1 - light) == (50, 51, 50, 51)


def test_the_threshold_is_where_the_classes_differ_most():
    values = np.concatenate([RNG.normal(0.2, 0.02, 300), RNG.normal(0.7, 0.03, 700)])
    found = ink.otsu(values)

    def between(threshold):
        above = values > threshold
        return above.mean() * (1 - above.mean()) * (values[above].mean() - values[~above].mean()) ** 2

    assert between(found) == pytest.approx(max(between(t) for t in np.linspace(0.21, 0.69, 200)), rel=1e-3)
    assert ink.otsu(np.full(5, 0.3)) == pytest.approx(0.3)


def test_the_box_holds_all_ink_except_dust():
    drawing = np.where(DRAWN, 0.9, 0.0).astype(np.float32)
    assert ink.box_of(drawing) == (15, 45, 18, 43)
    assert ink.box_of(drawing).longer_side == 30
    drawing[3, 3] = 1  # 1 of 251 pixels
    assert ink.box_of(drawing) == (15, 45, 18, 43)
    drawing[50:52, 50:52] = 1  # a dot is no dust
    assert ink.box_of(drawing) == (15, 52, 18, 52)


def test_a_framed_drawing_has_the_longer_side_of_omniglots():
    drawing = DRAWN.astype(np.float32)
    square = ink.framed(drawing, ink.box_of(drawing))
    assert square.shape == (47, 47)
    assert ink.box_of(square).longer_side / 47 == pytest.approx(ink.LONGER_SIDE, abs=0.01)
    np.testing.assert_array_equal(square[8:38, 11:36], drawing[15:45, 18:43])
    assert square.sum() == drawing.sum()


SIDES = st.integers(1, 9) | st.integers(60, 300)


@given(SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_pages_of_any_size_are_measured(height, width, seed):
    light = np.random.default_rng(seed).random((height, width), np.float32)
    found = ink.as_ink(light)
    assert (found.dtype, found.shape) == (np.float32, (height, width))
    assert 0 <= found.min() <= found.max() <= 1
    assert isinstance(ink.is_light_on_dark(light), bool)
    assert isinstance(ink.is_blank(light), bool)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4)), np.zeros((4, 4, 1), np.float32)])
def test_other_arrays_are_refused(wrong):
    for function in (ink.is_blank, ink.is_clean, ink.is_light_on_dark, ink.as_ink, ink.box_of):
        with pytest.raises(AssertionError):
            function(wrong)


def test_how_far_a_drawing_is_from_the_middle_is_a_share_of_the_page():
    assert ink.Box(10, 20, 0, 40).off_centre(30, 40) == 0
    assert ink.Box(0, 10, 0, 40).off_centre(40, 40) == pytest.approx(15 / 40)
    assert ink.Box(15, 25, 30, 40).off_centre(40, 40) == pytest.approx(15 / 40)
