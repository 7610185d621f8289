from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.learning.optimizers import kept_params, make_optimizer, penalty, rates
from siamese_jax.learning.optimizers.adamw import rate_at
from siamese_jax.learning.optimizers.paper_sgd import learning_rate, momentum
from siamese_jax.learning.optimizers.rules import assign
from siamese_jax.specs import AdamW, Experiment, LayerSpec, OptimizerSpec, PaperSGD

LAYERS = {"conv1": LayerSpec(0.1, 0.9, 0.01), "out": LayerSpec(0.02, 0.7, 0.2)}
SPEC = PaperSGD(LAYERS, decay=0.9, initial_momentum=0.5, momentum_epochs=2)
START = {
    "conv1": {"kernel": np.array([[1.0, -2.0]]), "bias": np.array([0.5])},
    "out": {"weight": np.array([3.0]), "bias": np.array([-1.0])},
}


def optimized_by(spec: OptimizerSpec, epochs: int) -> Experiment:
    """Return an experiment with that optimizer, whose tower's last layer is `fc`."""
    return replace(find("omniglot_20way"), optimizer=spec, max_epochs=epochs)


@pytest.mark.parametrize("on_biases", [False, True])
def test_ten_steps_equal_the_recursion_of_the_paper_written_in_numpy(on_biases):
    spec = PaperSGD(LAYERS, 0.9, 0.5, 2, l2_on_biases=on_biases)
    steps_per_epoch, rng = 3, np.random.default_rng(0)
    gradients = [jax.tree.map(lambda x: rng.normal(size=x.shape), START) for _ in range(10)]

    optimizer = make_optimizer(optimized_by(spec, 4), steps_per_epoch)
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
    np.testing.assert_allclose(momentum(LAYERS["out"], PaperSGD(LAYERS, momentum_epochs=0), 0), 0.7)


@pytest.mark.parametrize("name", ["missing", "unused"])
def test_a_layer_without_a_rule_and_a_rule_without_a_layer_are_refused(name):
    layers = {"conv1": LAYERS["conv1"]} if name == "missing" else {**LAYERS, "conv7": LAYERS["out"]}
    with pytest.raises(UserError, match=rf"{name} \['(out|conv7)'\]"):
        make_optimizer(optimized_by(PaperSGD(layers), 1), 3).init(START)


ADAMW = AdamW(rate=0.1, fc_rate=0.3, warmup=0.25, weight_decay=0.2)


@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_ten_steps_of_adamw_equal_its_recursion_written_in_numpy(schedule, clip):
    spec, rng = replace(ADAMW, schedule=schedule, clip=clip), np.random.default_rng(0)
    starts = START | {"fc": START["conv1"]}
    gradients = [jax.tree.map(lambda x: rng.normal(size=x.shape), starts) for _ in range(10)]
    optimizer = make_optimizer(optimized_by(spec, 3), 4)
    params = jax.tree.map(jnp.float32, starts)
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(jax.tree.map(jnp.float32, gradient), state, params)
        params = optax.apply_updates(params, updates)

    def rate(t: int) -> float:
        if schedule == "cosine":
            return 0.1 * (1 + np.cos(np.pi * t / 12)) / 2
        low, lowest = 0.1 / 25, 0.1 / 1e4 / 25  # of a cycle that rises for 3 of 12 steps
        if schedule == "one_cycle" and t < 3:
            return low + (0.1 - low) * (1 - np.cos(np.pi * t / 3)) / 2
        return 0.1 if schedule == "constant" else lowest + (0.1 - lowest) * (1 + np.cos(np.pi * (t - 3) / 9)) / 2

    norms = [np.sqrt(sum(float(np.sum(g**2)) for g in jax.tree.leaves(gradient))) for gradient in gradients]
    for layer, values in starts.items():
        for name, start in values.items():
            w, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
            for t in range(10):
                g = gradients[t][layer][name] * (min(1.0, clip / norms[t]) if clip else 1.0)
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                step = (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
                factor = 0.3 if layer == "fc" else 1.0
                w = w - factor * rate(t) * (step + (0.2 * w if name == "kernel" else 0.0))
            np.testing.assert_allclose(params[layer][name], w, rtol=2e-4, atol=1e-5)


def test_the_mean_of_the_weights_is_kept_beside_them_and_changes_no_update():
    averaging, plain = (make_optimizer(optimized_by(replace(SPEC, average=decay), 4), 3) for decay in (0.3, 0.0))
    params = jax.tree.map(jnp.float32, START)
    state, plain_state, mean = averaging.init(params), plain.init(params), START["out"]["weight"]
    assert kept_params(params, plain_state) is params
    np.testing.assert_array_equal(kept_params(params, state)["out"]["weight"], mean)
    for t in range(5):
        gradient = jax.tree.map(lambda x, t=t: jnp.float32(x + t), START)
        expected, plain_state = plain.update(gradient, plain_state, params)
        updates, state = averaging.update(gradient, state, params)
        jax.tree.map(np.testing.assert_array_equal, updates, expected)
        params = optax.apply_updates(params, updates)
        kept = min(0.3, (1 + t) / (10 + t))
        mean = kept * mean + (1 - kept) * np.asarray(params["out"]["weight"])
        np.testing.assert_allclose(kept_params(params, state)["out"]["weight"], mean, rtol=1e-5)


@pytest.mark.parametrize(("on_biases", "expected"), [(False, 0.1 * 13 + 0.5 * 16), (True, 0.1 * 38 + 0.5 * 16)])
def test_the_penalty_weighs_each_layer_and_leaves_biases_alone_unless_asked(on_biases, expected):
    params = {"fc": {"kernel": jnp.array([2.0, 3.0]), "bias": jnp.array([5.0])}, "out": {"weight": jnp.array([4.0])}}
    layers = {"fc": LayerSpec(0.1, 0.9, 0.1), "out": LayerSpec(0.1, 0.9, 0.5)}
    spec = PaperSGD(layers, l2_on_biases=on_biases)
    np.testing.assert_allclose(penalty(params, spec), expected, rtol=1e-6)


NESTED = {"block": {"mlp": {"up": {"kernel": 1, "bias": 2}, "down": {"kernel": 3}}, "scale": 4}, "out": {"weight": 5}}


def test_a_rule_applies_to_all_parameters_below_its_path():
    assert assign(NESTED, ["block/mlp/up", "block/mlp/down", "block/scale", "out"]) == {
        "block": {
            "mlp": {
                "up": {"kernel": "block/mlp/up", "bias": "block/mlp/up"},
                "down": {"kernel": "block/mlp/down"},
            },
            "scale": "block/scale",
        },
        "out": {"weight": "out"},
    }


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["block/mlp", "out"], r"missing \['block'\]"),
        (["block"], r"missing \['out'\], unused \[\]"),
        (["block", "out", "block/ml"], r"unused \['block/ml'\]"),
        (["block", "out", "block/mlp"], r"two rules for block/mlp/down/kernel, \['block', 'block/mlp'\]"),
    ],
)
def test_every_parameter_has_one_rule_at_any_depth(rules, words):
    with pytest.raises(UserError, match=words):
        assign(NESTED, rules)


def test_adamw_scales_the_updates_of_the_towers_last_layer_at_any_depth(monkeypatch):
    experiment = optimized_by(replace(ADAMW, weight_decay=0.0, schedule="constant"), 1)
    monkeypatch.setattr(type(experiment.network.tower), "last_layer", "block/mlp/up")
    params = jax.tree.map(jnp.float32, NESTED)
    optimizer = make_optimizer(experiment, 3)
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    expected = jax.tree.map(lambda _: -0.1, NESTED)
    expected["block"]["mlp"]["up"] = {"kernel": -0.03, "bias": -0.03}
    jax.tree.map(lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-5), updates, expected)


def test_rates_are_those_of_an_epochs_last_step():
    one_cycle = rates(optimized_by(ADAMW, 3), 2, 4)
    assert set(one_cycle) == {"learning_rate", "learning_rate/fc"}
    np.testing.assert_allclose(one_cycle["learning_rate"], rate_at(ADAMW, 12, 11))
    np.testing.assert_allclose(one_cycle["learning_rate/fc"], 0.3 * rate_at(ADAMW, 12, 11), rtol=1e-6)
    assert set(rates(optimized_by(SPEC, 4), 0, 3)) == {
        "learning_rate/conv1", "learning_rate/out", "momentum/conv1", "momentum/out",
    }  # fmt: skip
    np.testing.assert_allclose(rates(optimized_by(SPEC, 4), 1, 3)["momentum/out"], 0.6)
