import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.distort import IDENTITY, Affine, apply_affine, draw_affine, forward_matrix
from siamese_jax.keys import root_key
from siamese_jax.specs import DistortSpec

SPEC = DistortSpec()
IMAGE = np.random.default_rng(0).random((31, 27)).astype(np.float32)


def draw_many(count: int, spec: DistortSpec = SPEC) -> Affine:
    drawn = jax.vmap(lambda key: draw_affine(key, spec))(jax.random.split(root_key(0), count))
    return Affine(*map(np.asarray, drawn))


@given(st.integers(0, 10_000))
def test_a_warp_agrees_with_scipy(seed):
    affine = draw_affine(root_key(seed), SPEC)
    # scipy works in (row, column); its matrix, too, takes output to input.
    pull = np.linalg.inv(np.asarray(forward_matrix(affine), np.float64)[::-1, ::-1])
    centre = (np.array(IMAGE.shape) - 1) / 2
    shift = np.array([affine.shift_y, affine.shift_x], np.float64)
    expected = scipy.ndimage.affine_transform(
        IMAGE, pull, centre - pull @ (centre + shift), order=1, mode="grid-constant", cval=0.0
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
