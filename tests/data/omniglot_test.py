"""Omniglot: the real archives read back right, compared with another way of reading them, and bad ones refused."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from siamese_jax import data
from siamese_jax.data import characters, digests, omniglot
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


def test_the_small_sets_are_five_background_alphabets_each_with_the_same_drawings(archives):
    for name, alphabets in digests.SMALL.items():
        archive = archives / "omniglot" / f"images_{name}.zip"
        packed = pack(read_pictures(archive))  # the archives of the small sets have the published sha256
        assert sorted(packed) == list(alphabets)
        assert [digests.ALPHABETS[name].origin for name in alphabets] == ["background"] * 5
        assert [digests.difference(name, packed[name]) for name in alphabets] == [None] * 5


def test_the_table_of_the_published_alphabets_is_complete():
    numbers = [number for alphabet in digests.ALPHABETS.values() for number in alphabet.numbers]
    assert sorted(numbers) == list(range(1, 1624))
    assert len({alphabet.digest for alphabet in digests.ALPHABETS.values()}) == 50
    assert [alphabet.origin for alphabet in digests.ALPHABETS.values()] == ["background"] * 30 + ["evaluation"] * 20


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


DRAWERS = range(1, 21)
TINY = {"Aa": ("background", 1, 2), "Bb": ("background", 3, 2), "Tengwar": ("evaluation", 1000, 20)}
"""A data set of three alphabets: origin, first character, characters."""


def pack(pictures: dict[Drawing, np.ndarray]) -> dict[str, list[bytes]]:
    """Returns what digests are of, for each alphabet."""
    packed = {}
    for name, number in sorted({drawing[:2] for drawing in pictures}):
        ink = np.stack([pictures[Drawing(name, number, drawer)] for drawer in DRAWERS])
        packed.setdefault(name, []).append(np.packbits(ink).tobytes())
    return packed


def read_pictures(path) -> dict[Drawing, np.ndarray]:
    pictures = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                alphabet, file = name.split("/")[1::2]
                pictures[Drawing(alphabet, int(file[:4]), int(file[5:7]))] = picture(archive, name) > 0
    return pictures


@pytest.fixture(scope="module")
def drawn() -> dict[Drawing, np.ndarray]:
    """All drawings of TINY."""
    generator = np.random.default_rng(1)
    return {
        Drawing(name, number, drawer): generator.random((105, 105)) < 0.05
        for name, (_, first, count) in TINY.items()
        for number in range(first, first + count)
        for drawer in DRAWERS
    }


@pytest.fixture
def published(drawn, monkeypatch):
    """TINY counts as published."""
    packed = pack(drawn)
    table = {name: digests.Alphabet(*TINY[name], digests.digest_of(packed[name])) for name in TINY}
    monkeypatch.setattr(digests, "ALPHABETS", table)
    monkeypatch.setattr(digests, "SMALL", {"background_small1": ("Aa",), "background_small2": ("Bb",)})
    runs = [
        {"support": [[1019 - i, 1] for i in range(20)], "query": [[1000 + i, 2] for i in range(20)]} for _ in range(20)
    ]
    parts = (np.array(part, np.int32).tobytes() for run in runs for part in (*run.values(), list(range(19, -1, -1))))
    monkeypatch.setattr(digests, "RUNS", digests.digest_of(parts))


def members_of(drawn, origin: str, top: str | None = None) -> dict[str, bytes]:
    """The files of an archive of images."""
    top = f"images_{origin}/" if top is None else top
    return {
        f"{top}{name}/character{number - TINY[name][1] + 1:02}/{number:04}_{drawer:02}.png": png(ink)
        for (name, number, drawer), ink in drawn.items()
        if TINY[name][0] == origin
    }


def as_zip(name):
    def write(folder, members):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        return write_zip(folder / name, members)

    return write


def as_folder(name):
    def write(folder, members):
        for member, content in members.items():
            file = folder / name / member
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return folder / name

    return write


def with_rubbish(members):
    return members | {
        "__MACOSX/images_background/Aa/character01/._0001_01.png": b"rubbish",
        "images_background/.DS_Store": b"rubbish",
        "images_background/Aa/.DS_Store": b"rubbish",
        "images_background/Aa/character01/Thumbs.db": b"rubbish",
        "README": b"",
    }


@pytest.mark.parametrize(
    ("write", "top", "change"),
    [
        (as_zip("images_background.zip"), None, dict),
        (as_zip("omniglot/python/images_background.zip"), None, dict),
        (as_zip("omniglot-py/Images_Background (1).ZIP"), "", dict),  # without its top folder
        (as_zip("images_background.zip"), "a/b/images_background/", with_rubbish),
        (as_zip("images_background.zip"), None, lambda all_: {k.replace("/", "\\"): v for k, v in all_.items()}),
        (as_zip("images_background.zip"), "../../", dict),  # nothing is unpacked, so names do no harm
        (as_zip("images_background.zip"), "/", dict),
        (as_folder("images_background"), "", dict),
        (as_folder("omniglot-py/images_background"), "", with_rubbish),  # torchvision
        (as_folder("python/images_background"), "images_background/", dict),  # unpacked by Windows
    ],
)
def test_drawings_are_accepted_by_content_however_they_are_packed(published, drawn, tmp_path, write, top, change):
    write(tmp_path, change(members_of(drawn, "background", top)))
    before = sorted(tmp_path.rglob("*"))
    read = omniglot._drawings(tmp_path, "background")
    assert len(read) == 80
    assert all(np.array_equal(read[name], drawn[name]) for name in read)
    assert sorted(tmp_path.rglob("*")) == before


def test_data_are_prepared_from_an_unpacked_copy_and_checked_when_they_are_read(
    published, drawn, tmp_path, monkeypatch
):
    for origin in ("background", "evaluation"):
        as_folder(f"omniglot-py/images_{origin}")(tmp_path, members_of(drawn, origin, ""))
    as_folder("omniglot-py/all_runs")(tmp_path, runs_zip(drawn))
    kept = str(tmp_path / "data")
    dataset = data.load(Omniglot(background="small1"), kept, str(tmp_path))
    assert dataset.images.images.shape == (480, 105, 105, 1)
    assert dataset.images.origins == ("background", "unused", "evaluation")
    assert data.load_untested(Omniglot(), kept).images.group_names == ("Aa", "Bb")

    # What an older version prepared from other archives is not trusted.
    other_table = digests.ALPHABETS | {"Aa": digests.Alphabet("background", 1, 2, "0")}
    for config, name, other, problem in (
        ("runs", "RUNS", "0" * 32, "its runs are not the published ones"),
        ("characters", "ALPHABETS", other_table, "the drawings of Aa are not the published ones"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(digests, name, other)
            for load in (data.load, data.load_untested):
                with pytest.raises(UserError, match=rf"siamese_omniglot/{config}/1.0.0 is damaged \(.*{problem}"):
                    load(Omniglot(), kept)


def changed(drawn, change, alphabet="Aa"):
    return {name: change(ink) if name.alphabet == alphabet else ink for name, ink in drawn.items()}


def swapped(drawn):
    """Aa and Bb under each other's name."""
    moved = {"Aa": ("Bb", 2), "Bb": ("Aa", -2)}
    return {
        Drawing(moved[name][0], number + moved[name][1], drawer)
        if name in moved
        else Drawing(name, number, drawer): ink
        for (name, number, drawer), ink in drawn.items()
    }


def one_pixel(drawn):
    ink = drawn[Drawing("Bb", 4, 20)].copy()
    ink[104, 104] ^= True
    return drawn | {Drawing("Bb", 4, 20): ink}


def without(drawn, *names):
    return {name: ink for name, ink in drawn.items() if name not in names and name.alphabet not in names}


WRONG = {
    "in Aa, character 1 by drawer 1 is blank": lambda drawn: changed(drawn, np.zeros_like),
    "in Bb, character 3 by drawer 1 is blank": lambda drawn: changed(drawn, np.ones_like, "Bb"),
    "in Aa, character 1 by drawer 1 is inverted": lambda drawn: changed(drawn, np.invert),
    "in Aa, character 2 by drawer 7 is inverted": lambda drawn: (
        drawn | {Drawing("Aa", 2, 7): ~drawn[Drawing("Aa", 2, 7)]}
    ),
    "Aa has the drawings of Bb": swapped,
    "the drawings of Bb are not the published ones": one_pixel,
    "the drawings of Aa are not the published ones": lambda drawn: changed(drawn, np.fliplr),
    "it lacks the alphabet Bb": lambda drawn: without(drawn, "Bb"),
    "of Bb, it lacks character 4 by drawer 9": lambda drawn: without(drawn, Drawing("Bb", 4, 9)),
}


@pytest.mark.parametrize("problem", WRONG)
@pytest.mark.parametrize("write", [as_zip("images_background.zip"), as_folder("images_background")])
def test_drawings_that_are_not_the_published_ones_are_refused_by_name(published, drawn, tmp_path, problem, write):
    path = write(tmp_path, members_of(WRONG[problem](drawn), "background"))
    with pytest.raises(UserError, match=rf"{path} (is not|does not hold) the published files? \({problem}.*again"):
        omniglot._drawings(tmp_path, "background")


@pytest.mark.parametrize("problem", [problem for problem in WRONG if "lacks" not in problem])
def test_prepared_drawings_that_are_not_the_published_ones_are_refused_by_name(published, drawn, problem):
    packed = pack(WRONG[problem](drawn))
    records = [
        {
            "alphabet": name.encode(),
            "origin": TINY[name][0].encode(),
            "character": TINY[name][1] + place,
            "drawers": np.array(DRAWERS),
            "drawings": one,
        }
        for name, of_alphabet in packed.items()
        for place, one in enumerate(of_alphabet)
    ]
    assert problem in omniglot.check("characters", records)
    assert "alphabets are not" in omniglot.check("characters", records[2:])
    assert "the characters of Aa are not" in omniglot.check("characters", records[1:])
    assert "character 1000 has other drawers" in omniglot.check(
        "characters", [records[4] | {"drawers": np.arange(20, 0, -1)}]
    )


def test_a_released_trial_that_was_changed_is_refused(published, drawn, tmp_path):
    members = runs_zip(drawn)
    write_zip(tmp_path / "all_runs.zip", members)
    assert len(omniglot._runs(tmp_path, drawn)) == 20
    for change in (
        {"run07/test/item03.png": png(drawn[Drawing("Tengwar", 1003 - 1, 3)])},  # the same character by another drawer
        {f"run07/test/item{i + 1:02}.png": png(drawn[Drawing("Tengwar", 1000 + i, 3)]) for i in range(20)},
    ):
        write_zip(tmp_path / "all_runs.zip", members | change)
        with pytest.raises(UserError, match=r"all_runs\.zip is not the published file \("):
            omniglot._runs(tmp_path, drawn)
    with pytest.raises(UserError, match="its runs are not the published ones"):
        omniglot._runs(tmp_path, drawn)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2, "is not 105×105 pixels of one bit"),
        (bytes(70_000), "has 70,000 bytes|more than 65,536 bytes"),
        (b"", "cannot identify"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "cannot identify"),
    ],
)
@pytest.mark.parametrize("write", [as_zip("images_background.zip"), as_folder("images_background")])
def test_a_hostile_picture_is_refused_before_it_takes_memory(published, drawn, tmp_path, write, content, problem):
    write(tmp_path, members_of(drawn, "background") | {"images_background/Aa/character01/0001_01.png": content})
    with pytest.raises(UserError, match=rf"Aa/character01/0001_01\.png.*({problem})"):
        omniglot._drawings(tmp_path, "background")


@pytest.fixture
def wrong(published, drawn, tmp_path):
    """A folder of archives of which only images_evaluation.zip lacks something."""
    write_zip(tmp_path / "images_background.zip", members_of(drawn, "background"))
    write_zip(tmp_path / "all_runs.zip", runs_zip(drawn))
    write_zip(tmp_path / "images_evaluation.zip", members_of(without(drawn, Drawing("Tengwar", 1000, 1)), "evaluation"))
    return tmp_path


def test_an_archive_that_lacks_a_drawing_is_refused(wrong, tmp_path):
    with pytest.raises(
        UserError, match=r"images_evaluation\.zip is not .*of Tengwar, it lacks character 1000 by drawer 1\)"
    ):
        data.load(Omniglot(), str(tmp_path / "data"), str(wrong))
    assert not list((tmp_path / "data" / "siamese_omniglot").rglob("dataset_info.json"))


def test_a_truncated_archive_is_refused(wrong):
    file = wrong / "images_evaluation.zip"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"images_evaluation\.zip is not the published file \(File is not a zip file\)"):
        omniglot._drawings(wrong, "evaluation")


def test_an_archive_with_a_flipped_bit_is_refused(wrong):
    file = wrong / "images_evaluation.zip"
    content = bytearray(file.read_bytes())
    content[500] ^= 4
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"images_evaluation\.zip is not the published file \(Bad CRC-32"):
        omniglot._drawings(wrong, "evaluation")


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
