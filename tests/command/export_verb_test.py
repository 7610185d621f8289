"""The verb `export`: flags become a request, and the answer is in words and in JSON."""

import json
from pathlib import Path

import pytest
from random_model import random_model
from tiny import make_dataset

from siamese_jax import data
from siamese_jax.command import answers, exports, verbs
from siamese_jax.command.export_verb import Export
from siamese_jax.errors import UserError
from siamese_jax.specs import Dense

MODEL = random_model(tower=Dense(hidden=5, units=6))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A tiny network in place of best, and its data in place of Omniglot; in an empty folder."""
    monkeypatch.setattr(exports, "load_pretrained", {"best": MODEL}.__getitem__)
    monkeypatch.setattr(data, "load", lambda spec, data_dir, archives: make_dataset())
    monkeypatch.chdir(tmp_path)


def ask(words: str) -> str:
    return answers.perform(verbs.read_request(words.split()))


def test_flags_become_a_request():
    asked = verbs.read_request(
        ["export", "--format=onnx,safetensors", "--output=d", "--checkpoint=runs/a", "--archives=z"]
    )
    assert asked == Export(
        checkpoint="runs/a", formats=("onnx", "safetensors"), output=Path("d"), gallery=None, data_dir=None,
        archives="z", json=False,
    )  # fmt: skip
    page = verbs.read_request(["export", "--format", "page", "--gallery", "g", "--output", "d.html", "--json"])
    assert (page.formats, page.gallery, page.json) == (("page",), "g", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export", "export needs --output, for example: siamese-jax export --format=onnx --output=DIR"),
        ("export best --output=d", "export takes flags only, not best"),
        ("export --format=page,onnx --output=d", "--format=page is one file"),
        ("export --gallery=g --output=d", "--gallery is for --format=page: leave it out"),
        ("export --fromat=onnx --output=d", "--fromat is not a flag of export: did you mean --format?"),
    ],
)
def test_a_mistake_is_a_sentence(words, message):
    with pytest.raises(UserError, match=message):
        verbs.read_request(words.split())


def test_an_answer_says_what_was_written_and_how_far_it_is_from_jax(tiny):
    lines = ask("export --format=onnx,safetensors --output=d").splitlines()
    assert lines[0].startswith("d: onnx, safetensors, 14 files, 0.")
    assert lines[1] == "compared with JAX on 6 trials: Lake's 20 official runs"
    assert lines[2].startswith("    onnx         embeddings differ by up to ")
    assert lines[2].endswith("; 6 of 6 choices are the same")
    assert "embeddings differ by up to 0.0e+00" in lines[3]
    answer = json.loads(ask("export --output=d --json"))
    assert (answer["folder"], answer["trials"]) == ("d", {"source": "Lake's 20 official runs", "count": 6})
    assert answer["parity"]["onnx"]["choices"] == 6
    assert set(answer["files"]) == {path.name for path in Path("d").iterdir()}
    assert "params.safetensors" not in answer["files"]


def test_the_answer_for_a_page_is_its_file(tiny, monkeypatch):
    def export_page(model, path, gallery):
        path.write_text("<!doctype html>")
        return 7

    monkeypatch.setattr("siamese_jax.export.page.export_page", export_page)
    said = ask("export --format=page --gallery=g --output=draw.html")
    assert said == "draw.html: one page that knows 7 classes, 0.0 MB; open it in a browser"
    answer = json.loads(ask("export --format=page --output=draw.html --json"))
    assert answer == {"page": "draw.html", "bytes": 15, "classes": 7}
