import zipfile

import numpy as np
import pytest

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import DRAWERS, select, split, split_at_random, split_untested, take
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
def test_no_group_and_no_author_is_shared_between_train_validation_and_test(drawer_split):
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


def test_the_official_split_trains_on_no_author_of_the_official_runs():
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


def test_an_empty_set_is_refused():
    dataset = make_dataset()
    with pytest.raises(UserError, match="the test set is empty: no group has images by author 17 to 20"):
        split(dataset._replace(episodes=dataset.episodes._replace(query=np.array([[0]]))), "paper")
    with pytest.raises(UserError, match="no released episodes that say which groups are for test"):
        split(dataset._replace(episodes=None), "paper")


def test_selected_images_know_the_rows_that_they_came_from():
    images = make_dataset().images
    once = take(images, np.arange(5, 200, 3))
    twice = take(once, np.array([0, 7, 20]))
    np.testing.assert_array_equal(images.images[twice.rows], twice.images)
    assert twice.rows.tolist() == [5, 26, 65]


def own_images(groups: list[int]) -> Images:
    """Groups of so many classes, of 1 to 4 images each, by unknown authors; the image holds the class."""
    group = np.repeat(np.arange(len(groups)), groups)
    size = 1 + np.arange(len(group)) % 4
    class_index = np.repeat(np.arange(len(group)), size).astype(np.int32)
    return Images(
        images=np.broadcast_to(class_index[:, None, None, None], (len(class_index), 2, 2, 3)).astype(np.uint8),
        class_index=class_index,
        group_index=np.repeat(group, size).astype(np.int32),
        author=np.full(len(class_index), -1, np.int32),
        group_names=tuple(f"group {number}" for number in range(len(groups))),
    )


@pytest.mark.parametrize(("groups", "expected"), [(5, (3, 1, 1)), (12, (8, 2, 2)), (50, (30, 10, 10))])
def test_images_without_origins_are_split_by_group_a_fifth_each_for_validation_and_test(groups, expected):
    images = own_images([3] * groups)
    sets = split(Dataset(images), "paper")
    assert tuple(len(part.group_names) for part in sets.values()) == expected
    assert sorted(name for part in sets.values() for name in part.group_names) == sorted(images.group_names)
    for part in sets.values():
        np.testing.assert_array_equal(part.images, images.images[part.rows])
        layout_of(part)


def test_fewer_than_five_groups_are_split_by_class_and_a_small_group_is_for_training():
    images = own_images([10, 6, 5])
    sets = split(Dataset(images), "paper")
    assert [len(part.class_names) for part in sets.values()] == [6 + 2 + 5, 2 + 2, 2 + 2]
    assert [part.group_names for part in sets.values()][1:] == [("group 0", "group 1")] * 2
    shown = [set(part.images.ravel().tolist()) for part in sets.values()]
    assert [{int(name) for name in part.class_names} for part in sets.values()] == shown
    assert not shown[0] & shown[1] | shown[1] & shown[2] | shown[0] & shown[2]
    assert len(set.union(*shown)) == 21


def test_a_random_split_is_the_same_every_time_and_another_with_another_seed():
    images = own_images([4] * 30)
    first, again = split(Dataset(images), "paper"), split(Dataset(images), "official")
    assert [part.group_names for part in first.values()] == [part.group_names for part in again.values()]
    other = split_at_random(images, seed=1)
    assert first["test"].group_names != other["test"].group_names


@pytest.mark.parametrize("groups", [[5], [5, 5, 5, 5]])
def test_too_few_groups_and_classes_are_refused(groups):
    with pytest.raises(UserError, match="too few to split: give five groups, or six classes in a group"):
        split(Dataset(own_images(groups)), "paper")


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
def test_what_is_loaded_without_the_test_groups_splits_into_the_same_train_and_validation(
    prepared_omniglot, monkeypatch, background
):
    spec = Omniglot(downsample=7, background=background)
    whole = split(data.load(spec, prepared_omniglot), "paper")
    unpacked = []
    real = np.unpackbits
    monkeypatch.setattr(np, "unpackbits", lambda packed, **how: unpacked.append(packed) or real(packed, **how))
    untested = data.load_untested(spec, prepared_omniglot)
    assert len(unpacked) == len(untested.images.images) // 20
    assert not set(untested.images.group_names) & set(whole["test"].group_names)
    sets = split_untested(untested, "paper")
    assert set(sets) == {"train", "validation"}
    for name, part in sets.items():
        for ours, theirs in zip(part._replace(rows=None), whole[name]._replace(rows=None), strict=True):
            np.testing.assert_array_equal(ours, theirs)
