import zipfile

import numpy as np
import pytest

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import DRAWERS, select, split, split_untested
from siamese_jax.specs import Omniglot

CHARACTERS = (3, 2, 4, 3)
ORIGINS = ("background", "background", "evaluation", "evaluation")


def make_dataset() -> Dataset:
    """Four alphabets by 20 drawers; each image holds its own row number, so that it can be recognised."""
    alphabet = np.repeat(np.arange(4), np.array(CHARACTERS) * 20).astype(np.int32)
    character = np.repeat(np.arange(sum(CHARACTERS)), 20).astype(np.int32)
    drawer = np.tile(np.arange(1, 21), sum(CHARACTERS)).astype(np.int32)
    images = np.arange(len(drawer))[:, None, None] % np.array([[[256], [17], [13]]])
    images = Images(images.astype(np.uint8), character, alphabet, drawer, ("a", "b", "c", "d"), ORIGINS)
    query = np.flatnonzero(alphabet == 3)[:2].reshape(1, 2)
    return Dataset(images, Episodes(query[:, :, None], query, np.array([[0, 1]])))


@pytest.mark.parametrize("drawer_split", DRAWERS)
def test_no_alphabet_and_no_drawer_is_shared_between_train_validation_and_test(drawer_split):
    sets = split(make_dataset(), drawer_split)
    assert {name: part.group_names for name, part in sets.items()} == {
        "train": ("a", "b"),
        "validation": ("c",),
        "test": ("d",),
    }
    drawers = [set(part.author.tolist()) for part in sets.values()]
    assert [len(d) for d in drawers] == [12, 4, 4]
    assert len(set.union(*drawers)) == 20


def test_background_that_an_experiment_does_without_is_in_no_set():
    dataset = make_dataset()
    alphabets = dataset.images._replace(origins=("unused", *ORIGINS[1:]))
    sets = split(dataset._replace(images=alphabets), "paper")
    assert [part.group_names for part in sets.values()] == [("b",), ("c",), ("d",)]


def test_the_official_split_trains_on_no_drawer_of_the_official_runs():
    assert set(DRAWERS["official"]["train"]).isdisjoint(range(1, 9))
    assert list(DRAWERS["paper"]["test"]) == [17, 18, 19, 20]


def test_selected_images_keep_their_pixels_and_are_numbered_anew():
    alphabets = make_dataset().images
    part = select(alphabets, np.array([False, True, False, True]), range(5, 9))
    assert part.group_names == ("b", "d")
    assert part.group_index.tolist() == [0] * 8 + [1] * 12
    assert part.class_index.tolist() == sorted([*range(5)] * 4)
    expected = [
        i for i in range(len(alphabets.author)) if alphabets.group_index[i] in (1, 3) and 5 <= alphabets.author[i] <= 8
    ]
    np.testing.assert_array_equal(part.images, alphabets.images[expected])


def test_the_layout_finds_every_image_of_every_character():
    part = split(make_dataset(), "paper")["train"]
    first, count, drawers = layout_of(part)
    assert (first.tolist(), count.tolist(), drawers) == ([0, 3], [3, 2], 12)
    for alphabet in range(2):
        for character in range(first[alphabet], first[alphabet] + count[alphabet]):
            rows = character * drawers + np.arange(drawers)
            assert set(part.class_index[rows]) == {character}
            assert set(part.group_index[rows]) == {alphabet}
            assert part.author[rows].tolist() == list(range(1, 13))


def test_an_empty_set_and_a_missing_drawing_are_refused():
    dataset = make_dataset()
    with pytest.raises(UserError, match="not every character"):
        layout_of(Images(*(x[1:] if isinstance(x, np.ndarray) else x for x in dataset.images)))
    with pytest.raises(UserError, match="test set is empty"):
        split(dataset._replace(episodes=dataset.episodes._replace(query=np.array([[0]]))), "paper")


@pytest.mark.parametrize("number", [1, 2])
def test_the_small_background_sets_are_those_of_their_archives_and_test_stays_the_same(
    prepared_omniglot, archives, number
):
    sets = split(data.load(Omniglot(downsample=35, background=f"small{number}"), prepared_omniglot), "paper")
    with zipfile.ZipFile(archives / "omniglot" / f"images_background_small{number}.zip") as archive:
        released = {name.split("/")[1] for name in archive.namelist() if name.endswith(".png")}
    assert sets["train"].group_names == tuple(sorted(released))
    assert [len(part.group_names) for part in sets.values()] == [5, 10, 10]


def test_omniglot_is_split_as_the_paper_says_and_tested_on_the_alphabets_of_the_official_runs(prepared_omniglot):
    dataset = data.load(Omniglot(downsample=35), prepared_omniglot)
    sets = split(dataset, "paper")
    assert [len(part.group_names) for part in sets.values()] == [30, 10, 10]
    assert [len(part.images) for part in sets.values()] == [964 * 12, 277 * 4, 382 * 4]
    assert sets["test"].group_names == (
        "Atlantean", "Ge_ez", "Glagolitic", "Gurmukhi", "Kannada", "Malayalam", "Manipuri",
        "Old_Church_Slavonic_(Cyrillic)", "Tengwar", "Tibetan",
    )  # fmt: skip
    for part in sets.values():
        layout_of(part)


@pytest.mark.parametrize("background", ["all", "small2"])
def test_what_is_loaded_without_the_test_alphabets_splits_into_the_same_train_and_validation(
    prepared_omniglot, monkeypatch, background
):
    spec = Omniglot(downsample=7, background=background)
    whole = split(data.load(spec, prepared_omniglot), "paper")
    unpacked = []
    real = np.unpackbits
    monkeypatch.setattr(np, "unpackbits", lambda packed, **how: unpacked.append(packed) or real(packed, **how))
    untested = data.load_untested(spec, prepared_omniglot)
    assert len(unpacked) == len(untested.images) // 20
    assert not set(untested.group_names) & set(whole["test"].group_names)
    sets = split_untested(untested, "paper")
    assert set(sets) == {"train", "validation"}
    for name, part in sets.items():
        for ours, theirs in zip(part, whole[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
