"""Every tower and every energy as ONNX computes in onnxruntime what JAX, or NumPy, does."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from random_model import random_model
from tiny import make_dataset
from tiny_model import EXPERIMENT

from siamese_jax.errors import UserError
from siamese_jax.export import onnx_files
from siamese_jax.export.onnx_energies import ENERGIES
from siamese_jax.export.onnx_towers import TOWERS
from siamese_jax.network import convolution, energies, towers
from siamese_jax.network.siamese import build
from siamese_jax.specs import Cosine, Dense, Euclidean, L1Distance, Residual, WeightedL1

IMAGES = make_dataset().images.images[::40][:5]
CONV = EXPERIMENT.network.tower
NETWORKS = {
    "convolutional, sigmoid": CONV,
    "convolutional, linear": replace(CONV, head="linear", conv4=replace(CONV.conv4, pool=True)),
    "dense": Dense(hidden=5, units=6),
    "residual, no normalisation": Residual(width=8, stages=1, units=6, normalisation="none"),
    "residual, groups": Residual(width=16, stages=2, units=6, normalisation="group", head="linear"),
    "residual, layer": Residual(width=16, stages=1, units=6, normalisation="layer", head="linear"),
}
BY_HAND = {
    WeightedL1: lambda a, b, weight: (abs(a - b) * weight[:, 0]).sum(-1),
    L1Distance: lambda a, b, weight: -(abs(a - b) * abs(weight[:, 0])).sum(-1),
    Euclidean: lambda a, b, scale: -scale[0, 0] * np.linalg.norm(a - b, axis=-1),
    Cosine: lambda a, b, scale: (
        scale[0, 0] * ((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1) - 1)
    ),
}


def test_every_tower_and_every_energy_of_the_package_has_an_onnx_form():
    assert TOWERS.keys() == towers.TOWERS.keys()
    assert ENERGIES.keys() == energies.ENERGIES.keys() == BY_HAND.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tower_embeds_as_in_jax_for_any_number_of_images(name, tmp_path, monkeypatch):
    monkeypatch.setattr(convolution, "path_for", lambda *_: "xla")  # compiles faster, and computes the same
    model = random_model(tower=NETWORKS[name])
    onnx_files.write(model, tmp_path)
    found = onnx_files.read(model, tmp_path)
    expected = np.asarray(jax.jit(build(model.experiment.network).embed_images)(model.params, IMAGES))
    assert np.ptp(expected) > 0.1
    for count in (1, 2, len(IMAGES)):
        embeddings = found.embed(IMAGES[:count])
        np.testing.assert_allclose(embeddings, expected[:count], atol=1e-5 * max(1, abs(expected).max()))


@pytest.mark.parametrize("combine", ["mean_score", "best_score", "mean_embedding"])
@pytest.mark.parametrize("energy", BY_HAND)
def test_an_energy_compares_as_its_formula_for_any_number_of_queries_classes_and_supports(energy, combine, tmp_path):
    rng = np.random.default_rng(1)
    model = random_model(combine, energy=energy())
    onnx_files.write(model, tmp_path)
    found = onnx_files.read(model, tmp_path)
    for queries, classes, supports in ((3, 4, 2), (1, 1, 1), (2, 3, 5)):
        query = rng.normal(size=(queries, CONV.units)).astype(np.float32)
        support = rng.normal(size=(classes, supports, CONV.units)).astype(np.float32)
        some = support.mean(axis=1, keepdims=True) if combine == "mean_embedding" else support
        logits = BY_HAND[energy](query[:, None, None].astype(float), some[None], model.params["out"]["weight"])
        expected = logits.max(axis=-1) if combine == "best_score" else logits.mean(axis=-1)
        scores = found.scores(query, support)
        np.testing.assert_allclose(scores, expected + model.params["out"]["bias"], atol=1e-5)


@pytest.mark.parametrize("energy", [Euclidean, Cosine])
def test_equal_and_zero_embeddings_have_finite_scores(energy, tmp_path):
    model = random_model(energy=energy())
    onnx_files.write(model, tmp_path)
    nothing = np.zeros((1, 1, CONV.units), np.float32)
    scores = onnx_files.read(model, tmp_path).scores(nothing[0], nothing)
    assert np.isfinite(scores).all()


def test_both_files_say_what_they_hold_and_are_the_same_each_time():
    model = random_model()
    for make in (onnx_files.embed_model, onnx_files.compare_model):
        found = make(model)
        assert found.SerializeToString(deterministic=True) == make(model).SerializeToString(deterministic=True)
        assert (found.ir_version, found.opset_import[0].version) == (10, 21)
        metadata = {prop.key: prop.value for prop in found.metadata_props}
        assert metadata["name"] == "tiny"
        assert '"height": 12' in metadata["reading"]
    shape = onnx_files.embed_model(model).graph.input[0].type.tensor_type.shape.dim
    assert [one.dim_param or one.dim_value for one in shape] == ["N", 12, 12, 1]


def test_the_graph_names_its_nodes_after_the_layers():
    graph = onnx_files.embed_model(random_model(tower=NETWORKS["residual, groups"])).graph
    assert {"stem", "stage1a", "stage2_around", "stage2b/normal", "fc", "embeddings"} <= {
        one.name for one in graph.node
    }


def test_a_tower_or_an_energy_of_ones_own_is_refused_by_its_name(monkeypatch):
    model = random_model()
    monkeypatch.setattr(onnx_files, "TOWERS", {})
    with pytest.raises(UserError, match="the tower 'convolutional' has no ONNX form: leave onnx out"):
        onnx_files.embed_model(model)
    monkeypatch.setattr(onnx_files, "ENERGIES", {})
    with pytest.raises(UserError, match="the energy 'weighted_l1' has no ONNX form"):
        onnx_files.compare_model(model)


def test_parameters_that_do_not_fit_into_a_file_are_refused(monkeypatch):
    model = random_model()
    _ = model.embedding_size
    with monkeypatch.context() as patch:
        patch.setattr(math, "prod", lambda shape: 2**31)
        with pytest.raises(UserError, match="an ONNX file holds 2 GiB: leave onnx out"):
            onnx_files.compare_model(model)
