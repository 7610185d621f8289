import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.loss import cross_entropy, penalty
from siamese_jax.specs import LayerSpec, OptimizerSpec


def test_cross_entropy_is_minus_the_log_probability_of_the_truth():
    logits, same = np.array([2.0, -1.0, 0.0, 30.0], np.float32), np.array([1, 1, 0, 0], np.float32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = np.mean([-np.log(p[0]), -np.log(p[1]), -np.log(1 - p[2]), 30.0])
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits), jnp.asarray(same)), expected, rtol=1e-6)


def test_logits_that_cannot_tell_cost_ln_2():
    np.testing.assert_allclose(cross_entropy(jnp.zeros(6), jnp.arange(6.0) % 2), np.log(2), rtol=1e-6)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(AssertionError):
        cross_entropy(jnp.zeros(6), jnp.zeros((6, 1)))


@pytest.mark.parametrize(("on_biases", "expected"), [(False, 0.1 * 13 + 0.5 * 16), (True, 0.1 * 38 + 0.5 * 16)])
def test_the_penalty_weighs_each_layer_and_leaves_biases_alone_unless_asked(on_biases, expected):
    params = {"fc": {"kernel": jnp.array([2.0, 3.0]), "bias": jnp.array([5.0])}, "out": {"weight": jnp.array([4.0])}}
    layers = {"fc": LayerSpec(0.1, 0.9, 0.1), "out": LayerSpec(0.1, 0.9, 0.5)}
    spec = OptimizerSpec(layers, l2_on_biases=on_biases)
    np.testing.assert_allclose(penalty(params, spec), expected, rtol=1e-6)
