"""A gallery: what is enrolled is found, whoever else writes, and what does not fit is refused."""

import contextlib
import io
import re
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_model import EXPERIMENT, IMAGES, embedded, make_model, picture

import siamese_jax
from siamese_jax.errors import UserError
from siamese_jax.gallery import Enrolment, Gallery
from siamese_jax.specs import with_value

MODEL = make_model()


@pytest.fixture(params=["file", "database"])
def location(request, tmp_path):
    return tmp_path / "some" / "mine.gallery" if request.param == "file" else request.getfixturevalue("database")


@pytest.fixture
def gallery(location):
    with Gallery.open(location, MODEL, create=True) as gallery:
        yield gallery


def test_a_gallery_is_a_public_name():
    assert siamese_jax.Gallery is Gallery


def test_what_was_enrolled_is_listed_and_is_there_after_it_was_closed(gallery, location):
    added = gallery.enrol([picture(0), picture(20), picture(1)])
    assert [(one.id, one.class_name, one.source) for one in added] == [
        (1, "c0", "folder/0.png"), (2, "c1", "folder/20.png"), (3, "c0", "folder/1.png")
    ]  # fmt: skip
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", added[0].enrolled)
    gallery.close()
    with Gallery.open(location, None) as again:
        assert again.pictures() == added
        assert again.pictures("c0") == [added[0], added[2]]
        assert (again.classes(), len(again)) == ({"c0": 2, "c1": 1}, 3)
        assert again.about == (MODEL.card.name, MODEL.fingerprint, 8)


def test_an_enrolled_picture_is_the_best_match_of_itself(gallery):
    gallery.enrol([picture(index) for index in range(0, 600, 20)])
    answers = gallery.identify(embedded(MODEL, 40, 580), top=3)
    assert [answer.matches[0].class_name for answer in answers] == ["c2", "c29"]
    assert [answer.matches[0].picture for answer in answers] == [3, 30]
    assert all(len(answer.matches) == 3 for answer in answers)
    assert gallery.search in (
        "exact scan of 30 embeddings in memory",
        "50 pictures proposed by the L1 index of PostgreSQL, ranked by the network's own energy",
    )


@pytest.mark.parametrize("combine", ["mean_score", "best_score", "mean_embedding"])
@pytest.mark.parametrize("count", [1, 9, 65])
def test_scores_are_those_of_the_network_however_classes_are_combined(location, combine, count):
    model = make_model(0, with_value(EXPERIMENT, "evaluation.combine", combine))
    classes = [[0, 1, 2], [20], [40, 41]]
    queries = embedded(model, *range(100, 100 + count))
    with Gallery.open(location, model, create=True) as gallery:
        gallery.enrol([picture(index) for index in (40, 0, 20, 1, 41, 2)])
        answers = gallery.identify(queries)
    for query, answer in zip(queries, answers, strict=True):
        found = {match.class_name: match.score for match in answer.matches}
        for name, members in zip(("c0", "c1", "c2"), classes, strict=True):
            (wanted,) = model.scores(query[None], embedded(model, *members)[None])[0]
            np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5)
        assert sorted(found.values(), reverse=True) == list(found.values())


def test_a_match_names_its_nearest_picture(gallery):
    gallery.enrol([picture(index) for index in (0, 20, 1, 21, 2)])
    (answer,) = gallery.identify(embedded(MODEL, 1))
    assert {match.class_name: match.picture for match in answer.matches}["c0"] == 3


def test_one_of_each_is_the_first_picture_of_each_class_by_name(gallery):
    gallery.enrol([picture(20), picture(3, "c0"), picture(0), picture(21)])
    first, second = gallery.one_of_each()
    assert (first[0], second[0]) == ("c0", "c1")
    np.testing.assert_array_equal([first[2], second[2]], embedded(MODEL, 3, 20))
    with Image.open(io.BytesIO(first[1])) as image:
        np.testing.assert_array_equal(np.asarray(image), 255 - IMAGES[3, ..., 0])


def test_a_picture_that_its_class_has_is_not_enrolled_twice(gallery):
    first = gallery.enrol([picture(0), picture(0), picture(1)])
    assert len(first) == 2
    assert gallery.enrol([picture(1), picture(0), picture(2)])[0].source == "folder/2.png"
    assert gallery.classes() == {"c0": 3}
    assert len(gallery.enrol([picture(0, "other")])) == 1


def test_without_decisions_an_answer_says_why_it_has_no_probability(gallery):
    gallery.enrol([picture(0)])
    (answer,) = gallery.identify(embedded(MODEL, 0))
    assert (answer.unknown, answer.threshold, answer.matches[0].probability) == (None, None, None)
    assert answer.why.startswith("the network 'tiny0' has no measured decisions")


class Rules:
    """Decisions as a network with a measured card has them."""

    def probabilities(self, scores):
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def threshold(self, classes, fpir=0.01):
        return {2: -1e9, 30: 1e9}[classes] * (fpir / 0.01)


def test_decisions_see_the_scores_of_all_classes_and_their_number(location):
    model = make_model(decisions=Rules())
    with Gallery.open(location, model, create=True) as gallery:
        gallery.enrol([picture(0), picture(1), picture(20)])
        (answer,) = gallery.identify(embedded(model, 3), top=1, fpir=0.02)
        (both,) = gallery.identify(embedded(model, 3), top=2)
        assert (answer.unknown, answer.threshold, answer.why) == (False, -2e9, "")
        assert answer.matches[0] == both.matches[0]
        assert sum(match.probability for match in both.matches) == pytest.approx(1)
        assert 0.5 < answer.matches[0].probability < 1
        gallery.enrol([picture(index) for index in range(40, 600, 20)])
        assert gallery.identify(embedded(model, 3))[0].unknown


def test_the_trained_network_identifies_drawings_and_knows_which_are_unknown(archives, tmp_path):
    model = siamese_jax.load_pretrained("best")
    with zipfile.ZipFile(archives / "omniglot" / "all_runs.zip") as runs:
        of_classes, queries = (
            np.stack([model.read(runs.read(f"run01/{folder}/{kind}{n:02}.png")) for n in range(1, 21)])
            for folder, kind in (("training", "class"), ("test", "item"))
        )
    names = [f"{number:02}" for number in range(1, 21)]
    with Gallery.open(tmp_path / "g", model, create=True) as gallery:
        gallery.enrol([Enrolment(name, image) for name, image in zip(names, of_classes, strict=True)])
        answers = gallery.identify(model.embed(queries), top=20, fpir=0.1)
        scores = model.scores(model.embed(queries), model.embed(of_classes))
        assert [answer.matches[0].class_name for answer in answers] == [names[best] for best in scores.argmax(axis=1)]
        for answer in answers:
            assert sum(match.probability for match in answer.matches) == pytest.approx(1)
            assert answer.threshold == model.decisions.threshold(20, 0.1)
        for name in {answer.matches[0].class_name for answer in answers[:10]}:
            gallery.remove(class_name=name)
        without = gallery.identify(model.embed(queries), fpir=0.1)
    assert sum(not answer.unknown for answer in answers) >= 12
    assert sum(answer.unknown for answer in without[:10]) >= 8


def test_a_removed_class_and_a_removed_picture_are_gone(gallery):
    gallery.enrol([picture(index) for index in (0, 1, 20, 21, 40)])
    assert gallery.identify(embedded(MODEL, 40))[0].matches[0].class_name == "c2"
    assert gallery.remove(class_name="c2") == 1
    assert gallery.remove(picture=4) == 1
    assert gallery.classes() == {"c0": 2, "c1": 1}
    (answer,) = gallery.identify(embedded(MODEL, 40))
    assert {match.class_name for match in answer.matches} == {"c0", "c1"}


def test_what_is_not_there_cannot_be_removed(gallery):
    gallery.enrol([picture(0, "alpha")])
    with pytest.raises(UserError, match="has no class 'alhpa': did you mean 'alpha'"):
        gallery.remove(class_name="alhpa")
    with pytest.raises(UserError, match="has no picture 7: use an id that `pictures` lists"):
        gallery.remove(picture=7)
    for arguments in ({}, {"class_name": "alpha", "picture": 1}):
        with pytest.raises(UserError, match="give class_name='a' or picture=1"):
            gallery.remove(**arguments)
    assert len(gallery) == 1


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("enrol"), st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), max_size=4)),
        st.tuples(st.just("remove class"), st.sampled_from("abc")),
        st.tuples(st.just("remove picture"), st.integers(1, 12)),
        st.tuples(st.just("open again"), st.none()),
    ),
    max_size=12,
)


@pytest.fixture(params=["file", "database"], scope="module")
def fresh(request, tmp_path_factory):
    """Returns a new location at each call."""
    if request.param == "file":
        return lambda: tmp_path_factory.mktemp("changes") / "g"
    server = request.getfixturevalue("postgresql")
    return lambda: server.clear() or server.url


@given(changes=CHANGES)
def test_any_sequence_of_changes_leaves_what_a_dict_would_hold(fresh, changes):
    location = fresh()
    kept, queries = {}, embedded(MODEL, 4)
    gallery, reader = (Gallery.open(location, MODEL, create=True) for _ in range(2))
    try:
        for change, what in changes:
            if change == "enrol":
                new = dict.fromkeys(pair for pair in what if pair not in kept.values())
                added = gallery.enrol([picture(index, name) for index, name in what])
                assert [(one.class_name, one.source) for one in added] == [
                    (name, f"folder/{index}.png") for index, name in new
                ]
                kept |= {one.id: pair for one, pair in zip(added, new, strict=True)}
            elif change == "open again":
                gallery.close()
                gallery = Gallery.open(location, MODEL)
            else:
                gone = {key for key, (_, name) in kept.items() if what in (name, key)}
                if gone:
                    given = {"class_name": what} if change == "remove class" else {"picture": what}
                    assert gallery.remove(**given) == len(gone)
                kept = {key: pair for key, pair in kept.items() if key not in gone}
            assert [(one.id, one.class_name) for one in gallery.pictures()] == [
                (key, kept[key][1]) for key in sorted(kept)
            ]
            if kept:  # another connection sees it, too
                (answer,) = reader.identify(queries, top=9)
                assert {match.class_name for match in answer.matches} == {name for _, name in kept.values()}
    finally:
        gallery.close()
        reader.close()


def test_a_reader_notices_what_another_connection_adds_removes_and_embeds_again(gallery, location):
    other_network = make_model(1)
    gallery.enrol([picture(0)])
    with Gallery.open(location, MODEL) as reader:
        assert len(reader.identify(embedded(MODEL, 0))[0].matches) == 1
        gallery.enrol([picture(20)])
        assert reader.identify(embedded(MODEL, 20))[0].matches[0].class_name == "c1"
        gallery.remove(class_name="c0")
        assert [match.class_name for match in reader.identify(embedded(MODEL, 0))[0].matches] == ["c1"]
        gallery.re_embed(other_network)
        for use in (lambda: reader.identify(embedded(MODEL, 0)), lambda: reader.enrol([picture(40)])):
            with pytest.raises(
                UserError, match=r"holds embeddings of the network 'tiny1' \(.*not of 'tiny0' \(.*re_embed"
            ):
                use()


def test_another_network_is_refused_until_the_pictures_were_embedded_again(gallery, location):
    gallery.enrol([picture(index) for index in (0, 20, 40)])
    gallery.close()
    other = make_model(1)
    assert other.fingerprint != MODEL.fingerprint
    with pytest.raises(
        UserError, match=r"network 'tiny0' \(.{8}\), not of 'tiny1' \(.{8}\): .*embed the pictures again"
    ):
        Gallery.open(location, other)
    with Gallery.open(location, None) as gallery:
        assert gallery.re_embed(other) == 3
        assert gallery.about.network == "tiny1"
        np.testing.assert_allclose(
            gallery.identify(embedded(other, 25))[0].matches[0].score,
            other.scores(embedded(other, 25), embedded(other, 0, 20, 40)).max(),
            rtol=1e-5,
        )
        assert gallery.check().problems == ()
    with pytest.raises(UserError, match="not of 'tiny0'"):
        Gallery.open(location, MODEL)


def test_embedding_again_by_a_network_for_another_size_uses_the_kept_pixels(gallery):
    gallery.enrol([picture(index) for index in (0, 20, 40)])
    large = make_model(2, with_value(EXPERIMENT, "data.side", 24), side=24)
    assert gallery.re_embed(large) == 3
    (answer,) = gallery.identify(large.embed(IMAGES[20:21].repeat(2, axis=1).repeat(2, axis=2)))
    assert answer.matches[0].class_name == "c1"
    assert gallery.check().problems == ()


def test_embedding_again_changes_nothing_if_a_picture_is_damaged(gallery, location):
    gallery.enrol([picture(0), picture(20)])
    _spoil(location, "UPDATE pictures SET image = ? WHERE id = 2", b"nonsense")
    with pytest.raises(UserError, match="a picture in .* is damaged .*: run its check, and remove that picture"):
        gallery.re_embed(make_model(1))
    assert gallery.about.network == "tiny0"
    assert gallery.identify(embedded(MODEL, 20))[0].matches[0].class_name == "c1"


def test_a_fingerprint_differs_with_every_number_and_with_the_size_of_images():
    again = make_model()
    assert again.fingerprint == MODEL.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", again.fingerprint)
    changed = make_model()
    changed.params["conv1"]["bias"] = changed.params["conv1"]["bias"].at[0].add(1e-7)
    assert changed.fingerprint != MODEL.fingerprint
    other_energy = make_model(0, with_value(EXPERIMENT, "network.energy", "euclidean"))
    assert other_energy.fingerprint != MODEL.fingerprint


GREY = np.zeros((12, 12), np.uint8)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (picture(0, " a"), r"folder/0.png has the class name ' a': use 1 to 200 printable characters"),
        (picture(0)._replace(class_name=""), "has the class name ''"),
        (picture(0, "a\nb"), r"has the class name 'a\\nb'"),
        (picture(0, "x" * 201), "use 1 to 200 printable"),
        (
            Enrolment("a", np.zeros((9, 9), np.uint8)),
            r"a picture is uint8 \[9, 9, 1\], but the network takes uint8 \[12, 12, 1\]",
        ),
        (Enrolment("a", np.zeros((12, 12))), r"float64 \[12, 12, 1\]"),
        (Enrolment("a", GREY, b"GIF89a"), "has a thumbnail of 6 bytes that is not a PNG file of at most 65,536 bytes"),
        (Enrolment("a", GREY, b"\x89PNG\r\n\x1a\n" + bytes(70_000)), "thumbnail of 70,008 bytes"),
    ],
)
def test_a_picture_that_cannot_be_enrolled_is_named_and_nothing_is_enrolled(gallery, bad, said):
    with pytest.raises(UserError, match=said):
        gallery.enrol([picture(20), bad])
    assert len(gallery) == 0


def test_names_of_files_that_are_not_utf8_and_names_in_any_script_are_kept(gallery):
    gallery.enrol([picture(0, "ñ 漢 🙂", source="a\udcff\0.png")])
    (kept,) = gallery.pictures("ñ 漢 🙂")
    assert kept.source == "a??.png"


def test_a_query_that_does_not_fit_is_refused(gallery):
    with pytest.raises(UserError, match="is empty: enrol pictures of each class first"):
        gallery.identify(embedded(MODEL, 0))
    gallery.enrol([picture(0)])
    for queries, said in (
        (np.zeros((1, 7)), r"takes embeddings \[Q, 8\], not \[1, 7\]"),
        (np.zeros(8), r"not \[8\]"),
        (np.full((1, 8), np.nan), "not all finite"),
    ):
        with pytest.raises(UserError, match=said):
            gallery.identify(queries)
    with pytest.raises(UserError, match="top=0"):
        gallery.identify(embedded(MODEL, 0), top=0)
    assert gallery.identify(np.zeros((0, 8), np.float32)) == []


def test_without_a_network_nothing_can_be_enrolled_or_identified(gallery, location):
    gallery.enrol([picture(0)])
    with Gallery.open(location, None) as other:
        for use in (lambda: other.enrol([picture(1)]), lambda: other.identify(np.zeros((1, 8))), lambda: other.search):
            with pytest.raises(UserError, match="was opened without a network: give one, for example"):
                use()
        assert other.remove(picture=1) == 1


def test_people_are_shown_the_thumbnail_or_the_image_in_dark_ink_on_light_paper(gallery):
    thumbnail = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(thumbnail, "PNG")
    gallery.enrol([picture(0)._replace(thumbnail=thumbnail.getvalue()), picture(20)])
    assert gallery.thumbnail(1) == thumbnail.getvalue()
    shown = np.asarray(Image.open(io.BytesIO(gallery.thumbnail(2))))
    np.testing.assert_array_equal(shown, 255 - IMAGES[20, :, :, 0])
    with pytest.raises(UserError, match="has no picture 3"):
        gallery.thumbnail(3)


def test_check_finds_pictures_that_classes_share_and_rows_that_are_damaged(gallery, location):
    gallery.enrol([picture(0), picture(20), picture(20, "other"), picture(40), picture(60), picture(80)])
    assert gallery.check() == (
        6, 6, ("picture 3 of the class 'other' is identical to picture 2 of the class 'c1': remove one of them",)
    )  # fmt: skip
    _spoil(location, "UPDATE pictures SET class_name = 'c9' WHERE id = 4")
    _spoil(location, "UPDATE pictures SET image = (SELECT image FROM pictures WHERE id = 1) WHERE id = 5")
    _spoil(location, "UPDATE pictures SET thumbnail = ? WHERE id = 6", b"nonsense")
    count, _, (_, four, five, six) = gallery.check()
    assert count == 6
    assert four.startswith("picture 4 in ")
    assert "picture 5 of the class 'c3' is damaged (its pixels have changed)" in five
    assert "picture 6 of the class 'c4' is damaged" in six
    with pytest.raises(UserError, match="picture 4 in .* is damaged: restore the gallery from a copy, or remove that"):
        gallery.identify(embedded(MODEL, 80), top=9)
    for picture_id in (3, 4, 5, 6):
        gallery.remove(picture=picture_id)
    assert gallery.check().problems == ()
    assert gallery.identify(embedded(MODEL, 0))[0].matches[0].class_name == "c0"


def test_check_finds_embeddings_that_the_network_does_not_give(gallery, monkeypatch):
    honest = type(MODEL).embed
    monkeypatch.setattr(type(MODEL), "embed", lambda model, given: honest(model, given) * 1.01)
    gallery.enrol([picture(0)])
    monkeypatch.undo()
    assert (
        gallery.check()
        .problems[0]
        .startswith("picture 1 of the class 'c0' has an embedding that 'tiny0' does not give")
    )


def _spoil(location, command, *values):
    """Changes a gallery behind its back."""
    if isinstance(location, Path):
        with contextlib.closing(sqlite3.connect(location, isolation_level=None)) as database:
            database.execute(command, values)
    else:
        with psycopg.connect(location, options="-c search_path=siamese_jax_gallery,public") as database:
            database.execute(command.replace("?", "%s"), values or None)


@pytest.mark.parametrize("kind", ["postgresql+psycopg", "PostgreSQL", "postgres"])
def test_every_spelling_of_a_database_reaches_it_and_makes_no_file(kind, tmp_path, monkeypatch):
    reached = []

    class Store:
        def __init__(self, url, index):
            reached.append(url)
            raise UserError("it is away")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("siamese_jax.gallery.postgresql.PostgresqlStore", Store)
    with pytest.raises(UserError, match="it is away"):
        Gallery.open(f"{kind}://u@h/d", None)
    assert reached == ["postgresql://u@h/d"]
    assert list(tmp_path.iterdir()) == []


def test_another_database_is_refused_without_its_password(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"mysql://… cannot be used: give postgresql://USER@HOST/DATABASE") as error:
        Gallery.open("mysql://me:secret@h/d", MODEL, create=True)
    assert "secret" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
