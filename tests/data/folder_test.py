"""Own pictures: folders and tables become images with classes, groups, authors and sets."""

import csv
import os

import numpy as np
import pytest
from folders import make_folder
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from siamese_jax import data
from siamese_jax.data.folder import table_of
from siamese_jax.data.folder.listing import Entry, list_pictures, write_table
from siamese_jax.errors import UserError
from siamese_jax.sampling.splits import split
from siamese_jax.specs import Folder
from siamese_jax.storage.image_files import read_image

GROUPS = {f"{group}/{class_}": 2 + number % 3 for group in "abcde" for number, class_ in enumerate("xyz")}


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "mine", GROUPS)


def load(path, cache, **fields):
    return data.load(Folder(path=str(path), side=12, **fields), str(cache))


def test_groups_and_classes_are_the_folders_and_images_are_the_files(folder, tmp_path):
    dataset = load(folder, tmp_path, author="stem")
    images = dataset.images
    assert images.group_names == tuple("abcde")
    assert images.class_names == tuple("xyz") * 5
    assert images.author_names == ("artist0", "artist1", "artist2", "artist3")
    assert len(dataset.files) == len(images.images) == sum(GROUPS.values())
    for row, path in enumerate(dataset.files):
        group, class_, name = path.split("/")
        assert images.group_names[images.group_index[row]] == group
        assert images.class_names[images.class_index[row]] == class_
        assert f"{images.author_names[images.author[row]]}.png" == name
        np.testing.assert_array_equal(images.images[row], read_image(folder / path, 12, 3))


def test_a_folder_of_classes_is_one_group(tmp_path):
    make_folder(tmp_path / "mine", {f"class {i}": 3 for i in range(8)})
    images = load(tmp_path / "mine", tmp_path).images
    assert images.group_names == ("all",)
    assert len(images.class_names) == 8
    assert set(images.author.tolist()) == {-1}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_says_class_group_author_and_set_of_each_picture(folder, tmp_path, separator):
    rows = [
        ("a/x/artist0.png", "one", "left", "ann", "train"),
        ("a/x/artist1.png", "one", "left", "bob", "train"),
        ("a/y/artist0.png", "two", "left", "", "validation"),
        ("b/y/artist1.png", "one", "right", "ann", "test"),
    ]
    lines = [separator.join(row) for row in (("path", "class", "group", "author", "split"), *rows)]
    (folder / "table.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    dataset = data.load(Folder(table=str(folder / "table.csv"), side=12), str(tmp_path))
    images = dataset.images
    assert images.group_names == ("left", "right")
    assert images.class_names == ("one", "two", "one")
    assert [images.author_names[a] if a >= 0 else "" for a in images.author] == ["ann", "bob", "", "ann"]
    assert {name: rows.tolist() for name, rows in dataset.sets.items()} == {
        "train": [0, 1],
        "validation": [2],
        "test": [3],
    }


def test_the_table_that_a_run_writes_gives_the_same_images_and_sets(folder, tmp_path):
    first = load(folder, tmp_path, author="stem", split="group", split_seed=3)
    (tmp_path / "images.csv").write_text(table_of(first))
    again = data.load(Folder(table=str(tmp_path / "images.csv"), path=str(folder), side=12), str(tmp_path))
    assert again.files == first.files
    np.testing.assert_array_equal(again.images.images, first.images.images)
    for name, rows in first.sets.items():
        np.testing.assert_array_equal(again.sets[name], rows)


text = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)


@given(st.lists(st.builds(Entry, text, text, text, text, st.sampled_from(["train", "validation", "test"])), min_size=1))
def test_any_names_survive_a_table(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    path.write_text(write_table(entries, [""] * len(entries)), encoding="utf-8")
    assert sorted(list_pictures(Folder(table=str(path))).entries) == sorted(entries)
    with path.open(newline="", encoding="utf-8") as file:  # as any other program reads it
        assert [row["class"] for row in csv.DictReader(file)] == [entry.class_ for entry in entries]


def test_groups_are_split_whole_by_seed_or_by_name(folder, tmp_path):
    by_group = split(load(folder, tmp_path), "")
    assert sorted(name for part in by_group.values() for name in part.group_names) == list("abcde")
    assert [len(part.group_names) for part in by_group.values()] == [3, 1, 1]
    other = split(load(folder, tmp_path, split_seed=1), "")
    assert other["test"].group_names != by_group["test"].group_names
    named = split(load(folder, tmp_path, validation_groups="b", test_groups="d, e"), "")
    assert [part.group_names for part in named.values()] == [("a", "c"), ("b",), ("d", "e")]
    with pytest.raises(UserError, match="data.test_groups=f has f, which is not a group: take some of a, b, c, d, e"):
        load(folder, tmp_path, validation_groups="b", test_groups="f")
    with pytest.raises(UserError, match="data.validation_groups= names no group"):
        load(folder, tmp_path, test_groups="e")


def test_fewer_training_classes_are_part_of_more_and_the_other_sets_stay(folder, tmp_path):
    whole = split(load(folder, tmp_path), "")

    def names(part):
        return {
            (part.group_names[g], part.class_names[c]) for g, c in zip(part.group_index, part.class_index, strict=True)
        }

    before = set()
    for count in (2, 5, 9):
        sets = split(load(folder, tmp_path, train_classes=count), "")
        assert len(names(sets["train"])) == count
        assert before < names(sets["train"]) <= names(whole["train"])
        before = names(sets["train"])
        for name in ("validation", "test"):
            np.testing.assert_array_equal(sets[name].images, whole[name].images)


def test_without_the_test_pictures_the_rest_is_the_same(folder, tmp_path):
    spec = Folder(path=str(folder), side=12)
    whole, untested = data.load(spec, str(tmp_path)), data.load_untested(spec, str(tmp_path))
    sets, some = split(whole, ""), split(untested, "")
    assert list(some) == ["train", "validation"]
    for name, part in some.items():
        np.testing.assert_array_equal(part.images, sets[name].images)
        assert part.class_names == sets[name].class_names
    assert set(sets["test"].group_names).isdisjoint(untested.images.group_names)


def test_a_class_in_two_sets_is_refused(folder, tmp_path):
    (folder / "t.csv").write_text(
        "path,class,split\na/x/artist0.png,one,train\na/x/artist1.png,one,test\nb/x/artist0.png,two,validation\n"
    )
    dataset = data.load(Folder(table=str(folder / "t.csv"), side=12), str(tmp_path))
    with pytest.raises(UserError, match="the class one is in train and in test: put all of its images into one"):
        split(dataset, "")


def test_files_that_are_no_pictures_are_left_out_and_damaged_ones_are_named(folder, tmp_path):
    for name in ("Thumbs.db", ".DS_Store", "a/notes.txt", "a/x/.hidden.png"):
        (folder / name).write_bytes(b"not a picture")
    (folder / "a/x/broken.png").write_bytes((folder / "a/x/artist0.png").read_bytes()[:60])
    (folder / "a/x/empty.jpg").touch()
    dataset = load(folder, tmp_path)
    assert len(dataset.files) == sum(GROUPS.values())
    said = "\n".join(dataset.notes)
    assert "6 files were skipped" in said
    assert "broken.png" in said
    assert "empty.jpg is empty" in said


def test_a_folder_of_which_hardly_anything_can_be_read_is_refused(folder, tmp_path):
    for path in list(folder.rglob("*.png"))[5:]:
        path.write_bytes(b"")
    with pytest.raises(
        UserError,
        match=r"has 5 pictures that can be used, and at least 23 are needed. 40 files were skipped: .* is empty",
    ):
        load(folder, tmp_path)


def test_pictures_are_read_once_and_again_where_a_file_changed(folder, tmp_path, monkeypatch):
    first = load(folder, tmp_path)
    Image.new("RGB", (8, 8), "white").save(tmp_path / "unused.png")
    monkeypatch.setattr("siamese_jax.data.folder.prepared.read_picture", None)  # nothing is read
    np.testing.assert_array_equal(load(folder, tmp_path).images.images, first.images.images)
    monkeypatch.undo()
    changed = folder / first.files[0]
    picture = 255 - np.asarray(Image.open(changed))
    Image.fromarray(picture).save(changed)
    os.utime(changed, ns=(1, 1))
    assert (load(folder, tmp_path).images.images[0] != first.images.images[0]).any()


def test_prepared_pictures_that_are_damaged_are_said_to_be(folder, tmp_path):
    load(folder, tmp_path)
    (raw,) = (tmp_path / "pictures").glob("*/images.raw")
    raw.write_bytes(raw.read_bytes()[:-1])
    with pytest.raises(UserError, match="prepared pictures in .* are damaged .* delete that folder"):
        load(folder, tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "names no picture"),
        ({"a.png": 1}, "must have all pictures as CLASS/PICTURE, or all as GROUP/CLASS/PICTURE, but it has a.png"),
        ({"a/x.png": 1, "a/b/y.png": 1}, "but it has a/x.png and a/b/y.png"),
        ({"a/b/c/x.png": 1}, "but it has a/b/c/x.png"),
    ],
)
def test_folders_of_another_form_are_refused_with_examples(tmp_path, files, said):
    (tmp_path / "mine").mkdir()
    for name in files:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(UserError, match=said):
        load(tmp_path / "mine", tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has the columns none: it needs path and class"),
        (b"file,label\na.png,x\n", "has the columns file, label: it needs path and class"),
        (b"path,class\na.png,\n", "line 2 has no class: fill it in"),
        (b"path,class,split\na.png,x,dev\n", "line 2 has split=dev: use train, validation or test"),
        (b"path,class\n\xff\xfe,x\n", "is not UTF-8 text"),
        (b'path,class\n"a.png,x\n', "is not CSV"),
        (b"path,class\nnone.png,x\n", "none.png could not be read"),
    ],
)
def test_tables_that_cannot_be_understood_are_refused_with_the_line(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=said):
        data.load(Folder(table=str(tmp_path / "t.csv")), str(tmp_path))


def test_the_words_of_reports_are_three(folder, tmp_path):
    assert load(folder, tmp_path, words="genus, species,photographer").images.words == (
        "genus",
        "species",
        "photographer",
    )
    for words in ("species", "a,b,c,d", "a,,c"):
        with pytest.raises(UserError, match=f"data.words={words} must be three words"):
            load(folder, tmp_path, words=words)


def test_a_folder_that_is_not_there_and_none_at_all_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder .*none: give --data.path=DIR"):
        load(tmp_path / "none", tmp_path)
    with pytest.raises(UserError, match="data.name=folder needs pictures: give --data.path=DIR"):
        data.load(Folder(), str(tmp_path))
