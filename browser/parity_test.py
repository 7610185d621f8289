"""The JavaScript of a page computes what the package computes."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pack_glyphs
import pytest
from PIL import Image, ImageDraw
from tiny_model import EXPERIMENT, make_model

from siamese_jax.data import glyphs
from siamese_jax.pages import FOLDER, draw_page
from siamese_jax.specs import Cosine, Euclidean, L1Distance, Residual, WeightedL1, with_value

TOLERANCE = 1e-4
RNG = np.random.default_rng(0)


def as_lists(images: np.ndarray) -> list[list[int]]:
    return images.reshape(len(images), -1).tolist()


@pytest.fixture(scope="module")
def drawings() -> np.ndarray:
    """Characters of four scripts by two drawers: bool [4 · 10 · 2, 105, 105]."""
    found = []
    for name in pack_glyphs.SCRIPTS:
        script = glyphs.trace_script((glyphs.VALIDATION | glyphs.TEST)[name])
        for code, strokes in list(script.items())[:10]:
            found += [glyphs.draw(name, code, strokes, drawer) for drawer in (1, 2)]
    return np.stack(found)


def page_of(ink: np.ndarray) -> Image.Image:
    return Image.fromarray(255 - ink)


def test_embeddings_scores_and_choices_are_those_of_jax(model, best_page, node, drawings):
    images = np.stack([model.read(page_of(np.uint8(255) * drawing)) for drawing in drawings])
    wanted = model.embed(images)
    found = node(best_page, images=as_lists(images))
    embeddings = np.array(found["embeddings"], np.float32)
    assert np.abs(embeddings - wanted).max() <= TOLERANCE

    supports, queries = embeddings[::2], embeddings[1::2]
    found = node(
        best_page, queries=queries.tolist(), classes=supports.tolist(), of=[str(row) for row in range(len(supports))]
    )
    scores, exact = np.array(found["scores"]), model.scores(wanted[1::2], wanted[::2])
    assert np.abs(scores - exact).max() <= TOLERANCE
    np.testing.assert_array_equal(np.argsort(-scores, axis=1)[:, :5], np.argsort(-exact, axis=1)[:, :5])
    probabilities = np.array([one["probabilities"] for one in found["decisions"]])
    assert np.abs(probabilities - model.decisions.probabilities(exact)).max() <= TOLERANCE
    assert [one["unknown"] for one in found["decisions"]] == (~model.decisions.accepted(exact)).tolist()


@pytest.mark.parametrize("classes", [1, 2, 5, 12, 50, 120, 200, 900])
def test_probabilities_and_unknown_are_those_of_python_for_any_number_of_classes(model, best_page, node, classes):
    scores = RNG.normal(-20, 8, (40, classes))
    found = node(best_page, rankings=scores.tolist())["rankings"]
    probabilities = np.array([one["probabilities"] for one in found])
    np.testing.assert_allclose(probabilities, model.decisions.probabilities(scores), rtol=1e-9, atol=1e-12)
    assert [one["unknown"] for one in found] == (~model.decisions.accepted(scores)).tolist()


TOWERS = {
    "no_normalisation": (Residual(width=4, stages=1, units=6, normalisation="none"), Cosine(), "mean_score"),
    "layer": (Residual(width=6, stages=2, units=8, normalisation="layer", head="linear"), Euclidean(), "best_score"),
    "group": (Residual(width=16, stages=2, units=10), L1Distance(), "mean_embedding"),
    "sigmoid": (Residual(width=8, stages=2, units=10), WeightedL1(), "mean_embedding"),
}


@pytest.mark.parametrize(("tower", "energy", "combine"), TOWERS.values(), ids=TOWERS)
def test_every_residual_tower_energy_and_combination_is_that_of_jax(tower, energy, combine, node, tmp_path):
    side = 13  # odd, so that pools drop rows
    network = replace(EXPERIMENT.network, tower=tower, energy=energy)
    experiment = with_value(replace(EXPERIMENT, network=network), "data.side", side)
    model = make_model(experiment=with_value(experiment, "evaluation.combine", combine), side=side)
    params = jax.tree.map(
        lambda value: value + np.float32(0.1) * RNG.standard_normal(value.shape, np.float32), model.params
    )
    model = replace(model, params=params)
    page = tmp_path / "page.html"
    page.write_text(draw_page(model, None), encoding="utf-8")
    images = RNG.integers(0, 256, (12, side, side), np.uint8)
    wanted = model.embed(images)
    embeddings = np.array(node(page, images=as_lists(images))["embeddings"], np.float32)
    np.testing.assert_allclose(embeddings, wanted, atol=TOLERANCE * max(1, np.abs(wanted).max()))

    of = ["a", "b", "c"] * 3
    found = node(page, queries=wanted[9:].tolist(), classes=wanted[:9].tolist(), of=of)
    exact = model.scores(wanted[9:], wanted[:9].reshape(3, 3, -1).swapaxes(0, 1))
    np.testing.assert_allclose(found["scores"], exact, rtol=1e-4, atol=1e-4)
    assert found["decisions"] == [{"probabilities": None, "unknown": None}] * 3


def pad_sheet(kind: int) -> np.ndarray:
    """A page of a pad, uint8 [420, 420], 0 for paper: soft strokes, some small or off the middle, and dust."""
    rng = np.random.default_rng(kind)
    side, scale = 420, 3
    lines = Image.new("L", (side * scale, side * scale), 0)
    centre, reach = rng.uniform(100, 320, 2), rng.uniform(20, 100)
    for _ in range(rng.integers(1, 4)):
        points = centre + rng.uniform(-reach, reach, (4, 2))
        path = [tuple(point * scale) for point in points]
        ImageDraw.Draw(lines).line(path, fill=255, width=12 * scale, joint="curve")
    sheet = np.asarray(lines.reduce(scale)).copy()
    if kind % 3 == 0:
        sheet[5, 9] = 255
    return sheet


def test_a_page_of_the_pad_is_read_as_read_image_reads_it(model, best_page, node):
    sheets = [pad_sheet(kind) for kind in range(12)]
    asked = [{"side": 420, "ink": sheet.ravel().tolist(), "fit": "ink"} for sheet in sheets]
    found = np.array(node(best_page, sheets=asked)["read"])
    wanted = np.stack([model.read(page_of(sheet), "ink").ravel() for sheet in sheets]).astype(int)
    assert np.abs(found - wanted).max() <= 1  # float32 there, float64 here
    assert (found != wanted).mean() < 1e-3


def test_a_drawing_of_the_game_is_read_as_read_image_reads_it(model, best_page, node, drawings):
    sheets = np.uint8(255) * drawings[:10]
    asked = [{"side": 105, "ink": sheet.ravel().tolist(), "fit": "pad"} for sheet in sheets]
    found = np.array(node(best_page, sheets=asked)["read"])
    wanted = np.stack([model.read(page_of(sheet)).ravel() for sheet in sheets]).astype(int)
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 1e-3


def test_the_drawings_of_the_game_are_those_of_the_glyphs(best_page, node):
    places = [(0, 0, 0), (1, 3, 5), (2, 32, 2), (3, 26, 5)]
    found = node(best_page, glyphs=places)["glyphs"]
    assert [one["name"].replace(" ", "_") for one in found["scripts"]] == list(pack_glyphs.SCRIPTS)
    for (script, character, drawer), drawing in zip(places, found["drawings"], strict=True):
        name = pack_glyphs.SCRIPTS[script]
        traced = list(glyphs.trace_script((glyphs.VALIDATION | glyphs.TEST)[name]).items())
        assert len(traced) == found["scripts"][script]["characters"]
        wanted = glyphs.draw(name, *traced[character], drawer + 1)
        np.testing.assert_array_equal(np.array(drawing).reshape(105, 105) == 255, wanted)


def test_the_packed_drawings_are_what_the_tool_packs():
    assert (FOLDER / "glyphs.gz").read_bytes() == pack_glyphs.packed()


def test_a_gallery_keeps_its_embeddings_exactly(model, node, tmp_path: Path):
    embeddings = RNG.normal(size=(7, 256)).astype(np.float32)
    page = tmp_path / "page.html"
    page.write_text(draw_page(model, [(f"c{row}", b"", values) for row, values in enumerate(embeddings)]))
    assert node(page, gallery=True)["gallery"] == embeddings.ravel().tolist()
