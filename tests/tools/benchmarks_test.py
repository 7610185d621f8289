"""The benchmarks without PyTorch: who is timed when, what is written, and that every script starts."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from counters import make_counter
from PIL import Image

import siamese_jax
from siamese_jax.experiments import find
from siamese_jax.records import Episodes, Images
from siamese_jax.storage.image_files import read_image

FOLDER = Path(__file__).parents[2] / "benchmarks"
TIMED = (
    "train_step", "train_loop", "one_shot_eval", "small_step", "convolution", "scaling", "input", "profile_step",
    "gallery", "page", "serving",
)  # fmt: skip
SCRIPTS = (*TIMED, "reading", "emoji_tutorial", "export_parity")


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch):
    """Puts the folder first on the path, as `python benchmarks/SCRIPT.py` does."""
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def timing():
    return importlib.import_module("_timing")


class Clock:
    """A clock that only moves when a side works, and who worked when."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self) -> float:
        return self.now

    def side(self, name: str, *seconds: float):
        """Returns a side that takes these times in turn, the last for ever."""
        times = list(seconds)

        def work() -> None:
            self.calls.append(name)
            self.now += times.pop(0) if len(times) > 1 else times[0]

        return work


def test_sides_take_turns_after_a_warm_up_that_is_not_timed(timing):
    clock = Clock()
    sides = {"ours": clock.side("A", 100, 1, 2, 3), "theirs": clock.side("B", 200, 10, 20, 30)}
    seconds = timing.interleave(sides, 3, clock)
    assert "".join(clock.calls) == "AB" + "ABABAB"
    assert seconds == {"ours": [1, 2, 3], "theirs": [10, 20, 30]}


def test_a_side_elsewhere_is_made_once_and_called_in_a_process_of_its_own(timing):
    side = timing.Elsewhere(make_counter, 5, 10)
    assert side() is None
    assert side.result() == 15
    assert side() is None
    assert side.result() == 35
    side.close()
    assert not side._process.is_alive()


def test_a_slow_side_may_be_timed_less_often(timing):
    clock = Clock()
    sides = {"ours": clock.side("A", 1), "theirs": clock.side("B", 2), "flax": clock.side("C", 9)}
    seconds = timing.interleave(sides, {"ours": 3, "theirs": 3, "flax": 1}, clock)
    assert "".join(clock.calls) == "ABC" + "ABC" + "AB" + "AB"
    assert seconds["flax"] == [9]


def test_the_ratio_is_that_of_the_medians(timing):
    assert timing.ratio_median([1.0, 100.0, 2.0], [6.0, 5.0, 0.0]) == 2.5


def test_the_record_has_what_a_reader_of_it_expects(timing, tmp_path, capsys):
    seconds = {"ours": [1.0, 2.0, 3.0], "theirs": [3.0, 4.0, 9.0], "flax": [10.0]}
    timing.report(timing.make_record("a_name", seconds, pairs=32), seconds, tmp_path / "deep" / "file.json")
    written = json.loads((tmp_path / "deep" / "file.json").read_text())
    device = written.pop("device")
    assert written == {
        "name": "a_name",
        "ours_s": [1.0, 2.0, 3.0],
        "theirs_s": [3.0, 4.0, 9.0],
        "flax_s": [10.0],
        "ratio_median": 2.0,
        "ratio_median_flax": 5.0,
        "pairs": 32,
    }
    assert device["cores"] >= 1
    assert {"backend", "kind", "machine", "load_at_start", "python"} <= set(device)
    assert {"jax", "numpy"} <= set(device["versions"])
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()}
    assert rows["theirs"] == ["4.0000", "3.0000", "9.0000", "3", "2.00"]


def test_a_record_goes_to_the_results_by_its_name(timing, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    timing.write({"name": "a_name"}, None)
    assert json.loads((tmp_path / "a_name.json").read_text()) == {"name": "a_name"}


def test_sides_that_do_not_agree_are_not_timed(timing):
    ours = np.array([1.0, -4.0])
    assert timing.check_same("it", ours, ours * [1.0, 0.999], 2e-3) == pytest.approx(0.001, rel=1e-2)
    for theirs in (ours * [1.1, 1.0], np.array([1.0, np.nan]), ours[None]):
        with pytest.raises(SystemExit, match=r"^it: "):
            timing.check_same("it", ours, theirs, 2e-3)


def test_there_is_one_file_for_each_benchmark():
    assert {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_explains_itself_without_pytorch(name, capsys):
    script = importlib.import_module(name)
    with pytest.raises(SystemExit) as stopped:
        script.parse(["--help"])
    assert stopped.value.code == 0
    assert not {"torch", "_torch_net", "_torch_tutorial"} & set(sys.modules)
    shown = capsys.readouterr().out
    assert script.__doc__.splitlines()[0] in shown
    assert ("--repeats" in shown) == (name in TIMED)
    assert "--output" in shown


@pytest.mark.parametrize("name", TIMED)
def test_every_side_is_timed_five_times_unless_told_otherwise(name):
    flags = importlib.import_module(name).parse([])
    assert flags.repeats == 5
    assert getattr(flags, "flax_repeats", 5) == 5


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_readme_says_how_to_run_each(name):
    assert f"python benchmarks/{name}.py" in (FOLDER / "README.md").read_text()


def test_every_version_of_a_drawing_is_a_file_that_shows_it():
    reading, drawing = importlib.import_module("reading"), np.full((105, 105), 255, np.uint8)
    drawing[20:85, 50:54] = drawing[20:24, 30:75] = 0
    plain = read_image(reading.encoded(drawing), 35)
    framed = read_image(reading.encoded(drawing), 35, fit="ink")
    for version, (make, options) in reading.VERSIONS.items():
        found = read_image(make(drawing, np.random.default_rng(0)), 35, **options)
        if version == "on a page of 210×210":  # which stays small, as the benchmark shows
            assert 2 < plain.sum() / found.sum() < 6
            continue
        correlations = [np.corrcoef(found.ravel(), image.ravel())[0, 1] for image in (plain, framed)]
        assert max(correlations) > 0.85, version


def test_the_table_of_the_readme_is_the_record_of_reading():
    versions = json.loads((FOLDER / "results" / "reading.json").read_text())["versions"]
    assert list(versions) == list(importlib.import_module("reading").VERSIONS)
    rows = [line.split(" | ") for line in (FOLDER / "README.md").read_text().splitlines()]
    shown = {row[0].removeprefix("| "): row[1:] for row in rows if len(row) == 4}
    for version, measured in versions.items():
        low, high = (f"{100 * bound:.1f}" for bound in measured["ci95"])
        accuracy = f"{100 * measured['accuracy']:.2f} ({low}–{high})"
        queries, points = 100 * measured["queries_only"]["accuracy"], 100 * measured["difference"]
        assert shown[version] == [accuracy, f"{queries:.2f}", f"{points:+.2f} |"]


def test_the_official_trials_from_plain_files_have_the_figure_of_the_card(archives):
    reading = importlib.import_module("reading")
    drawings, runs = reading.read_runs(archives)
    model = siamese_jax.load_pretrained("best")
    images = {name: model.read(reading.encoded(drawing)) for name, drawing in drawings.items()}
    measured = reading.measure(reading.credits_of(model, runs, images, images))
    result = model.card.results.one_shot["official_runs"]
    assert (measured["accuracy"], measured["ci95"]) == (result.accuracy, pytest.approx(result.ci95))


@pytest.mark.parametrize(("series", "size"), [("train_step_small", 2), ("embed", 1), ("trials", 20)])
def test_a_point_of_every_kind_of_series_can_be_measured(series, size, monkeypatch):
    scaling = importlib.import_module("scaling")
    monkeypatch.setattr(scaling, "keep_freed_memory", lambda: None)  # it would last for all tests
    point = scaling.measure(series, size, 1)
    assert point["size"] == size
    assert point["median_s"] > 0
    assert point["peak_mb"] > 100


def test_the_profile_finds_what_each_operation_of_a_program_is_of():
    profile = importlib.import_module("profile_step")
    names = profile.operation_names(
        '  %dot.1 = f32[2]{0} dot(%a, %b), metadata={op_name="jit(f)/transpose(jvp(vmap(Twin)))/conv1/dot" id=3}\n'
        "  %copy.2 = f32[2]{0} copy(%dot.1)\n"
        '  ROOT %add.3 = f32[2]{0} add(%a, %copy.2), metadata={op_name="jit(f)/add"}\n'
    )
    assert list(names) == ["dot.1", "copy.2", "add.3"]
    places = [profile.place(of, ["conv1", "fc"]) for of in names.values()]
    assert places == [("conv1", "backward"), ("copies", ""), ("optimizer", "update")]
    assert profile.place("jit(f)/jvp(vmap(Twin))/fc/dot_general", ["conv1", "fc"]) == ("fc", "forward")


def test_our_warp_and_pils_agree_on_where_a_pixel_goes():
    train_loop = importlib.import_module("train_loop")
    image = np.zeros((21, 21), np.uint8)
    image[6:9, 11:15] = 255
    affine = train_loop.distort.Affine(90.0, 0.0, 0.0, 1.0, 1.0, 2.0, -1.0)
    theirs = np.asarray(train_loop.warp(Image.fromarray(image), affine)) / 255
    ours = train_loop.distort.apply_affine(image[..., None] / np.float32(255), affine)[..., 0]
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    assert theirs.sum() == pytest.approx(12, abs=0.1)


def test_the_arithmetic_of_a_step_is_what_the_readme_counts():
    convolution = importlib.import_module("convolution")
    layers = convolution.make_layers(find("omniglot_20way"), images=1)
    per_image = sum(layer.gflop for layer in layers.values()) + 6 * 9216 * 4096 / 1e9
    assert per_image == pytest.approx(5.33, abs=0.005)
    assert f"{64 * per_image:.0f} GFLOP" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", ["omniglot_20way_fast", "omniglot_20way_paper_n_way", "omniglot_20way_dense"])
def test_an_experiment_that_a_benchmark_of_pairs_cannot_time_is_refused(timing, name):
    with pytest.raises(SystemExit, match=f"--experiment={name} has the loss .* such as omniglot_20way_small"):
        timing.find_of_pairs(name)
    assert timing.find_of_pairs("omniglot_20way_small").name == "omniglot_20way_small"


def images_of(sizes: list[list[int]]) -> Images:
    """Returns images of one pixel, of classes with so many images in groups."""
    classes = [size for group in sizes for size in group]
    class_index = np.repeat(np.arange(len(classes)), classes)
    group_index = np.repeat(np.arange(len(sizes)), [sum(group) for group in sizes])
    pixels = np.zeros((len(class_index), 1, 1, 1), np.uint8)
    return Images(pixels, class_index, group_index, np.full(len(class_index), -1), tuple("ab"))


def test_pairs_of_the_tutorial_are_half_same_and_half_different_and_reach_all_images():
    tutorial = importlib.import_module("emoji_tutorial")
    unequal = images_of([[1, 5], [4, 2]])
    left, right, same = tutorial.sample_pairs(np.random.default_rng(0), unequal, 4_000)
    of_class = unequal.class_index
    assert same.sum() == 2_000
    np.testing.assert_array_equal(of_class[left] == of_class[right], same)
    alone = of_class[left] == 0
    np.testing.assert_array_equal(left == right, alone & same)
    assert set(left) == set(range(12))
    assert set(right[~same]) == set(range(12))
    pairs = {(a, b) for a, b, is_same in zip(left, right, same, strict=True) if is_same}
    assert len(pairs) == 1 + 5 * 4 + 4 * 3 + 2 * 1
    counts = np.unique(right[~same], return_counts=True)[1]  # of 2,000, over images that are about equally likely
    assert counts.min() > 100


def test_an_epoch_of_the_tutorial_has_a_pair_for_each_image():
    tutorial = importlib.import_module("emoji_tutorial")
    epoch = list(next(tutorial.sample_epochs(np.random.default_rng(0), images_of([[70, 70], [60]]))))
    assert [len(left) for left, _, _ in epoch] == [64, 64, 64]
    assert not np.array_equal(epoch[0][0], epoch[1][0])


def test_the_tutorial_scores_a_class_by_the_distance_to_its_nearest_support():
    tutorial = importlib.import_module("emoji_tutorial")
    pixels = np.array([0, 30, 10, 40, 12, 99], np.uint8)[:, None, None, None]
    episodes = Episodes(support=np.array([[[0, 1], [2, 3]]]), query=np.array([[4, 1]]), answer=np.array([[1, 0]]))
    seen = []

    def embed(images):
        seen.append(images.ravel().tolist())
        return images.reshape(len(images), 1).astype(np.float32)

    np.testing.assert_allclose(tutorial.scores(embed, pixels, episodes), [[[-12, -2], [0, -10]]])
    assert seen == [[0, 30, 10, 40, 12]]  # image 5 belongs to no trial
