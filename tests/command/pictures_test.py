"""Verbs on pictures: answers are those of the network, its decisions and the gallery, in words and in JSON."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from drawings import make_drawings
from PIL import Image, ImageOps
from tiny_model import make_model

import siamese_jax
from siamese_jax import data
from siamese_jax.command import answers, pictures, verbs
from siamese_jax.data.unpack import unpack
from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery
from siamese_jax.statistics.rules import DecisionRules

BEST = siamese_jax.load_pretrained("best")
RULES = BEST.decisions
assert RULES


class Rules(DecisionRules):
    """Decisions of the shipped network, whose first image is always unlike those of validation."""

    def unfamiliar(self, images):
        return np.arange(len(images)) == 0


MODEL = make_model(decisions=Rules(RULES.measured))
WITHOUT = make_model()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, data_dir, archives: make_drawings())
        folder = tmp_path_factory.mktemp("data") / "glyphs"
        unpack("glyphs", folder)
    return folder


@pytest.fixture
def folder(unpacked, tmp_path, monkeypatch):
    """The current folder, with the pictures of two groups in a/ and b/, and the tiny network in place of best."""
    for group in "ab":
        shutil.copytree(unpacked / group, tmp_path / group)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "load_pretrained", lambda name: {"best": MODEL, "without": WITHOUT}[name])
    return tmp_path


def save_inverted(source, target) -> None:
    with Image.open(source) as image:
        ImageOps.invert(image.convert("L")).save(target)


def said(line: str) -> str:
    return answers.perform(verbs.read_request(line.split()))


def answered(line: str) -> dict:
    return json.loads(said(f"{line} --json"))


def test_unpack_says_what_it_wrote(folder, monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, data_dir, archives: make_drawings())
    assert said("unpack glyphs d") == "d: 30 pictures of 10 classes in 2 groups, as GROUP/CLASS/AUTHOR.png"
    assert answered("unpack glyphs e") == {"folder": "e", "pictures": 30, "classes": 10, "groups": 2}


def test_a_class_has_the_name_of_its_folder_within_the_one_that_is_enrolled(folder):
    answer = answered("enrol a --only=01.png --gallery=g")
    assert (answer["enrolled"], answer["pictures"], answer["classes"]) == (5, 5, 5)
    (folder / "all").mkdir()
    shutil.copytree(folder / "b", folder / "all" / "b")
    shutil.copy(folder / "a" / "character01" / "02.png", folder / "all" / "mine.png")
    said("enrol all --gallery=h")
    with Gallery.open("h", None) as gallery:
        assert gallery.classes() == {**{f"b/character0{i}": 3 for i in range(1, 6)}, "mine": 1}
        sources = {picture.source for picture in gallery.pictures("mine")}
    assert sources == {"all/mine.png"}


def test_enrolling_twice_changes_nothing_and_says_so(folder):
    assert said("enrol a --only=01.png --gallery=g").startswith(
        "g: 5 pictures enrolled; it has 5 pictures of 5 classes"
    )
    assert "0 pictures enrolled; it has 5 pictures of 5 classes\n5 pictures had been" in said(
        "enrol a --only=01.png --gallery=g"
    )


def test_files_that_cannot_be_used_are_skipped_and_named(folder):
    (folder / "a" / "Thumbs.db").write_bytes(b"x")
    (folder / "a" / "character01" / "damaged.png").write_bytes(b"")
    (folder / "a" / ".git").mkdir()
    (folder / "a" / ".git" / "a.png").write_bytes(b"x")
    answer = answered("enrol a --gallery=g")
    assert answer["enrolled"] == 15
    assert answer["skipped"] == {
        "a/Thumbs.db": "a/Thumbs.db is not a picture",
        "a/character01/damaged.png": "a/character01/damaged.png is empty: replace the file",
    }
    text = said("enrol a --gallery=h")
    assert (
        "2 files were skipped: a/character01/damaged.png is empty: replace the file; 1 not a picture (Thumbs.db)"
        in text
    )


def test_one_class_can_be_named_for_single_files(folder):
    said("enrol a/character01/01.png b --class=x --gallery=g")
    with Gallery.open("g", None) as gallery:
        assert gallery.classes() == {"x": 16}
    with pytest.raises(UserError, match="01.png is not a folder, so its class is not known: add --class=NAME"):
        said("enrol a/character01/01.png --gallery=g")


def test_a_folder_without_pictures_is_refused_and_makes_no_gallery(folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="empty has 0 pictures that can be used, and at least 1 is needed. 1 file was"):
        said("enrol empty --gallery=g")
    assert not (folder / "g").exists()


def test_identify_answers_as_the_gallery_does(folder):
    said("enrol a --only=0[12].png --gallery=g")
    paths = ["a/character01/01.png", "a/character03/03.png", "b/character02/03.png"]
    answer = answered(f"identify {' '.join(paths)} --gallery=g --top=3 --fpir=0.05")
    with Gallery.open("g", MODEL) as gallery:
        expected = gallery.identify(MODEL.embed(np.stack([MODEL.read(path) for path in paths])), 3, 0.05)
    assert [one["path"] for one in answer["pictures"]] == paths
    for found, wanted in zip(answer["pictures"], expected, strict=True):
        assert found["unknown"] == wanted.unknown
        assert found["threshold"] == pytest.approx(wanted.threshold)
        assert [match["class_name"] for match in found["matches"]] == [match.class_name for match in wanted.matches]
        assert found["matches"][0]["probability"] == pytest.approx(wanted.matches[0].probability)
    assert answer["search"] == "exact scan of 10 embeddings in memory"
    assert answer["remarks"] == {paths[0]: ["unlike the pictures that the network was trained on"]}


def test_identify_says_the_class_or_unknown_and_names_what_it_could_not_read(folder, monkeypatch):
    said("enrol a --only=01.png --gallery=g")
    (folder / "b.txt").write_text("x")
    text = said("identify a/character01/01.png b.txt --gallery=g --top=2")
    with Gallery.open("g", MODEL) as gallery:
        (expected,) = gallery.identify(MODEL.embed(MODEL.read("a/character01/01.png")[None]), 2, 0.1)
    monkeypatch.setattr(Gallery, "identify", lambda *_: [expected._replace(unknown=True)])
    refused = said("identify a/character01/01.png --gallery=g")
    assert "a/character01/01.png: unknown; if it is one of these classes:\n    character01" in refused
    assert "unknown: the best class is not near enough for --fpir=0.1" in refused
    monkeypatch.setattr(Gallery, "identify", lambda *_: [expected._replace(unknown=False)])
    accepted = said("identify a/character01/01.png b.txt --gallery=g")
    assert accepted.splitlines()[0] == "a/character01/01.png: character01"
    assert accepted.splitlines()[1].endswith(f"{expected.matches[0].probability:.1%}")
    assert "1 file was skipped: 1 not a picture (b.txt)" in accepted
    assert "1 file was skipped: 1 not a picture (b.txt)" in text


def test_without_readable_pictures_identify_is_refused(folder):
    said("enrol a --only=01.png --gallery=g")
    with pytest.raises(UserError, match="1 file was skipped: nope.png could not be read: No such file"):
        said("identify nope.png --gallery=g")


def test_a_network_without_decisions_ranks_and_says_that_it_cannot_decide(folder):
    said("enrol a --only=01.png --gallery=g --checkpoint=without")
    answer = answered("identify a/character01/01.png --gallery=g --checkpoint=without")
    assert answer["pictures"][0]["unknown"] is None
    assert answer["pictures"][0]["matches"][0] == {
        "class_name": "character01",
        "score": pytest.approx(answer["pictures"][0]["matches"][0]["score"]),
        "probability": None,
        "picture": 1,
    }
    assert "has no measured decisions" in said("identify a/character01/01.png --gallery=g --checkpoint=without")
    pair = answered("verify a/character01/01.png a/character01/01.png --checkpoint=without")
    assert (pair["probability"], pair["prior"], pair["threshold"]) == (None, None, WITHOUT.threshold)


@pytest.mark.parametrize("prior", [0.5, 0.01])
@pytest.mark.parametrize("other", ["a/character01/02.png", "b/character04/02.png"])
def test_verify_decides_by_the_calibrated_probability(folder, other, prior):
    first, second = MODEL.embed(np.stack([MODEL.read("a/character01/01.png"), MODEL.read(other)]))
    score = float(MODEL.scores(first[None], second[None])[0, 0])
    answer = answered(f"verify a/character01/01.png {other} --prior={prior}")
    assert answer["score"] == pytest.approx(score, abs=1e-4)
    assert answer["probability"] == pytest.approx(float(RULES.p_same(np.array(score), prior)), abs=1e-4)
    assert answer["same"] == (answer["probability"] >= 0.5)
    assert answer["same"] == (score >= answer["threshold"])
    text = said(f"verify a/character01/01.png {other} --prior={prior}")
    assert text.startswith(f"{'same' if answer['same'] else 'different'}, p(same) = {answer['probability']:.1%}\n")


@pytest.mark.parametrize("prior", [0, 1, -0.5])
def test_a_prior_that_is_no_chance_is_refused(folder, prior):
    with pytest.raises(UserError, match="is not between 0 and 1"):
        said(f"verify a/character01/01.png a/character01/02.png --prior={prior}")


def test_what_was_done_to_a_picture_is_said(folder):
    save_inverted(folder / "a" / "character01" / "01.png", folder / "inverted.png")
    answer = answered("verify a/character01/02.png inverted.png")
    assert answer["remarks"]["inverted.png"] == ["light ink on dark paper: inverted"]
    assert answer["score"] == answered("verify a/character01/02.png a/character01/01.png")["score"]
    assert "inverted.png: light ink on dark paper: inverted" in said("verify a/character01/02.png inverted.png")
    other = answered("verify a/character01/02.png inverted.png --polarity=dark")
    assert other["score"] != answer["score"]


def test_a_remark_on_many_pictures_says_how_many(folder):
    for path in (folder / "a").rglob("*.png"):
        save_inverted(path, path)
    assert "15 pictures: light ink on dark paper: inverted" in said("enrol a --gallery=g")


def test_a_gallery_is_listed_emptied_and_checked(folder):
    said("enrol a --only=0[12].png --gallery=g")
    assert said("gallery list --gallery=g").splitlines() == [
        *(f"character0{i}  2" for i in range(1, 6)),
        "10 pictures of 5 classes, for the network 'tiny0'",
    ]
    listed = answered("gallery list --gallery=g")
    assert listed["classes"] == {f"character0{i}": 2 for i in range(1, 6)}
    assert listed["pictures"][0]["source"] == "a/character01/01.png"
    assert said("gallery check --gallery=g") == "10 pictures of 5 classes checked: no problems"
    assert answered("gallery check --gallery=g --checkpoint=best")["problems"] == []
    assert said("gallery remove --class=character05 --gallery=g") == "2 pictures removed; g has 8 pictures"
    assert answered("gallery remove --picture=1 --gallery=g") == {"gallery": "g", "removed": 1, "pictures": 7}
    shutil.copytree(folder / "a" / "character02", folder / "twice" / "other")
    said("enrol twice --only=01.png --gallery=g")
    problem, total = said("gallery check --gallery=g").splitlines()
    assert "is identical to picture" in problem
    assert total == "8 pictures of 5 classes checked: 1 problem"


@pytest.mark.parametrize(
    "line", ["identify a/character01/01.png", "gallery list", "gallery remove --class=a", "gallery check"]
)
def test_a_gallery_that_is_not_there_is_a_sentence(folder, line):
    with pytest.raises(UserError, match="nowhere could not be opened: No such file"):
        said(f"{line} --gallery=nowhere")


def test_white_characters_on_black_are_identified_from_black_ones_on_white(archives, tmp_path):
    with zipfile.ZipFile(archives / "omniglot" / "all_runs.zip") as runs:
        names = [name for name in runs.namelist() if name.startswith("run01/")]
        runs.extractall(tmp_path, names)
    run = tmp_path / "run01"
    for number, path in enumerate(sorted((run / "training").glob("class*.png"))):
        (tmp_path / "classes" / f"class{number + 1:02}").mkdir(parents=True)
        save_inverted(path, tmp_path / "classes" / f"class{number + 1:02}" / "1.png")
    answers.perform(verbs.read_request(["enrol", str(tmp_path / "classes"), f"--gallery={tmp_path / 'g'}"]))
    queries = sorted(map(str, (run / "test").glob("*.png")))
    request = verbs.read_request(["identify", *queries, f"--gallery={tmp_path / 'g'}", "--json"])
    found = {one["path"]: one["matches"][0]["class_name"] for one in json.loads(answers.perform(request))["pictures"]}
    labels = dict(line.split() for line in (run / "class_labels.txt").read_text().splitlines())
    right = sum(found[str(tmp_path / query)] in label for query, label in labels.items())
    assert right >= 19
