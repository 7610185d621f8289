"""Trained networks as files: what is written is read, used and described; what is not there is named."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from example_run import RESULTS
from tiny import SIDE, make_dataset, make_experiment

import siamese_jax
from siamese_jax import data, pretrained
from siamese_jax.errors import UserError
from siamese_jax.network.siamese import build, init_params
from siamese_jax.specs import DataSpec, with_value
from siamese_jax.storage import files

EXPERIMENT = with_value(make_experiment(), "data.side", SIDE)
HISTORY = {
    "epochs": 2, "best_epoch": 1, "best_accuracy": 0.5, "seconds": 9.0, "timed_pairs": 72, "timed_seconds": 8.0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    params = init_params(jax.random.key(0), EXPERIMENT.network, SIDE)
    results = RESULTS | {"data": RESULTS["data"] | {"image_side": SIDE}}
    card = pretrained.make_card("tiny", EXPERIMENT, 18, HISTORY, results, "0123456789")
    pretrained.write(tmp_path / "tiny", EXPERIMENT, params, card)
    return tmp_path / "tiny"


def test_what_was_written_is_read_to_the_bit(folder):
    experiment, params, card = pretrained.read(str(folder))
    assert experiment == EXPERIMENT
    wanted = init_params(jax.random.key(0), EXPERIMENT.network, SIDE)
    assert jax.tree.structure(params) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, params, wanted)
    assert (card["step"], card["history"], card["commit"]) == (18, HISTORY, "0123456789")


def test_a_loaded_network_embeds_and_compares_as_the_network_does(folder, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", folder.parent)
    model = siamese_jax.load_pretrained("tiny")
    assert model.side == SIDE
    images = make_dataset().images.images[:6]
    net, params = build(EXPERIMENT.network), init_params(jax.random.key(0), EXPERIMENT.network, SIDE)
    embeddings = model.embed(images)
    np.testing.assert_allclose(embeddings, net.embed_images(params, jnp.asarray(images)), rtol=1e-5)
    scores = model.compare(embeddings[:, None], embeddings[None, :])
    assert scores.shape == (6, 6)
    expected = net.compare(params, embeddings[2], embeddings[5])
    np.testing.assert_allclose(scores[2, 5], expected, rtol=1e-5)
    p = model.card["verification"]["threshold"]
    np.testing.assert_allclose(1 / (1 + np.exp(-model.threshold)), p)


@pytest.mark.parametrize("images", [np.zeros((2, SIDE, SIDE)), np.zeros((2, 9, 9), np.uint8)])
def test_images_of_another_kind_are_refused_with_the_kind_that_is_meant(folder, images):
    with pytest.raises(ValueError, match=r"uint8 \[N, 12, 12\], 0 for paper"):
        pretrained.load(str(folder)).embed(images)


def test_the_card_says_who_what_and_how_well(folder):
    text = (folder / "README.md").read_text()
    for said in (
        "commit `0123456789`",
        "seed 0",
        "licence: MIT",
        "drawers 1–12",
        "load_pretrained",
        "official runs",
        "plain",
        "threshold",
    ):
        assert said in text
    one_shot = json.loads((folder / "card.json").read_text())["one_shot"]["official_runs"]
    assert one_shot["accuracy"] == RESULTS["one_shot"]["official_runs"]["accuracy"]
    assert set(one_shot) == {"accuracy", "ci95", "trials", "n_way", "k_shot", "drawers"}


def test_a_network_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UserError, match="'none' is no trained network: name .*a folder that holds a card.json"):
        pretrained.read("none")


def test_damaged_weights_are_said_to_be(folder):
    files.write_bytes(folder / "params.npz", b"PK\x03\x04 nonsense")
    with pytest.raises(UserError, match=r"params\.npz could not be read"):
        pretrained.read(str(folder))


def test_weights_of_another_network_are_refused(folder):
    arrays = files.read_arrays(folder / "params.npz")
    for damaged in (
        {**arrays, "fc/bias": arrays["fc/bias"][1:]},
        {"fc/bias": arrays["fc/bias"]},
        {"x": arrays["fc/bias"]},
    ):
        files.write_arrays(folder / "params.npz", damaged)
        with pytest.raises(UserError, match=r"params\.npz does not fit the network of its experiment\.json"):
            pretrained.read(str(folder))


def test_a_card_without_what_is_used_of_it_is_refused(folder):
    card = json.loads((folder / "card.json").read_text())
    del card["step"]
    files.write_json(folder / "card.json", card)
    with pytest.raises(UserError, match=r"card\.json has no 'step'"):
        pretrained.read(str(folder))


def test_a_folder_with_the_name_of_a_packaged_network_is_meant_by_its_path(folder, tmp_path, monkeypatch):
    packaged = tmp_path / "package"
    (packaged / "tiny").mkdir(parents=True)
    files.write_json(packaged / "tiny" / "card.json", {})
    monkeypatch.setattr(pretrained, "FOLDER", packaged)
    monkeypatch.chdir(folder.parent)
    assert pretrained.folder_of("tiny") == packaged / "tiny"
    assert pretrained.folder_of("./tiny").resolve() == folder


def test_the_network_that_comes_with_the_package_reaches_its_cards_figure_and_is_small(prepared_omniglot):
    folder = pretrained.folder_of("best")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    model = siamese_jax.load_pretrained("best")
    alphabets, runs = data.load(DataSpec(side=model.side), prepared_omniglot)
    right = 0
    for support, query, answer in zip(runs.support[..., 0], runs.query, runs.answer, strict=True):
        scores = model.compare(
            model.embed(alphabets.images[query])[:, None], model.embed(alphabets.images[support])[None]
        )
        right += int((np.asarray(scores).argmax(axis=1) == answer).sum())
    card = model.card["one_shot"]["official_runs"]
    assert card["trials"] == runs.answer.size == 400
    assert right / card["trials"] == card["accuracy"]
