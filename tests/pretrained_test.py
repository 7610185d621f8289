"""Trained networks as files: what is written is read, used and described; what is not there is named."""

import copy
import dataclasses
import json
import pickle
import re
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from example_run import with_data
from PIL import Image
from tiny import SIDE, make_dataset, make_experiment, make_params

import siamese_jax
from siamese_jax import pretrained
from siamese_jax.errors import UserError
from siamese_jax.network.siamese import build
from siamese_jax.report.model_card import card_text, make_card
from siamese_jax.specs import Folder, with_value
from siamese_jax.storage import files
from siamese_jax.storage.array_files import read_arrays, write_arrays

EXPERIMENT = with_value(make_experiment(), "data.side", SIDE)


@pytest.fixture
def folder(tmp_path):
    params = make_params(EXPERIMENT.network)
    card = make_card("tiny", EXPERIMENT, with_data(image_side=SIDE), "0123456789")
    pretrained.write(tmp_path / "tiny", EXPERIMENT, params, card)
    return tmp_path / "tiny"


def test_what_was_written_is_read_to_the_bit(folder):
    model = pretrained.read(str(folder))
    experiment, params, card = model.experiment, model.params, model.card
    assert experiment == EXPERIMENT
    wanted = make_params(EXPERIMENT.network)
    assert jax.tree.structure(params) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, params, wanted)
    assert (card.name, card.commit, card.results) == ("tiny", "0123456789", with_data(image_side=SIDE))


@pytest.fixture
def model(folder):
    return pretrained.read(folder)


NET, PARAMS = build(EXPERIMENT.network), make_params(EXPERIMENT.network)
DRAWINGS = make_dataset().images.images[:70]


@pytest.fixture(scope="module")
def embedded():
    """What the network itself gives for DRAWINGS."""
    return np.asarray(jax.jit(NET.embed_images)(PARAMS, jnp.asarray(DRAWINGS)))


@pytest.mark.parametrize("count", [0, 1, 3, 5, 32, 33, 70])
def test_any_number_of_images_is_embedded_as_the_network_embeds_them(model, embedded, count):
    found = model.embed(DRAWINGS[:count])
    assert (type(found), found.dtype, found.shape) == (np.ndarray, np.float32, (count, 8))
    np.testing.assert_allclose(found, embedded[:count], rtol=1e-5, atol=1e-6)


def test_drawings_may_leave_their_one_channel_out(model):
    np.testing.assert_array_equal(model.embed(DRAWINGS[:3, :, :, 0]), model.embed(DRAWINGS[:3]))


def test_all_numbers_of_images_share_two_programs(model):
    before = pretrained._embed._cache_size()
    for count in range(71):
        model.embed(DRAWINGS[:count])
    assert pretrained._embed._cache_size() - before <= 2


def test_a_network_that_is_loaded_twice_is_compiled_once(folder):
    pretrained.read(folder).embed(DRAWINGS[:3])
    before = pretrained._embed._cache_size()
    pretrained.read(folder).embed(DRAWINGS[:2])
    assert pretrained._embed._cache_size() == before


@pytest.mark.parametrize("count", [1, 2, 9, 70])
def test_every_query_is_compared_with_every_support(model, embedded, count):
    queries = embedded[:10]
    found = model.scores(queries, embedded[:count])
    assert (type(found), found.dtype, found.shape) == (np.ndarray, np.float32, (10, count))
    for q, n in ((0, 0), (3, count - 1), (9, count // 2)):
        np.testing.assert_allclose(found[q, n], NET.compare(PARAMS, queries[q], embedded[n]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("combine", ["mean_score", "best_score", "mean_embedding"])
def test_several_examples_of_a_class_are_combined_as_the_experiment_says(model, embedded, combine):
    experiment = with_value(EXPERIMENT, "evaluation.combine", combine)
    changed = dataclasses.replace(model, experiment=experiment)
    supports, queries = embedded[:15].reshape(5, 3, 8), embedded[20:24]
    expected = NET.trial_logits(PARAMS, jnp.asarray(supports), jnp.asarray(queries), combine)
    np.testing.assert_allclose(changed.scores(queries, supports), expected, rtol=1e-5, atol=1e-6)


def test_supports_are_compared_some_at_a_time(model, embedded, monkeypatch):
    whole = model.scores(embedded[:20], embedded)
    monkeypatch.setattr(pretrained, "AT_ONCE", pretrained.QUERIES * 8 * 16)
    assert pretrained._support_batch(len(embedded), 8) == 16
    np.testing.assert_allclose(model.scores(embedded[:20], embedded), whole, rtol=1e-5, atol=1e-6)


def test_few_programs_compare_any_number_of_embeddings(model, embedded):
    before = pretrained._score._cache_size()
    for count in range(1, 71):
        model.scores(embedded[:count], embedded[:count])
    assert pretrained._score._cache_size() - before <= 8  # 1, 2, 4, … 128 supports


@pytest.mark.parametrize(
    ("queries", "supports"),
    [((5, 8), (5, 7)), ((5, 7), (5, 7)), ((8,), (5, 8)), ((5, 8), (8,)), ((5, 1, 8), (5, 8)), ((5, 8), (5, 0, 8))],
)
def test_embeddings_that_do_not_fit_are_refused_with_both_shapes(model, queries, supports):
    reason = rf"queries {list(queries)} with supports {list(supports)}: give queries [Q, 8] and supports [N, 8] or"
    with pytest.raises(UserError, match=re.escape(reason)):
        model.scores(np.zeros(queries), np.zeros(supports))


def test_no_queries_or_no_supports_have_no_scores(model):
    assert model.scores(np.zeros((0, 8)), np.zeros((3, 8))).shape == (0, 3)
    assert model.scores(np.zeros((3, 8)), np.zeros((0, 2, 8))).shape == (3, 0)


@pytest.mark.parametrize(
    ("images", "given"),
    [
        (np.zeros((2, SIDE, SIDE)), r"not float64 \[2, 12, 12\]$"),
        (np.zeros((2, 9, 9), np.uint8), r"not uint8 \[2, 9, 9\]$"),
        (np.zeros((2, SIDE, SIDE, 3), np.uint8), r"not uint8 \[2, 12, 12, 3\]$"),
        (np.zeros((SIDE, SIDE), np.uint8), "this is one image: give images.None."),
        (np.zeros((SIDE, SIDE, 1), np.uint8), "this is one image: give images.None."),
    ],
)
def test_other_arrays_than_images_are_refused_with_the_shape_that_is_meant(model, images, given):
    with pytest.raises(UserError, match=rf"embed takes uint8 \[N, 12, 12, 1\], 0 for paper and .*{given}"):
        model.embed(images)


def test_a_file_is_read_as_embed_takes_it(model, tmp_path):
    Image.fromarray(255 - DRAWINGS[0, :, :, 0]).save(tmp_path / "a.png")
    image = model.read(tmp_path / "a.png")
    np.testing.assert_array_equal(image, DRAWINGS[0])
    np.testing.assert_array_equal(model.embed(image[None]), model.embed(DRAWINGS[:1]))


def test_how_a_file_becomes_a_square_and_its_polarity_can_be_given(model):
    page = np.full((40, 20), 255, np.uint8)
    page[5:20, 8:11] = 0
    for choice in ({"fit": "crop"}, {"fit": "squash"}, {"fit": "ink"}, {"polarity": "light"}):
        expected = siamese_jax.read_image(Image.fromarray(page), SIDE, 1, **choice)
        np.testing.assert_array_equal(model.read(Image.fromarray(page), **choice), expected)
        assert not np.array_equal(expected, model.read(Image.fromarray(page))) or choice == {"fit": "ink"}


def test_files_are_read_as_in_training_unless_it_is_asked_otherwise(model):
    page = np.full((40, 20), 230, np.uint8)
    page[5:20, 8:11] = 100
    folder = Folder(fit="crop", polarity="keep", side=SIDE, colour=False)
    cropped = dataclasses.replace(model, experiment=dataclasses.replace(model.experiment, data=folder))
    assert (model.fit, model.polarity) == ("pad", "auto")
    for changed, expected in (({}, ("crop", "keep")), ({"fit": "squash"}, ("squash", "keep"))):
        wanted = siamese_jax.read_image(Image.fromarray(page), SIDE, 1, *expected)
        np.testing.assert_array_equal(cropped.read(Image.fromarray(page), **changed), wanted)


def test_a_model_can_be_pickled_and_copied_before_and_after_it_is_used(model):
    for _ in range(2):
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            np.testing.assert_array_equal(other.embed(DRAWINGS[:3]), model.embed(DRAWINGS[:3]))
            assert (other.experiment, other.card, other.threshold) == (model.experiment, model.card, model.threshold)
        assert repr(model) == "Model('tiny', side=12, channels=1)"


def test_a_threshold_is_a_logit(model):
    assert model.threshold == model.card.results.verification.test.threshold == -0.12


def test_loading_keeps_compiled_programs(folder, monkeypatch):
    called = []
    monkeypatch.setattr(pretrained, "keep_compiled", lambda: called.append(True))
    monkeypatch.setattr(pretrained, "FOLDER", folder.parent)
    assert siamese_jax.load_pretrained("tiny").side == SIDE
    assert called


def test_a_network_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UserError, match="'none' is not a trained network: use best, or the folder of a run"):
        pretrained.read("none")


def test_damaged_weights_are_said_to_be(folder):
    files.write_bytes(folder / "params.npz", b"PK\x03\x04 nonsense")
    with pytest.raises(UserError, match=r"params\.npz is damaged"):
        pretrained.read(str(folder))


def test_weights_of_another_network_are_refused(folder):
    arrays = read_arrays(folder / "params.npz")
    for damaged in (
        {**arrays, "fc/bias": arrays["fc/bias"][1:]},
        {"fc/bias": arrays["fc/bias"]},
        {"x": arrays["fc/bias"]},
    ):
        write_arrays(folder / "params.npz", damaged)
        with pytest.raises(UserError, match=r"params\.npz does not fit the network of its experiment\.json"):
            pretrained.read(str(folder))


def test_a_card_of_another_format_is_refused(folder):
    card = json.loads((folder / "card.json").read_text())
    files.write_json(folder / "card.json", card | {"format": 0})
    with pytest.raises(UserError, match=r"card\.json does not fit this version: its format is 0, not 2; restore it"):
        pretrained.read(str(folder))


def test_a_folder_with_the_name_of_a_packaged_network_is_meant_by_its_path(folder, tmp_path, monkeypatch):
    packaged = tmp_path / "package"
    (packaged / "tiny").mkdir(parents=True)
    files.write_json(packaged / "tiny" / "card.json", {})
    monkeypatch.setattr(pretrained, "FOLDER", packaged)
    monkeypatch.chdir(folder.parent)
    assert pretrained.folder_of("tiny") == packaged / "tiny"
    assert pretrained.folder_of("./tiny").resolve() == folder


@pytest.mark.parametrize("part", ["training", "verification"])
def test_a_card_without_what_is_used_is_refused(folder, part):
    card = json.loads((folder / "card.json").read_text())
    card["results"][part] = None
    files.write_json(folder / "card.json", card)
    with pytest.raises(UserError, match=r"card\.json describes no trained network"):
        pretrained.read(folder)


@pytest.mark.parametrize("name", [path.parent.name for path in pretrained.FOLDER.glob("*/card.json")])
def test_a_network_that_comes_with_the_package_is_small_and_described_as_its_card_says(name):
    folder = pretrained.folder_of(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    assert (folder / "README.md").read_text() == card_text(pretrained.read(name).card)


def test_the_files_of_the_official_runs_give_the_figure_of_the_card(archives, tmp_path):
    with zipfile.ZipFile(archives / "omniglot" / "all_runs.zip") as runs:
        runs.extractall(tmp_path)
    model = siamese_jax.load_pretrained("best")
    right = trials = 0
    for labels in sorted(tmp_path.glob("run??/class_labels.txt")):
        queries, classes = zip(*(line.split() for line in labels.read_text().splitlines()), strict=True)
        supports = sorted(set(classes))
        images = np.stack([model.read(tmp_path / name) for name in (*queries, *supports)])
        embeddings = model.embed(images)
        scores = model.scores(embeddings[: len(queries)], embeddings[len(queries) :])
        right += sum(supports[best] == label for best, label in zip(scores.argmax(axis=1), classes, strict=True))
        trials += len(queries)
    assert (right, trials) == (392, 400)
    assert right / trials == model.card.results.one_shot["official_runs"].accuracy
