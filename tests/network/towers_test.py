from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.keys import root_key
from siamese_jax.network.towers import TOWERS
from siamese_jax.network.towers.residual import normalise
from siamese_jax.specs import Conv, ConvSpec, Dense, Residual

TINY = Conv(ConvSpec(3, 4, True), ConvSpec(4, 3, True), ConvSpec(5, 2, False), ConvSpec(6, 1, False), units=7)
DENSE = Dense(hidden=11, units=7)


def module_of(tower, initialiser="scaled"):
    return TOWERS[type(tower)](tower, initialiser)


def test_an_embedding_equals_the_network_written_out_in_numpy():
    image = np.random.default_rng(0).random((17, 17, 1)).astype(np.float32)
    tower = module_of(TINY)
    params = tower.init(root_key(0), image)["params"]
    features = image.astype(np.float64)
    for name, conv in TINY.convs.items():
        kernel, bias = np.asarray(params[name]["kernel"], np.float64), np.asarray(params[name]["bias"], np.float64)
        maps = [
            sum(
                scipy.signal.correlate2d(features[..., c], kernel[..., c, f], "valid")
                for c in range(features.shape[-1])
            )
            for f in range(conv.filters)
        ]
        features = np.maximum(np.stack(maps, axis=-1) + bias, 0)
        if conv.pool:
            side = features.shape[0] // 2
            features = features[: 2 * side, : 2 * side].reshape(side, 2, side, 2, -1).max(axis=(1, 3))
    dense = features.ravel() @ np.asarray(params["fc"]["kernel"], np.float64) + np.asarray(params["fc"]["bias"])
    np.testing.assert_allclose(tower.apply({"params": params}, image), 1 / (1 + np.exp(-dense)), rtol=1e-5)


def test_a_dense_tower_equals_its_layers_written_out_in_numpy():
    image = np.random.default_rng(0).random((5, 5, 1)).astype(np.float32)
    params = module_of(DENSE).init(root_key(0), image)["params"]
    assert list(params) == ["dense1", "dense2", "fc"]
    features = image.ravel().astype(np.float64)
    for name, layer in params.items():
        features = features @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])
        features = 1 / (1 + np.exp(-features)) if name == "fc" else np.maximum(features, 0)
    np.testing.assert_allclose(module_of(DENSE).apply({"params": params}, image), features, rtol=1e-5)


@pytest.mark.parametrize("tower", [TINY, DENSE])
def test_bfloat16_computes_in_eight_bits_what_float32_does_and_keeps_parameters_gradients_and_embeddings(tower):
    image = np.random.default_rng(1).random((17, 17, 1)).astype(np.float32)
    params = jax.jit(module_of(tower).init)(root_key(0), image)
    exact, rough = (module_of(replace(tower, compute_dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert "bf16" not in str(jax.make_jaxpr(exact.apply)(params, image))
    assert "bf16" in str(jax.make_jaxpr(rough.apply)(params, image))
    embedding = jax.jit(rough.apply)(params, image)
    difference = embedding - jax.jit(exact.apply)(params, image)
    assert 0 < np.abs(difference).max() < 1e-2
    gradients = jax.jit(jax.grad(lambda params: rough.apply(params, image).sum()))(params)
    drawn = jax.jit(rough.init)(root_key(0), image)["params"]
    assert {leaf.dtype for leaf in jax.tree.leaves((embedding, gradients, drawn))} == {jnp.dtype("float32")}


def test_the_paper_network_has_the_shapes_of_its_table():
    assert find("omniglot_20way").network.tower.sides(105) == {"conv1": 48, "conv2": 21, "conv3": 9, "conv4": 6}


def test_the_paper_initialiser_has_the_means_and_deviations_of_the_paper():
    tower = replace(TINY, conv4=ConvSpec(64, 1, False), units=512)
    params = jax.jit(module_of(tower, "paper").init)(root_key(0), jnp.zeros((17, 17, 1)))["params"]
    for layer, name, mean, deviation in (
        ("conv4", "kernel", 0, 0.01), ("conv4", "bias", 0.5, 0.01), ("fc", "kernel", 0, 0.2), ("fc", "bias", 0.5, 0.01),
    ):  # fmt: skip
        values = np.asarray(params[layer][name])
        assert abs(values.mean() - mean) < 5 * deviation / np.sqrt(values.size)
        assert abs(values.std() / deviation - 1) < 5 / np.sqrt(2 * values.size)


def test_at_the_papers_start_most_sigmoids_are_saturated_and_at_the_scaled_start_none():
    images = (np.random.default_rng(0).random((2, 105, 105, 1)) < 0.05).astype(np.float32)
    saturated = {}
    for initialiser in ("paper", "scaled"):
        tower = module_of(replace(find("omniglot_20way").network.tower, units=512), initialiser)
        params = jax.jit(tower.init)(root_key(0), images[0])["params"]
        embeddings = jax.jit(jax.vmap(tower.apply, in_axes=(None, 0)))({"params": params}, images)
        saturated[initialiser] = float(jnp.mean(abs(embeddings - 0.5) > 0.482))  # beyond |z| > 4
    assert saturated["scaled"] == 0
    assert 0.6 < saturated["paper"] < 0.8


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "conv4"])
def test_a_filter_that_leaves_no_pixels_is_refused_by_its_name(name):
    tower = replace(TINY, **{name: ConvSpec(3, 30, False)})
    with pytest.raises(UserError, match=rf"network\.{name}\.size=30 leaves no pixels"):
        tower.check((17, 17, 1))


RESIDUAL = Residual(width=8, stages=2, units=7, head="linear")


@pytest.mark.parametrize("normalisation", ["none", "group", "layer"])
@pytest.mark.parametrize("head", ["linear", "sigmoid"])
def test_a_residual_tower_equals_its_layers_written_out_in_numpy(normalisation, head):
    spec = replace(RESIDUAL, normalisation=normalisation, head=head)
    image = np.random.default_rng(0).random((17, 17, 1)).astype(np.float32)
    params = jax.jit(module_of(spec).init)(root_key(0), image)["params"]
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: x + jnp.asarray(rng.normal(0, 0.1, x.shape), jnp.float32), params)
    assert set(params) == {"stem", "stage1a", "stage1b", "stage2a", "stage2b", "stage2_around", "fc"}

    def pooled(features):
        side = features.shape[0] // 2
        return features[: 2 * side, : 2 * side].reshape(side, 2, side, 2, -1).max(axis=(1, 3))

    def layer(name, features, after=lambda features: features):
        kernel = np.asarray(params[name]["kernel"], np.float64)
        maps = [
            sum(scipy.signal.correlate2d(features[..., c], kernel[..., c, f], "same") for c in range(kernel.shape[2]))
            for f in range(kernel.shape[3])
        ]
        features = after(np.stack(maps, axis=-1))
        if normalisation != "none":
            size = 8 if normalisation == "group" else features.shape[-1]
            for first in range(0, features.shape[-1], size):
                group = features[..., first : first + size]
                features[..., first : first + size] = (group - group.mean()) / np.sqrt(group.var() + 1e-5)
            features = features * np.asarray(params[name]["scale"])
        return features + np.asarray(params[name]["bias"])

    features = np.maximum(layer("stem", image.astype(np.float64), pooled), 0)
    for stage in (1, 2):
        inner = layer(f"stage{stage}b", np.maximum(layer(f"stage{stage}a", features), 0))
        around = features @ np.asarray(params["stage2_around"]["kernel"], np.float64) if stage == 2 else features
        features = np.maximum(pooled(around + inner), 0)
    units = features.ravel() @ np.asarray(params["fc"]["kernel"], np.float64) + np.asarray(params["fc"]["bias"])
    expected = units if head == "linear" else 1 / (1 + np.exp(-units))
    found = jax.jit(module_of(spec).apply)({"params": params}, image)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    assert spec.sides(17) == {"stage1": 4, "stage2": 2}


def test_normalised_features_have_mean_0_and_variance_1_and_an_empty_image_stays_finite():
    features = jnp.asarray(np.random.default_rng(0).normal(3, 2, (5, 4, 16)), jnp.float32)
    grouped = np.asarray(normalise(features, "group")).reshape(20, 2, 8)
    np.testing.assert_allclose(grouped.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(grouped.var(axis=(0, 2)), 1, rtol=1e-4)
    gradient = jax.grad(lambda x: normalise(x, "group").sum())(jnp.zeros((5, 4, 16)))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("change", "field"), [({"stages": 4}, "stages=4"), ({"width": 12}, "width=12")])
def test_a_residual_tower_that_cannot_be_is_refused_by_its_field(change, field):
    with pytest.raises(UserError, match=rf"network\.{field}"):
        replace(RESIDUAL, **change).check((17, 17, 1))
