"""Changes of colour are those of their factors, in their range, and leave paper alone."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.images.colour import Tint, apply_tint, sample_tint
from siamese_jax.keys import root_key
from siamese_jax.specs import DistortSpec

SPEC = DistortSpec(colour=0.4, probability=0.5)
IMAGE = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)


def test_factors_of_1_change_nothing():
    np.testing.assert_allclose(apply_tint(IMAGE, Tint(1.0, jnp.ones(3))), IMAGE, atol=1e-6)


def test_a_saturation_of_0_is_grey_and_gains_multiply_channels():
    grey = np.asarray(apply_tint(IMAGE, Tint(0.0, jnp.ones(3))))
    for row in grey.reshape(-1, 3):
        assert colorsys.rgb_to_hsv(*map(float, row))[1] < 1e-6
    np.testing.assert_allclose(grey[..., 0], IMAGE.mean(axis=-1), atol=1e-6)
    gained = apply_tint(IMAGE, Tint(1.0, jnp.array([0.5, 1.0, 2.0])))
    np.testing.assert_allclose(gained, np.minimum(IMAGE * [0.5, 1.0, 2.0], 1.0), atol=1e-6)


def test_paper_stays_paper_and_ink_stays_in_range():
    tints = jax.vmap(lambda key: sample_tint(key, SPEC, 3))(jax.random.split(root_key(1), 200))
    image = jnp.asarray(np.where(np.arange(5)[:, None, None] == 2, 0.0, IMAGE))
    changed = np.asarray(jax.vmap(lambda tint: apply_tint(image, tint))(tints))
    assert (changed[:, 2] == 0).all()
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_factors_are_uniform_in_their_range_and_left_out_half_of_the_time():
    saturation, gain = jax.vmap(lambda key: sample_tint(key, SPEC, 3))(jax.random.split(root_key(2), 20_000))
    for factor in (np.asarray(saturation), *np.asarray(gain).T):
        included = factor[factor != 1]
        assert abs(len(included) / len(factor) - 0.5) < 0.02
        assert 0.6 <= included.min() < 0.61
        assert 1.39 < included.max() <= 1.4
        assert abs(included.mean() - 1) < 0.01
