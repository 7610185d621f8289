"""Glyphs are legible, varied and always the same; their records and runs have the form of Omniglot's."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from siamese_jax.data import characters, glyphs, store
from siamese_jax.data.glyphs import pens

DRAWERS = range(1, 21)


@pytest.fixture(scope="module")
def numbers():
    """The characters, their strokes traced once for all tests."""
    return glyphs.number_characters()


@pytest.fixture(scope="module")
def drawn(numbers):
    """Drawings [characters, drawers, 105, 105] bool of every ninth character by every third drawer."""
    some = [(alphabet, *one) for alphabet, found in numbers.items() for one in list(found.values())[::9]]
    return np.stack([[glyphs.draw(*one, drawer) for drawer in DRAWERS[::3]] for one in some])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The builders of both configs, prepared in a world with two scripts."""
    with pytest.MonkeyPatch.context() as patch:
        test = {"Lisu": glyphs.TEST["Lisu"]}
        patch.setattr(glyphs, "TEST", test)
        patch.setattr(glyphs, "ORIGINS", {"background": {"Latin": glyphs.BACKGROUND["Latin"]}, "evaluation": test})
        return store.prepared(
            glyphs.Glyphs, str(tmp_path_factory.mktemp("glyphs")), configs=(characters.SPLIT, characters.RUNS_SPLIT)
        )


def test_there_are_enough_scripts_and_characters_numbered_from_one(numbers):
    counted = [number for found in numbers.values() for number in found]
    assert len(numbers) >= 12
    assert len(counted) >= 600
    assert counted == list(range(1, len(counted) + 1))
    assert min(len(found) for found in numbers.values()) >= 20


def test_scripts_are_split_eight_four_four_and_none_is_in_two_parts(numbers):
    parts = glyphs.BACKGROUND, glyphs.VALIDATION, glyphs.TEST
    assert [len(part) for part in parts] == [8, 4, 4]
    assert sorted(alphabet for part in parts for alphabet in part) == sorted(numbers)


def test_the_same_drawings_are_made_in_any_order(numbers):
    first = [("Lao", *numbers["Lao"][min(numbers["Lao"])], 3), ("Cree", *numbers["Cree"][max(numbers["Cree"])], 20)]
    forwards = [hashlib.sha256(glyphs.draw(*one).tobytes()).hexdigest() for one in first]
    np.random.seed(1)  # noqa: NPY002
    glyphs.trace_script.cache_clear()
    glyphs.hand_of.cache_clear()
    again = glyphs.trace_script(glyphs.TEST["Lao"])
    code = first[0][1]
    backwards = [glyphs.draw(*first[1]), glyphs.draw("Lao", code, again[code], 3)]
    assert [hashlib.sha256(drawing.tobytes()).hexdigest() for drawing in backwards][::-1] == forwards


def test_every_drawing_has_ink_and_none_near_the_border(drawn):
    assert drawn.shape[2:] == (105, 105)
    assert drawn.sum((2, 3)).min() > 60
    framed = drawn.copy()
    framed[..., 2:-2, 2:-2] = False
    assert not framed.any()


def test_drawings_fill_half_to_four_fifths_of_the_canvas(drawn):
    boxes = [ndimage.find_objects(drawing)[0] for drawing in drawn.astype(np.int8).reshape(-1, 105, 105)]
    longest = [max(side.stop - side.start for side in box) for box in boxes]
    assert min(longest) >= 105 / 2
    assert max(longest) <= 105 * 0.85


def test_lines_are_as_thin_as_a_pens(drawn):
    widest = [2 * ndimage.distance_transform_edt(drawing).max() for drawing in drawn[:, ::3].reshape(-1, 105, 105)]
    assert 2 <= np.median(widest) <= 6


def test_no_two_drawers_draw_a_character_alike(drawn):
    for drawings in drawn.reshape(*drawn.shape[:2], -1):
        overlaps = (drawings[:, None] & drawings).sum(2) / (drawings[:, None] | drawings).sum(2)
        assert np.max(overlaps - np.eye(len(drawings))) < 0.9


def test_no_two_characters_of_a_script_coincide(numbers):
    for found in numbers.values():
        strokes = [strokes for _, strokes in found.values()]
        apart = glyphs.distances(strokes) + np.eye(len(strokes))
        assert apart.min() >= glyphs.ALIKE


def test_the_nearest_drawing_by_another_drawer_is_often_but_not_always_the_same_character(numbers):
    right = []
    for record in glyphs.make_runs(numbers):
        support, query = (
            np.stack([_draw_number(numbers, *one) for one in record[part].tolist()]).reshape(20, -1).astype(np.float32)
            for part in ("support", "query")
        )
        nearest = ((query[:, None] - support) ** 2).sum(2).argmin(1)
        right.append((nearest == record["answer"]).mean())
    assert 0.25 <= np.mean(right) <= 0.75


def _draw_number(numbers, character, drawer):
    alphabet = next(alphabet for alphabet, found in numbers.items() if character in found)
    return glyphs.draw(alphabet, *numbers[alphabet][character], drawer)


def test_runs_pair_twenty_characters_of_one_test_alphabet_by_two_drawers(numbers):
    runs = list(glyphs.make_runs(numbers))
    assert len(runs) == 20
    homes = []
    for run in runs:
        assert len(set(run["support"][:, 0].tolist())) == 20
        assert sorted(run["answer"].tolist()) == list(range(20))
        np.testing.assert_array_equal(run["support"][run["answer"], 0], run["query"][:, 0])
        (first,), (second,) = set(run["support"][:, 1].tolist()), set(run["query"][:, 1].tolist())
        assert first != second
        assert {first, second} <= set(range(1, 9))
        homes += [alphabet for alphabet in glyphs.TEST if set(run["support"][:, 0].tolist()) <= set(numbers[alphabet])]
    assert homes == [alphabet for alphabet in glyphs.TEST for _ in range(5)]


def test_the_prepared_records_hold_what_was_drawn(small):
    alphabets, released = characters.decode(store.read(small[0], characters.SPLIT))
    assert alphabets.group_names == ("Latin", "Lisu")
    assert alphabets.origins == ("background", "evaluation")
    latin, lisu = glyphs.trace_script(glyphs.BACKGROUND["Latin"]), glyphs.trace_script(glyphs.TEST["Lisu"])
    assert alphabets.images.shape == (20 * (len(latin) + len(lisu)), 105, 105, 1)
    np.testing.assert_array_equal(released, np.arange(1, len(latin) + len(lisu) + 1))
    code = list(lisu)[2]
    row = 20 * (len(latin) + 2) + 4
    assert alphabets.author[row] == 5
    np.testing.assert_array_equal(alphabets.images[row, ..., 0] == 255, glyphs.draw("Lisu", code, lisu[code], 5))


def test_the_prepared_runs_name_characters_that_were_prepared(small):
    runs = store.read(small[1], characters.RUNS_SPLIT)
    _, released = characters.decode(store.read(small[0], characters.SPLIT))
    assert len(runs) == 5
    assert {one for run in runs for one in run["support"][:, 0].tolist()} <= set(released.tolist())


def test_a_plus_sign_is_traced_as_two_straight_strokes():
    ink = np.zeros((60, 60), bool)
    ink[26:34, 5:55] = ink[5:55, 26:34] = True
    strokes = pens.trace(ink)
    assert len(strokes) == 2
    lengths = [np.hypot(*(path[-1] - path[0])) for path in strokes]
    np.testing.assert_allclose(lengths, 1, atol=0.05)
    assert max(np.ptp(path, axis=0).min() for path in strokes) < 0.05


def test_a_ring_is_traced_as_one_closed_stroke():
    row, column = np.mgrid[:70, :70] - 35
    radius = np.hypot(row, column)
    (ring,) = pens.trace((radius < 30) & (radius > 22))
    np.testing.assert_allclose(np.hypot(*ring.T), 0.5, atol=0.04)
    assert np.hypot(*(ring[0] - ring[-1])) < 0.05


def test_thinning_leaves_lines_one_pixel_wide_and_in_as_many_pieces():
    generator = np.random.default_rng(0)
    ink = np.pad(ndimage.gaussian_filter(generator.normal(size=(80, 80)), 4) > 0.02, 2)
    skeleton = pens.thin(ink)
    eight = np.ones((3, 3))
    assert ndimage.label(skeleton, eight)[1] == ndimage.label(ink, eight)[1]
    assert not (skeleton & ~ink).any()
    assert ndimage.distance_transform_edt(skeleton).max() < 2


@pytest.mark.parametrize("ink", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_what_cannot_be_traced_is_refused(ink):
    with pytest.raises(ValueError, match="ink"):
        pens.trace(ink)


def test_a_mere_dot_is_refused():
    ink = np.zeros((9, 9), bool)
    ink[4, 4] = True
    with pytest.raises(ValueError, match="dot"):
        pens.trace(ink)
