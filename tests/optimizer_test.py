import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamese_jax.optimizer import learning_rate, make_optimizer, momentum
from siamese_jax.specs import LayerSpec, OptimizerSpec, UserError

LAYERS = {"conv1": LayerSpec(0.1, 0.9, 0.01), "out": LayerSpec(0.02, 0.7, 0.2)}
SPEC = OptimizerSpec(LAYERS, decay=0.9, initial_momentum=0.5, momentum_epochs=2)
START = {
    "conv1": {"kernel": np.array([[1.0, -2.0]]), "bias": np.array([0.5])},
    "out": {"weight": np.array([3.0]), "bias": np.array([-1.0])},
}


@pytest.mark.parametrize("on_biases", [False, True])
def test_ten_steps_equal_the_recursion_of_the_paper_written_in_numpy(on_biases):
    spec = OptimizerSpec(LAYERS, 0.9, 0.5, 2, l2_on_biases=on_biases)
    steps_per_epoch, rng = 3, np.random.default_rng(0)
    gradients = [jax.tree.map(lambda x: rng.normal(size=x.shape), START) for _ in range(10)]

    optimizer = make_optimizer(spec, steps_per_epoch)
    params = jax.tree.map(jnp.float32, START)
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(jax.tree.map(jnp.float32, gradient), state, params)
        params = optax.apply_updates(params, updates)

    for layer, (eta, mu, l2) in {"conv1": (0.1, 0.9, 0.01), "out": (0.02, 0.7, 0.2)}.items():
        for name, start in START[layer].items():
            w, v = start.copy(), np.zeros_like(start)
            for t in range(10):
                epoch = t // steps_per_epoch
                rise = min(epoch / 2, 1.0)
                penalised = l2 if on_biases or name != "bias" else 0.0
                slope = gradients[t][layer][name] + 2 * penalised * w
                v = (0.5 + (mu - 0.5) * rise) * v - eta * 0.9**epoch * slope
                w = w + v
            np.testing.assert_allclose(params[layer][name], w, rtol=2e-5)


def test_the_rate_falls_and_momentum_rises_once_an_epoch():
    rule = LAYERS["conv1"]
    np.testing.assert_allclose([learning_rate(rule, SPEC, e) for e in range(3)], [0.1, 0.09, 0.081], rtol=1e-6)
    np.testing.assert_allclose([momentum(rule, SPEC, e) for e in range(4)], [0.5, 0.7, 0.9, 0.9], rtol=1e-6)


def test_zero_momentum_epochs_means_the_layers_momentum_from_the_start():
    np.testing.assert_allclose(momentum(LAYERS["out"], OptimizerSpec(LAYERS, momentum_epochs=0), 0), 0.7)


@pytest.mark.parametrize("name", ["missing", "unused"])
def test_a_layer_without_a_rule_and_a_rule_without_a_layer_are_refused(name):
    layers = {"conv1": LAYERS["conv1"]} if name == "missing" else {**LAYERS, "conv7": LAYERS["out"]}
    with pytest.raises(UserError, match=rf"{name} \['(out|conv7)'\]"):
        make_optimizer(OptimizerSpec(layers), 3).init(START)
