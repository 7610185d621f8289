"""Omniglot: the real archives read back right, compared with another way of reading them, and bad ones refused."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from siamese_jax import data
from siamese_jax.data import characters, omniglot
from siamese_jax.data.omniglot import Drawing
from siamese_jax.errors import UserError
from siamese_jax.images.resize import average_areas
from siamese_jax.specs import Omniglot


@pytest.fixture(scope="session")
def loaded(prepared_omniglot):
    return data.load(Omniglot(), prepared_omniglot)  # neither archives nor a network: it is prepared


def picture(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Reads an image as 0 for paper, 255 for ink, by way of 8-bit grey."""
    return 255 - np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))


def test_all_images_are_there_sorted_by_alphabet_character_and_drawer(loaded):
    alphabets = loaded.images
    assert (alphabets.images.dtype, alphabets.images.shape) == (np.uint8, (32_460, 105, 105, 1))
    assert alphabets.origins == ("background",) * 30 + ("evaluation",) * 20
    assert list(alphabets.group_names[:30]) == sorted(alphabets.group_names[:30])
    assert list(alphabets.group_names[30:]) == sorted(alphabets.group_names[30:])
    np.testing.assert_array_equal(alphabets.class_index, np.arange(32_460) // 20)
    np.testing.assert_array_equal(alphabets.author, np.arange(32_460) % 20 + 1)
    assert (np.diff(alphabets.group_index) >= 0).all()
    assert np.bincount(alphabets.group_index)[:3].tolist() == [20 * 20, 29 * 20, 26 * 20]  # Lake's own listing
    assert {column.dtype for column in alphabets[1:4]} == {np.dtype(np.int32)}


def test_every_image_is_the_archive_s(loaded, archives):
    # Names sorted as text are in the order that Images promises.
    row = 0
    for part in ("background", "evaluation"):
        with zipfile.ZipFile(archives / "omniglot" / f"images_{part}.zip") as archive:
            for name in sorted(name for name in archive.namelist() if name.endswith(".png")):
                assert np.array_equal(loaded.images.images[row, ..., 0], picture(archive, name)), name
                assert loaded.images.group_names[loaded.images.group_index[row]] == name.split("/")[1]
                row += 1
    assert row == 32_460


def test_the_official_trials_are_the_released_ones_pixel_for_pixel(loaded, archives):
    runs, images = loaded.episodes, loaded.images.images[..., 0]
    assert (runs.support.shape, runs.query.shape, runs.answer.shape) == ((20, 20, 1), (20, 20), (20, 20))
    assert {array.dtype for array in runs} == {np.dtype(np.int32)}
    trials = 0
    with zipfile.ZipFile(archives / "omniglot" / "all_runs.zip") as archive:
        for run in range(20):
            for line in archive.read(f"run{run + 1:02}/class_labels.txt").decode().split("\n"):
                if not line:
                    continue
                item, right = line.split()
                query = int(item[-6:-4]) - 1
                assert np.array_equal(images[runs.query[run, query]], picture(archive, item))
                assert np.array_equal(images[runs.support[run, runs.answer[run, query], 0]], picture(archive, right))
                assert right.endswith(f"class{runs.answer[run, query] + 1:02}.png")
                trials += 1
    assert trials == 400


def test_a_run_is_within_one_test_alphabet_and_between_two_drawers(loaded):
    alphabets, runs = loaded.images, loaded.episodes
    names = set()
    for support, query, answer in zip(runs.support[..., 0], runs.query, runs.answer, strict=True):
        np.testing.assert_array_equal(alphabets.class_index[support[answer]], alphabets.class_index[query])
        (first,), (second,) = (set(alphabets.author[rows].tolist()) for rows in (support, query))
        assert first != second
        assert max(first, second) <= 8
        names |= {alphabets.group_names[index] for index in alphabets.group_index[[*support, *query]]}
    assert names == {
        *("Atlantean", "Ge_ez", "Glagolitic", "Gurmukhi", "Kannada", "Malayalam", "Manipuri"),
        *("Old_Church_Slavonic_(Cyrillic)", "Tengwar", "Tibetan"),
    }


def test_the_small_sets_name_five_background_alphabets_each(prepared_omniglot, archives, loaded):
    for name, alphabets in data.small_backgrounds(prepared_omniglot).items():
        with zipfile.ZipFile(archives / "omniglot" / f"images_{name}.zip") as archive:
            found = {member.split("/")[1] for member in archive.namelist() if member.endswith(".png")}
        assert set(alphabets) == found
        assert len(alphabets) == 5
        assert found < set(loaded.images.group_names[:30])


def test_downsampling_averages_blocks(loaded, prepared_omniglot):
    small = data.load(Omniglot(downsample=3), prepared_omniglot).images.images
    assert small.shape == (32_460, 35, 35, 1)
    for row in range(0, 32_460, 5_000):
        mean = loaded.images.images[row].reshape(35, 3, 35, 3).astype(float).mean(axis=(1, 3))
        assert np.abs(small[row, ..., 0] - mean).max() <= 0.5


@pytest.mark.parametrize("downsample", [-3, 0, 2, 106])
def test_blocks_that_do_not_tile_an_image_are_refused(tmp_path, downsample):
    with pytest.raises(UserError, match=rf"downsample={downsample} does not divide"):
        data.load(Omniglot(downsample=downsample), str(tmp_path))


def test_records_come_back_in_the_promised_order_whatever_the_order_they_were_made_in():
    ink = np.random.default_rng(0).integers(0, 2, (3, 20, 105, 105), np.uint8)
    drawers = np.roll(np.arange(1, 21), 7)
    made = [
        characters.encode("Aa", "evaluation", 1, drawers, ink[0]),
        characters.encode("Zz", "background", 3, drawers, ink[1]),
        characters.encode("Zz", "background", 2, drawers, ink[2]),
    ]
    as_read = [{**record, **{key: record[key].encode() for key in ("alphabet", "origin")}} for record in made]
    alphabets, numbers = characters.decode(as_read)
    assert numbers.tolist() == [2, 3, 1]
    assert (alphabets.group_names, alphabets.origins) == (("Zz", "Aa"), ("background", "evaluation"))
    for place, part in enumerate((2, 1, 0)):
        for index, drawer in enumerate(drawers):
            np.testing.assert_array_equal(alphabets.images[place * 20 + drawer - 1, ..., 0], ink[part, index] * 255)


# Archives that are not the published ones.


def png(ink: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(~ink).save(target, "png")
    return target.getvalue()


def write_zip(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def evaluation() -> dict[Drawing, np.ndarray]:
    """Drawings of 20 characters by drawers 1 and 2, and one that is the same picture as one of them."""
    generator = np.random.default_rng(0)
    names = [Drawing("Tengwar", 1000 + index, drawer) for index in range(20) for drawer in (1, 2)]
    drawings = {name: generator.random((105, 105)) < 0.1 for name in names}
    drawings[Drawing("Oriya", 1500, 2)] = drawings[names[1]]  # a twin by the same drawer of another alphabet
    return drawings


def runs_zip(evaluation) -> dict[str, bytes]:
    """The members of an all_runs.zip of 20 equal runs; the answer to item k is class 21 - k."""
    members = {}
    for run in range(1, 21):
        lines = []
        for index in range(20):
            item, right = f"run{run:02}/test/item{index + 1:02}.png", f"run{run:02}/training/class{20 - index:02}.png"
            members[item] = png(evaluation[Drawing("Tengwar", 1000 + index, 2)])
            members[right] = png(evaluation[Drawing("Tengwar", 1000 + index, 1)])
            lines.append(f"{item} {right}\n")
        members[f"run{run:02}/class_labels.txt"] = "".join(lines).encode()
    return members


def test_runs_are_identified_even_where_a_picture_has_a_twin(evaluation, tmp_path):
    runs = list(omniglot.read_runs(write_zip(tmp_path / "all_runs.zip", runs_zip(evaluation)), evaluation))
    assert len(runs) == 20
    assert runs[4]["query"].tolist() == [[1000 + index, 2] for index in range(20)]
    assert runs[4]["support"].tolist() == [[1019 - index, 1] for index in range(20)]
    assert runs[4]["answer"].tolist() == list(range(19, -1, -1))


@pytest.mark.parametrize(
    ("problem", "member", "content"),
    [
        (r"lacks run07/test/item03\.png", "run07/test/item03.png", None),
        (r"run07/test/item03\.png is not among the evaluation images", "run07/test/item03.png", "blank"),
        (r"run07/test/item03\.png is not 105×105 pixels of one bit", "run07/test/item03.png", "small"),
        (r"run07/test/item03\.png: cannot identify", "run07/test/item03.png", b"no picture"),
        (r"run07/test/item01\.png to run07/test/item20.png are not 20 characters", "run07/test/item03.png", "again"),
        (r"class_labels\.txt does not name a class for each item", "run07/class_labels.txt", b"some words here\n"),
        (r"class_labels\.txt pairs different characters", "run07/class_labels.txt", "shifted"),
    ],
)
def test_wrong_runs_are_refused(evaluation, tmp_path, problem, member, content):
    members = runs_zip(evaluation)
    made = {
        "blank": png(np.zeros((105, 105), bool)),
        "small": png(np.zeros((28, 28), bool)),
        "again": members["run07/test/item04.png"],
        "shifted": b"".join(
            f"run07/test/item{index + 1:02}.png run07/training/class{index + 1:02}.png\n".encode()
            for index in range(20)
        ),
    }
    members[member] = made.get(content, content)
    if members[member] is None:
        del members[member]
    with pytest.raises(UserError, match=rf"all_runs\.zip is not the published file \(.*{problem}"):
        list(omniglot.read_runs(write_zip(tmp_path / "all_runs.zip", members), evaluation))


def test_a_small_set_that_differs_from_the_background_is_refused(evaluation, tmp_path):
    drawing = Drawing("Tengwar", 1004, 2)
    assert omniglot.check_subset(tmp_path, {drawing: evaluation[drawing]}, evaluation) == ["Tengwar"]
    with pytest.raises(UserError, match="character 1004 by drawer 2 is not the background's"):
        omniglot.check_subset(tmp_path, {drawing: ~evaluation[drawing]}, evaluation)


@pytest.fixture
def wrong(evaluation, tmp_path):
    """A folder of archives of which images_evaluation.zip is well-formed and holds 20 characters by two drawers."""
    for file in omniglot.ARCHIVES:
        write_zip(tmp_path / file.name, {})
    write_zip(
        tmp_path / "images_evaluation.zip",
        {
            f"images_evaluation/{name.alphabet}/character01/{name.character:04}_{name.drawer:02}.png": png(ink)
            for name, ink in evaluation.items()
        },
    )
    return tmp_path


def test_an_archive_with_wrong_counts_is_refused(wrong, tmp_path):
    message = r"images_evaluation\.zip is not .*41 images of 21 characters in 2 alphabets instead of 13180 of 659 in 20"
    with pytest.raises(UserError, match=message):
        data.load(Omniglot(), str(tmp_path / "data"), str(wrong))


def test_a_truncated_archive_is_refused(wrong, tmp_path):
    file = wrong / "images_evaluation.zip"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"images_evaluation\.zip is not the published file \(File is not a zip file\)"):
        data.load(Omniglot(), str(tmp_path / "data"), str(wrong))


def test_an_archive_with_a_flipped_bit_is_refused(wrong, tmp_path):
    file = wrong / "images_evaluation.zip"
    content = bytearray(file.read_bytes())
    content[500] ^= 4
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"images_evaluation\.zip is not the published file \(Bad CRC-32"):
        data.load(Omniglot(), str(tmp_path / "data"), str(wrong))


def test_a_missing_archive_is_named(wrong, tmp_path):
    (wrong / "all_runs.zip").unlink()
    with pytest.raises(UserError, match=r"lacks all_runs\.zip: download it from https://raw\.githubusercontent\.com/"):
        data.load(Omniglot(), str(tmp_path / "data"), str(wrong))


def test_damaged_prepared_omniglot_is_refused(prepared_omniglot, tmp_path):
    shutil.copytree(prepared_omniglot, tmp_path / "data")
    (shard,) = (tmp_path / "data" / "siamese_omniglot" / "runs").rglob("*.array_record-*")
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"siamese_omniglot/runs/1\.0\.0 is damaged .*: delete that folder"):
        data.load(Omniglot(), str(tmp_path / "data"))


@pytest.mark.parametrize(("downsample", "side"), [(3, 48), (1, 106)])
def test_a_side_that_cannot_be_had_is_refused(tmp_path, downsample, side):
    with pytest.raises(UserError, match=rf"data\.side={side} with data\.downsample={downsample} is not possible"):
        data.load(Omniglot(downsample=downsample, side=side), str(tmp_path))


def test_images_can_be_loaded_at_any_side(loaded, prepared_omniglot):
    small = data.load(Omniglot(side=48), prepared_omniglot).images
    assert small.images.shape == (32_460, 48, 48, 1)
    np.testing.assert_array_equal(small.images[5000, ..., 0], average_areas(loaded.images.images[5000, ..., 0], 48))
