import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.images.distort import (
    IDENTITY,
    Affine,
    Warp,
    apply_affine,
    apply_warp,
    forward_matrix,
    sample_affine,
    sample_warp,
    turned,
    without,
)
from siamese_jax.keys import root_key
from siamese_jax.specs import DistortSpec

SPEC = DistortSpec()
IMAGE = np.random.default_rng(0).random((31, 27, 3)).astype(np.float32)


def each_channel(resample) -> np.ndarray:
    """Applies a function of [H, W] to every channel of IMAGE."""
    return np.stack([resample(IMAGE[..., channel]) for channel in range(3)], axis=-1)


def draw_many(count: int, spec: DistortSpec = SPEC) -> Affine:
    drawn = jax.vmap(lambda key: sample_affine(key, spec))(jax.random.split(root_key(0), count))
    return Affine(*map(np.asarray, drawn))


@given(st.integers(0, 10_000))
def test_a_warp_agrees_with_scipy(seed):
    affine = sample_affine(root_key(seed), SPEC)
    # scipy works in (row, column); its matrix, too, takes output to input.
    pull = np.linalg.inv(np.asarray(forward_matrix(affine), np.float64)[::-1, ::-1])
    centre = (np.array(IMAGE.shape[:2]) - 1) / 2
    shift = np.array([affine.shift_y, affine.shift_x], np.float64)
    outside = {"order": 1, "mode": "grid-constant", "cval": 0.0}
    expected = each_channel(
        lambda plane: scipy.ndimage.affine_transform(plane, pull, centre - pull @ (centre + shift), **outside)
    )
    np.testing.assert_allclose(apply_affine(jnp.asarray(IMAGE), affine), expected, atol=2e-4)


def test_the_identity_changes_no_pixel():
    np.testing.assert_array_equal(apply_affine(jnp.asarray(IMAGE), IDENTITY), IMAGE)


def test_a_point_is_scaled_then_sheared_then_turned():
    affine = Affine(rotation=30.0, shear_x=0.2, shear_y=-0.1, scale_x=1.1, scale_y=0.9)
    x, y = 3.0, -2.0
    x, y = 1.1 * x, 0.9 * y
    x, y = x + 0.2 * y, y - 0.1 * x
    turned = (x + 1j * y) * np.exp(1j * np.pi / 6)
    np.testing.assert_allclose(forward_matrix(affine) @ np.array([3.0, -2.0]), [turned.real, turned.imag], rtol=1e-5)


def test_a_shift_moves_right_and_down_and_brings_in_paper():
    moved = np.asarray(apply_affine(jnp.asarray(IMAGE), Affine(shift_x=2.0, shift_y=1.0)))
    np.testing.assert_allclose(moved[1:, 2:], IMAGE[:-1, :-2], atol=1e-6)
    assert (moved[:1] == 0).all()
    assert (moved[:, :2] == 0).all()


def test_a_quarter_turn_turns_clockwise():
    square = jnp.asarray(IMAGE[:25, :25])
    turned = apply_affine(square, Affine(rotation=90.0))
    np.testing.assert_allclose(turned, np.rot90(square, -1), atol=1e-4)


def test_every_component_stays_in_its_range_and_is_included_half_the_time():
    drawn = draw_many(4000)
    reach = [10.0, 0.3, 0.3, 0.2, 0.2, 2.0, 2.0]
    for value, plain, limit in zip(drawn, IDENTITY, reach, strict=True):
        offset = value - plain
        assert abs(offset).max() <= limit + 1e-6
        assert abs(np.mean(abs(offset) > 1e-7) - 0.5) < 0.04
        included = offset[abs(offset) > 1e-7]
        assert abs(included.mean()) < 0.06 * limit
        assert abs(included.std() - limit / np.sqrt(3)) < 0.05 * limit


def test_components_are_drawn_independently_of_each_other():
    values = np.stack(draw_many(4000))
    correlation = np.corrcoef(values) - np.eye(7)
    assert abs(correlation).max() < 0.06


def test_probability_zero_is_the_identity():
    drawn = draw_many(10, DistortSpec(probability=0.0))
    for value, plain in zip(drawn, IDENTITY, strict=True):
        np.testing.assert_array_equal(value, np.float32(plain))


BENT = DistortSpec(elastic=1.5, elastic_scale=8)


def test_a_bend_displaces_what_the_affine_map_pulls_by_the_points_filled_up_cubically():
    warp = sample_warp(root_key(3), DistortSpec(probability=1.0, elastic=1.5, elastic_scale=8), IMAGE.shape[:2])
    pull = np.linalg.inv(np.asarray(forward_matrix(warp.affine), np.float64)[::-1, ::-1])
    centre = (np.array(IMAGE.shape[:2]) - 1) / 2
    shift = np.array([warp.affine.shift_y, warp.affine.shift_x], np.float64)
    places = np.stack(np.meshgrid(*map(np.arange, IMAGE.shape[:2]), indexing="ij"), axis=-1)
    source = (places - centre - shift) @ pull.T + centre

    def cubic(points: np.ndarray, count: int) -> np.ndarray:
        """Keys's kernel, a = -1/2, over points at the centres of equal cells; what is outside counts for nothing."""
        rows = []
        for x in (np.arange(count) + 0.5) * points / count - 0.5:
            t = abs(x - np.arange(points))
            near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
            weights = np.where(t <= 1, near, np.where(t < 2, far, 0))
            rows.append(weights / weights.sum())
        return np.array(rows)

    bend = np.asarray(warp.bend, np.float64)
    down, across = cubic(bend.shape[1], IMAGE.shape[0]), cubic(bend.shape[2], IMAGE.shape[1])
    source = source + np.stack([down @ part @ across.T for part in bend], axis=-1)
    outside = {"order": 1, "mode": "grid-constant", "cval": 0.0}
    expected = each_channel(lambda plane: scipy.ndimage.map_coordinates(plane, np.moveaxis(source, -1, 0), **outside))
    np.testing.assert_allclose(apply_warp(jnp.asarray(IMAGE), warp), expected, atol=5e-4)
    assert abs(source - places).max() > 1


def test_a_bend_has_the_deviation_that_was_asked_for_and_is_included_half_the_time():
    bends = np.asarray(jax.vmap(lambda key: sample_warp(key, BENT, (40, 48)).bend)(jax.random.split(root_key(0), 2000)))
    assert bends.shape == (2000, 2, 5, 6)
    included = bends.any(axis=(1, 2, 3))
    assert abs(included.mean() - 0.5) < 0.04
    assert abs(bends[included].std() - 1.5) < 0.03
    assert not bends[~included].any()


def test_the_affine_part_is_the_same_with_and_without_a_bend():
    for seed in range(5):
        plain, bent = (sample_warp(root_key(seed), spec, (31, 27)) for spec in (SPEC, BENT))
        assert plain.bend is None
        np.testing.assert_array_equal(np.array(plain.affine), np.array(bent.affine))
        np.testing.assert_array_equal(np.array(plain.affine), np.array(sample_affine(root_key(seed), SPEC)))


def test_a_quarter_turn_comes_after_the_distortion_and_none_is_the_identity():
    square = jnp.asarray(IMAGE[:25, :25])
    warp = sample_warp(root_key(1), BENT, (25, 25))
    still = without(warp, jnp.array(True))
    for quarters in range(4):
        np.testing.assert_allclose(apply_warp(square, turned(still, quarters)), np.rot90(square, -quarters), atol=3e-4)
    np.testing.assert_array_equal(apply_warp(square, without(warp, jnp.array(False))), apply_warp(square, warp))
    fixed = Warp(Affine(scale_x=0.8, shear_x=0.2))
    once = np.rot90(apply_warp(square, fixed), -1)
    np.testing.assert_allclose(apply_warp(square, turned(fixed, 1)), once, atol=3e-4)
