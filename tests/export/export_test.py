"""An export computes what JAX does, says how to use it, and is not written where it computes something else."""

import base64
import hashlib
import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from drawings import draw
from PIL import Image
from random_model import random_model
from tiny import make_dataset, make_images
from tiny_model import EXPERIMENT

import siamese_jax
from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.export import export_model, in_float32, onnx_files, parity, trials
from siamese_jax.export.reading import reading
from siamese_jax.network import convolution, energies
from siamese_jax.results import ModelCard, from_json
from siamese_jax.specs import Dense, Experiment, Folder, InMemory, Residual, from_nested

DATASET = make_dataset()
TOWERS = {
    "convolutional": EXPERIMENT.network.tower,
    "dense": Dense(hidden=5, units=6, head="linear"),
    "residual": Residual(width=8, stages=1, units=6, head="linear"),
}


@pytest.fixture(scope="module", autouse=True)
def direct():
    """Convolutions that compile faster, and compute the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "path_for", lambda *_: "xla")
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """All formats of a tiny network: the model, the folder and what `export_model` returned."""
    model, folder = random_model(tower=TOWERS["dense"]), tmp_path_factory.mktemp("export") / "out"
    return model, folder, export_model(model, folder, ("onnx", "stablehlo", "safetensors"), dataset=DATASET)


@pytest.mark.parametrize("energy", energies.ENERGIES)
@pytest.mark.parametrize("tower", TOWERS)
def test_every_tower_with_every_energy_computes_what_jax_does(tower, energy, tmp_path):
    model = random_model(tower=TOWERS[tower], energy=energy())
    done = export_model(model, tmp_path / "out", dataset=DATASET)
    found = done.parity["onnx"]
    assert (done.trials, found.choices, found.ties) == (6, 6, 0)
    assert max(found.embeddings.relative, found.scores.relative) < 1e-5
    assert found.scores.range > 0.01


def test_the_packaged_network_is_within_one_ten_thousandth_of_jax(tmp_path):
    best = siamese_jax.load_pretrained("best")
    some = trials.glyph_trials(best.experiment.data.image_shape, n_way=4, runs=1)
    onnx_files.write(best, tmp_path)
    found = parity.compare(onnx_files.read(best, tmp_path), parity.wanted(best, some))
    assert (found.choices, found.ties, found.accuracy) == (16, 0, 1.0)
    assert max(found.embeddings.largest, found.scores.largest) < 1e-4


def test_every_format_computes_what_jax_does_and_the_folder_says_so(exported):
    _, folder, done = exported
    assert list(done.parity) == ["onnx", "stablehlo", "safetensors"]
    written = json.loads((folder / "parity.json").read_text())
    assert written["trials"] == {"source": "Lake's 20 official runs", "count": 6, "images": 12}
    for name, found in done.parity.items():
        assert found.choices == 6
        assert found.scores.relative < 1e-5
        assert written["formats"][name]["scores"]["largest"] == found.scores.largest
        assert f"| {name}" in (folder / "README.md").read_text()
    assert done.files == {path.name: path.stat().st_size for path in folder.iterdir()}


def test_the_folder_holds_the_card_the_recipe_the_licence_and_sums_that_match(exported):
    model, folder, _ = exported
    assert from_json(ModelCard, json.loads((folder / "card.json").read_text()), "card", "") == model.card
    assert from_nested(Experiment, json.loads((folder / "experiment.json").read_text())) == model.experiment
    assert model.card.licence in (folder / "LICENSE").read_text()
    assert (Path(__file__).parents[2] / "LICENSE").read_text() in (folder / "LICENSE").read_text()
    assert (folder / "MODEL_CARD.md").read_text().startswith("# tiny\n")
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert sums == {name: digest for name, digest in files.items() if name != "SHA256SUMS"}


def test_reading_is_the_same_in_every_file_and_holds_the_fingerprint(exported):
    model, folder, _ = exported
    found = json.loads((folder / "reading.json").read_text())
    assert (found["fingerprint"], found["embedding_size"]) == (model.fingerprint, 6)
    assert [found["picture"][name] for name in ("height", "width", "channels")] == [12, 12, 1]
    for name in ("embed.onnx", "compare.onnx"):
        (kept,) = [prop.value for prop in onnx.load(folder / name).metadata_props if prop.key == "reading"]
        assert json.loads(kept) == found
    with safetensors.safe_open(folder / "params.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["reading"]) == found
    params = safetensors.numpy.load_file(folder / "params.safetensors")
    np.testing.assert_array_equal(params["fc/kernel"], model.params["fc"]["kernel"])


def test_decisions_of_the_card_are_applied_by_the_python_example_as_by_the_package(exported, tmp_path, monkeypatch):
    best = siamese_jax.load_pretrained("best")
    model = random_model(tower=TOWERS["dense"])
    results = replace(model.card.results, decisions=best.card.results.decisions)
    model = replace(model, card=replace(model.card, results=results))
    export_model(model, tmp_path / "out", dataset=DATASET)
    example = load(tmp_path / "out" / "example.py")
    rules = model.decisions
    assert example.p_same(-15.0, 0.2) == pytest.approx(float(rules.p_same(np.array(-15.0), 0.2)))
    for classes in (1, 7, 20, 900):
        threshold = rules.threshold(classes, 0.05)
        assert example.is_unknown([threshold - 0.01] * classes, "0.05")
        assert not example.is_unknown([threshold + 0.01] * classes, "0.05")


def test_the_python_example_compares_itself_with_jax_and_reads_pictures_as_the_package(exported, tmp_path, capsys):
    model, folder, _ = exported
    example = load(folder / "example.py")
    assert example.main([]) == 0
    assert "embeddings: " in capsys.readouterr().out
    Image.fromarray(255 - draw(3, 1)[..., 0]).save(tmp_path / "square.png")
    Image.fromarray(255 - draw(3, 1)[:41, ..., 0]).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(example.read(tmp_path / "square.png"), model.read(tmp_path / "square.png"))
    paths = [str(tmp_path / name) for name in ("square.png", "wide.png", "square.png")]
    assert example.main(paths) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{paths[2]}: score")  # the same picture again
    assert second.startswith(f"{paths[1]}: score")
    assert example.main(paths[:1]) == 2


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_pictures_are_read_as_those_that_the_network_was_trained_on(fit, exported, tmp_path, monkeypatch):
    _, folder, _ = exported
    example = load(folder / "example.py")
    model = random_model(tower=TOWERS["dense"], shape=(9, 9, 3))
    model = replace(model, experiment=replace(model.experiment, data=Folder(side=9, fit=fit)))
    monkeypatch.setattr(example, "READING", reading(model))
    assert example.READING["picture"]["read_image"] == {"fit": fit, "polarity": "auto"}
    colours = np.random.default_rng(0).integers(0, 256, (13, 22, 4), np.uint8)
    for name, turned in (("wide", colours), ("high", colours.transpose(1, 0, 2))):
        Image.fromarray(turned[..., :3]).save(tmp_path / f"{name}.png")
        path = tmp_path / f"{name}.png"
        difference = example.read(path).astype(int) - model.read(path, fit=fit)
        assert abs(difference).max() <= 1  # where a mean is a half
        assert (difference == 0).mean() > 0.98


def test_the_python_example_finds_a_damaged_network(exported, tmp_path):
    _, folder, _ = exported
    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    onnx_files.write(random_model("best_score", tower=TOWERS["dense"], energy=energies_of("cosine")), damaged)
    assert load(damaged / "example.py").main([]) == 1


def energies_of(name):
    return next(spec for spec in energies.ENERGIES if spec.name == name)()


def load(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embed": lambda x: x + 0.01}, "its embeddings differ from JAX's by up to 0.01"),
        ({"embed": lambda x: x * np.nan}, "its embeddings differ from JAX's by up to nan"),
        ({"scores": lambda x: x + 0.01}, "its scores differ from JAX's by up to 0.01"),
    ],
)
def test_an_export_that_computes_something_else_is_not_left_behind(change, message, tmp_path, monkeypatch):
    read = onnx_files.read

    def spoiled(model, folder):
        found = read(model, folder)
        return found._replace(
            **{name: lambda *inputs, name=name, f=f: f(getattr(found, name)(*inputs)) for name, f in change.items()}
        )

    monkeypatch.setattr(onnx_files, "read", spoiled)
    with pytest.raises(UserError, match=f"the onnx export was not written, {message}"):
        export_model(random_model(tower=TOWERS["dense"]), tmp_path / "out", dataset=DATASET)
    assert list(tmp_path.iterdir()) == []


def test_another_choice_is_an_error_but_not_between_equals():
    some = trials.Trials("", DATASET.images.images, DATASET.episodes)
    scores = np.array([[[0.0, 1.0, 1.0]] * 3] * 2)
    nothing = np.zeros((600, 1))
    wanted = parity.Wanted(trials=some, embeddings=nothing, scores=scores, paired=scores, compare=None)

    def found(row):
        network = parity.Exported(lambda images: nothing[: len(images)], lambda q, s: np.array([row] * 3), "")
        return parity.compare(network, wanted)

    tie = found([0.0, 1.00005, 1.0])
    assert (tie.choices, tie.ties) == (6, 0)
    tie = found([0.0, 1.0, 1.00005])
    assert (tie.choices, tie.ties) == (6, 6)
    parity.check("onnx", tie, 6)
    other = found([1.00005, 1.0, 1.0])
    assert other.choices == 0
    with pytest.raises(UserError, match="its scores differ"):
        parity.check("onnx", other, 6)
    with pytest.raises(UserError, match="6 of its 6 choices differ"):
        parity.check("onnx", replace(other, scores=tie.scores), 6)


def test_differences_count_as_parts_of_the_largest_value_from_1_on():
    assert parity.difference(np.array([20.5, 0.0]), np.array([20.0, -40.0])).relative == 1.0
    assert parity.difference(np.array([0.5]), np.array([0.25])).relative == 0.25


@pytest.mark.parametrize(
    ("formats", "message"),
    [(("onyx",), "onyx is not a format: did you mean onnx"), ((), "no format is named: give onnx")],
)
def test_an_unknown_format_is_refused_before_anything_is_done(formats, message, tmp_path):
    with pytest.raises(UserError, match=message):
        export_model(None, tmp_path / "out", formats)


def test_the_guide_of_a_network_in_bfloat16_says_that_it_computes_in_float32_now(tmp_path):
    model = random_model(tower=replace(TOWERS["dense"], compute_dtype="bfloat16"))
    done = export_model(model, tmp_path / "out", dataset=DATASET)
    assert done.parity["onnx"].embeddings.relative < 1e-5
    assert "trained and measured in bfloat16" in (tmp_path / "out" / "README.md").read_text()
    assert json.loads((tmp_path / "out" / "experiment.json").read_text())["network"]["compute_dtype"] == "float32"


def test_a_network_in_bfloat16_is_exported_in_float32():
    model = random_model(tower=replace(TOWERS["dense"], compute_dtype="bfloat16"))
    assert in_float32(model).experiment.network.tower == TOWERS["dense"]
    assert in_float32(model).params is model.params
    assert in_float32(in_float32(model)).experiment == in_float32(model).experiment


def test_trials_are_released_ones_else_test_episodes_else_glyphs(monkeypatch):
    released = trials.trials_of(EXPERIMENT, DATASET)
    assert (released.source, len(released.images)) == ("Lake's 20 official runs", 12)
    rows = DATASET.episodes.support
    np.testing.assert_array_equal(released.images[released.episodes.support], DATASET.images.images[rows])
    np.testing.assert_array_equal(
        released.images[released.episodes.query], DATASET.images.images[DATASET.episodes.query]
    )
    images = make_images()
    experiment = replace(EXPERIMENT, data=InMemory(height=12, width=12, channels=3))
    own = trials.trials_of(experiment, siamese_jax.Dataset(images))
    assert own.source == "test episodes of in_memory"
    assert own.episodes.answer.size == 3 * (400 // 3)
    monkeypatch.setattr(trials, "glyph_trials", lambda shape: shape)
    many = replace(experiment, evaluation=replace(EXPERIMENT.evaluation, n_way=200))
    assert trials.trials_of(many, siamese_jax.Dataset(images)) == (12, 12, 3)


def test_data_that_cannot_be_had_are_replaced_by_glyphs_unless_their_archives_are_named(monkeypatch):
    asked = []

    def missing(spec, data_dir, archives):
        asked.append(archives)
        raise UserError("there is no folder")

    monkeypatch.setattr(data, "load", missing)
    monkeypatch.setattr(trials, "glyph_trials", lambda shape: shape)
    assert trials.trials_of(EXPERIMENT) == (12, 12, 1)
    assert not Path(asked[0]).is_dir()  # nothing is downloaded
    with pytest.raises(UserError, match="there is no folder"):
        trials.trials_of(EXPERIMENT, archives="nowhere")
    assert trials.trials_of(replace(EXPERIMENT, data=Folder(side=9))) == (9, 9, 3)


def test_glyphs_are_drawn_for_any_shape_and_a_class_has_another_picture_in_support_and_query():
    some = trials.glyph_trials((20, 24, 3), n_way=3, runs=1)
    assert some.images.shape == (24, 20, 24, 3)
    assert (some.images.reshape(24, -1).max(axis=1) > 50).all()
    assert not some.images[:, :, 20:].any()
    assert np.shape(some.episodes.support) == (4, 3, 1)
    assert (
        not (some.images[some.episodes.support[..., 0]] == some.images[some.episodes.query]).all(axis=(2, 3, 4)).any()
    )


def test_what_the_examples_compare_with_is_little_endian(exported):
    model, folder, _ = exported
    kept = json.loads((folder / "check.json").read_text())
    embeddings = np.frombuffer(base64.b64decode(kept["embeddings"]), "<f4").reshape(-1, 6)
    pictures = np.frombuffer(base64.b64decode(kept["pictures"]), np.uint8).reshape(-1, 12, 12, 1)
    np.testing.assert_allclose(model.embed(pictures), embeddings, atol=1e-6)
    assert (kept["supports"], len(pictures)) == (3, 5)
