"""Runs are compared by what they left in their folders."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from example_run import BASELINE_PARTS, RESULTS, SMALL, WITHIN, changed, line_with, one_shot, with_data
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from siamese_jax import plots
from siamese_jax.errors import UserError
from siamese_jax.published import TABLE_2
from siamese_jax.report import compare
from siamese_jax.results import to_json
from siamese_jax.specs import with_value
from siamese_jax.statistics import intervals
from siamese_jax.storage.experiment_file import write_experiment


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """A difference and pictures that can be told apart, for those that others draw and compute."""

    def paired_difference(first, second):
        assert first.shape == second.shape
        difference = float((first - second).mean())
        only_first, only_second = int((first > second).sum()), int((first < second).sum())
        interval = (difference - 0.01, difference + 0.01)
        return intervals.PairedDifference(first.size, len(first), difference, interval, 0.0004, only_first, only_second)

    def save(figure, path):
        said = PngInfo()
        said.add_text("figure", repr(figure))
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(path, "PNG", pnginfo=said)

    monkeypatch.setattr(intervals, "paired_difference", paired_difference)
    monkeypatch.setattr(plots, "comparison_figure", lambda *given: ("comparison", *given), raising=False)
    monkeypatch.setattr(plots, "n_way_figure", lambda by_run: ("n_way", list(by_run)), raising=False)
    monkeypatch.setattr(plots, "roc_figure", lambda by_run: ("roc", list(by_run)), raising=False)
    monkeypatch.setattr(plots, "save", save, raising=False)


def leave(folder, results=RESULTS, experiment=SMALL, trials=None):
    """Writes what a run leaves, with trials [20, 20] by protocol as given."""
    folder.mkdir(parents=True)
    write_experiment(folder, experiment)
    (folder / "results.json").write_text(json.dumps(to_json(results)))
    lines = [{"step": 1, "epoch": 1, "cross_entropy": 0.7}, {"step": 2, "epoch": 1, "cross_entropy": 0.2345}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if trials is not None:
        np.savez(folder / "trials.npz", **trials)
    return folder


def with_one_shot(results=RESULTS, **protocols):
    """Results with some one-shot results replaced or added."""
    return dataclasses.replace(results, one_shot=results.one_shot | protocols)


def of_trials(name):
    """Results whose official runs are the trials of that name."""
    return with_one_shot(official_runs=one_shot(trials_id=name))


def text_of(folder):
    return (folder / "report.md").read_text(encoding="utf-8")


def test_each_protocol_is_a_row_and_each_run_a_column(tmp_path):
    better = with_one_shot(official_runs=one_shot(accuracy=0.9, ci95=(0.871, 0.929)))
    one, other = leave(tmp_path / "one"), leave(tmp_path / "other", better)
    compare.compare_runs([str(one), str(other)], str(tmp_path / "out"))
    text = text_of(tmp_path / "out")
    said = line_with(text, "On the same 400 trials (20-way 1-shot, Lake's 20 official runs; 95 % intervals):")
    assert said.endswith("one **88.25 %** (84.1–91.3); other **90.00 %** (87.1–92.9).")
    section = text.split("\n## One-shot")[1].split("\n### ")[0]
    assert [cell.strip() for cell in line_with(section, "measured on").split("|")[5:7]] == ["one", "other"]
    cells = [cell.strip() for cell in line_with(section, "Lake's 20").split("|")[1:-1]]
    assert cells[2:] == ["20-way 1-shot", "1–8", "88.25 (84.1–91.3; 400)", "90.00 (87.1–92.9; 400)"]
    assert cells[1] == "omniglot"


def test_other_drawers_or_other_data_never_share_a_row(tmp_path):
    of_glyphs = with_data(name="glyphs")
    of_others = with_one_shot(within_alphabet=one_shot(WITHIN, authors=(1, 2, 3, 4)))
    runs = [leave(tmp_path / "a"), leave(tmp_path / "b", of_glyphs), leave(tmp_path / "c", of_others)]
    compare.compare_runs(runs, tmp_path / "out")
    rows = [line for line in text_of(tmp_path / "out").splitlines() if "random trials within alphabet" in line]
    cells = [[cell.strip() != "–" for cell in row.split("|")[5:8]] for row in rows]
    assert cells == [[True, False, False], [False, True, False], [False, False, True]]
    assert "**b**" not in text_of(tmp_path / "out").split("table 2")[1].split("\n\n")[2]


def test_digits_are_told_as_mnist_whatever_was_trained_on(tmp_path):
    part = one_shot(authors=(), protocol="MNIST digits")
    one, other = with_one_shot(mnist_10way=part), with_one_shot(with_data(name="glyphs"), mnist_10way=part)
    compare.compare_runs([leave(tmp_path / "one", one), leave(tmp_path / "other", other)], tmp_path / "out")
    cells = [cell.strip() for cell in line_with(text_of(tmp_path / "out"), "| MNIST digits").split("|")[2:-1]]
    assert cells[0] == "MNIST"
    assert cells[-1] == cells[-2] == "88.25 (84.1–91.3; 400)"


def test_ways_to_combine_several_supports_never_share_a_row(tmp_path):
    runs = []
    for name in ("mean_score", "best_score"):
        several = one_shot(protocol="several", combine=name, k_shot=5)
        runs.append(leave(tmp_path / name, with_one_shot(**{"20_way_5_shot": several})))
    compare.compare_runs(runs, tmp_path / "out")
    rows = [line.split("|") for line in text_of(tmp_path / "out").splitlines() if line.startswith("| several")]
    assert [row[3].strip() for row in rows] == ["20-way 5-shot", "20-way 5-shot, best score"]


def test_runs_of_the_same_trials_are_compared_in_pairs_and_only_those(tmp_path):
    first, second = np.zeros((20, 20), np.float32), np.zeros((20, 20), np.float32)
    first[:, :9], second[:, 8:15] = 1, 1
    runs = [
        leave(tmp_path / "a", of_trials("same"), trials={"official_runs": first}),
        leave(tmp_path / "b", of_trials("same"), trials={"official_runs": second}),
        leave(tmp_path / "c", of_trials("other"), trials={"official_runs": second}),
        leave(tmp_path / "d", of_trials("same")),  # whose trials.npz is lost
    ]
    compare.compare_runs(runs, tmp_path / "out")
    section = text_of(tmp_path / "out").split("Differences on the same trials")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| Lake")]
    assert [[cell.strip() for cell in row.split("|")[2:-1]] for row in rows] == [
        ["20-way 1-shot", "a", "b", "10.00 points higher", "+9.0 to +11.0", "< 0.001", "160", "120"]
    ]


def test_comparisons_that_learn_nothing_take_part_under_their_own_names(tmp_path):
    part = one_shot(accuracy=0.6125, trials_id="same")
    baselines = changed(**BASELINE_PARTS, baselines={"modified_hausdorff": {"official_runs": part}})
    ones = {"modified_hausdorff.official_runs": np.ones((20, 20), np.float32)}
    runs = [
        leave(tmp_path / "net", of_trials("same"), trials={"official_runs": np.zeros((20, 20), np.float32)}),
        leave(tmp_path / "none", baselines, dataclasses.replace(SMALL, method="baselines"), trials=ones),
    ]
    compare.compare_runs(runs, tmp_path / "out")
    text = text_of(tmp_path / "out")
    assert "61.25" in line_with(text, "**none: modified Hausdorff distance**", "measured")
    assert "100.00 points lower" in line_with(text, "none: modified Hausdorff distance |", "< 0.001")


def test_only_fields_that_differ_are_told(tmp_path):
    other = with_value(with_value(SMALL, "network.conv2.filters", 64), "data.redraw", True)
    runs = [leave(tmp_path / "a"), leave(tmp_path / "b", experiment=other)]
    compare.compare_runs(runs, tmp_path / "out")
    section = text_of(tmp_path / "out").split("Fields that differ")[1]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows] == [
        ["`data.redraw`", "False", "True"],
        ["`network.conv2.filters`", "128", "64"],
    ]
    compare.compare_runs([runs[0], leave(tmp_path / "c")], tmp_path / "out")
    assert "All fields of their experiments are equal." in text_of(tmp_path / "out")


def test_verification_and_the_cost_of_training_are_told_of_each(tmp_path):
    compare.compare_runs([leave(tmp_path / "a"), leave(tmp_path / "b")], tmp_path / "out")
    text = text_of(tmp_path / "out")
    assert all(part in line_with(text, "| b ", "| test") for part in ("9,990", "92.22", "91.1–93.3", "17–18, 20"))
    cost = line_with(text.split("## Training")[1].split("\n## ")[0], "| a ")
    assert all(part in cost for part in ("43", "12,345", "25 minutes", "1,500", "1,234", "0.234", "cpu (2 CPU cores)"))


def test_pictures_are_drawn_of_what_there_is_and_shown(tmp_path):
    runs = [leave(tmp_path / "a"), leave(tmp_path / "b")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "n_way.png").write_bytes(b"of an earlier comparison")
    compare.compare_runs(runs, tmp_path / "out")
    drawn = (tmp_path / "out" / "comparison.png").read_text(errors="replace")
    assert "['a', 'b'], (0.8825, 0.8825)" in drawn
    assert all(f"{who!r}: {percent}" in drawn for who, percent in TABLE_2.items() if "'" not in who)
    assert "](comparison.png)" in text_of(tmp_path / "out")
    assert "](roc.png)" in text_of(tmp_path / "out")
    assert "](n_way.png)" not in text_of(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count("data:image/png") == 2


def test_runs_without_shared_trials_are_not_ranked(tmp_path):
    others = with_one_shot(of_trials("others"), within_alphabet=one_shot(WITHIN, trials_id="others"))
    compare.compare_runs([leave(tmp_path / "a"), leave(tmp_path / "b", others)], tmp_path / "out")
    assert "The runs share no trials" in text_of(tmp_path / "out")


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    runs = [leave(tmp_path / "x" / "run"), leave(tmp_path / "y" / "run")]
    compare.compare_runs(runs, tmp_path / "out")
    assert line_with(text_of(tmp_path / "out"), f"| {runs[0]} ", SMALL.name)


def test_a_folder_given_as_a_dot_has_the_name_of_where_it_stands(tmp_path, monkeypatch):
    leave(tmp_path / "here"), leave(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "here")
    compare.compare_runs([Path("."), Path("../there")], tmp_path / "out")
    assert line_with(text_of(tmp_path / "out"), "| here ", SMALL.name)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", None, "holds no results"),
        ("results.json", '{"one_shot": ', r"results\.json cannot be read"),
        ("results.json", "{}", "measure the run again"),
        ("results.json", json.dumps(to_json(RESULTS) | {"one_shot": {"official_runs": 3}}), "measure the run again"),
        ("experiment.json", None, "holds no run"),
        ("metrics.jsonl", '{"step": \n{}\n', "line 1 of .* is not JSON"),
    ],
)
def test_a_folder_that_cannot_be_compared_is_one_sentence(tmp_path, name, text, words):
    good, bad = leave(tmp_path / "good"), leave(tmp_path / "bad")
    (bad / name).unlink()
    if text is not None:
        (bad / name).write_text(text)
    with pytest.raises(UserError, match=words):
        compare.compare_runs([good, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_run_is_compared_with_itself_and_no_report_of_a_run_is_overwritten(tmp_path):
    one, other = leave(tmp_path / "one"), leave(tmp_path / "other")
    with pytest.raises(UserError, match="twice"):
        compare.compare_runs([one, other, tmp_path / "other" / ".." / "one"], tmp_path / "out")
    with pytest.raises(UserError, match=f"--output={other} is the folder of a run"):
        compare.compare_runs([one, other], other)
