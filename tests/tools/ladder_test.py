"""The ladder's rungs, its page and its picture."""

import importlib
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from example_results import RESULTS
from plans import BASE, SETS

from siamese_jax import specs
from siamese_jax.experiments import find
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.storage.results_file import write_results

FOLDER = Path(__file__).parents[2] / "tools"


@pytest.fixture
def ladder(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("ladder")
    for name in ("ladder", "docs_records", "record_runs"):
        sys.modules.pop(name, None)


def changed(before, after) -> set[str]:
    one, other = dict(specs.leaves(before)), dict(specs.leaves(after))
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} - {"name"}


def test_every_rung_changes_something_of_its_own_and_can_be_trained(ladder):
    rungs = ladder.make_rungs()
    assert len({rung.change for rung in rungs}) == len(rungs)
    for before, after in itertools.pairwise(rungs):
        assert changed(before.experiment, after.experiment), after.change
    for rung in rungs:
        specs.check(rung.experiment)
        assert steps_per_epoch(rung.experiment) > 0


@pytest.mark.parametrize(
    ("rung", "fields"),
    [
        (1, {"network.initialiser"}),
        (4, {"optimizer.momentum_epochs"}),
        (7, {"data.rotations"}),
        (8, {"distort.elastic"}),
        (9, {"optimizer.average"}),
        (10, {"evaluation.views"}),
    ],
)
def test_a_rung_of_one_field_changes_that_field_alone(ladder, rung, fields):
    rungs = ladder.make_rungs()
    assert changed(rungs[rung - 1].experiment, rungs[rung].experiment) == fields


def test_it_begins_with_the_papers_recipe_and_ends_with_the_best_ones(ladder):
    rungs = ladder.make_rungs()
    assert changed(find("omniglot_20way"), rungs[0].experiment) == {
        "network.initialiser", "evaluation.validation_trials",
    }  # fmt: skip
    best = changed(find("omniglot_20way_best"), rungs[-1].experiment) - set(specs.DESCRIPTION)
    # Its length, its mean over a longer time, and what only says how often something is done.
    assert best <= {"max_epochs", "patience", "log_steps", "optimizer.average"}


def test_the_page_has_a_row_a_rung_with_the_gain_over_the_one_before(ladder, tmp_path):
    first, second = (rung.change for rung in ladder.make_rungs()[:2])
    rows = [
        {"change": change, "seed": seed, "minutes": 5.0, "seconds": 280.0 + seed, "steps": 70 + seed,
         "accuracy": accuracy, "ci95": [accuracy - 0.02, accuracy + 0.02], "trials": 2000}
        for change, accuracy in ((first, 0.10), (second, 0.25)) for seed in (0, 1)
    ]  # fmt: skip
    ladder.write_page(rows, tmp_path)
    text = (tmp_path / "ladder.md").read_text()
    assert "10.00 (8.0–12.0); 10.00 (8.0–12.0)" in text
    assert "+15.0 ± 2.8" in text  # √2 of the two half-widths of 2 points
    assert "70–71" in text
    assert "5 minutes (280 to 281 s)" in text
    assert (tmp_path / "ladder.png").stat().st_size > 5_000


def test_the_page_is_that_of_the_rungs_that_were_measured(ladder, tmp_path):
    ladder.write_page([json.loads(line) for line in (ladder.DOCS / "ladder.jsonl").read_text().splitlines()], tmp_path)
    assert (tmp_path / "ladder.md").read_text() == (ladder.DOCS / "ladder.md").read_text()


def test_a_run_is_recorded_under_the_name_of_what_made_it_alone(ladder, tmp_path):
    record = importlib.import_module("record_runs").record
    command = "python -m siamese_jax.main --experiment=omniglot_20way_fast --max_epochs=2 --evaluation.mnist=False"
    results = replace(RESULTS, experiment="omniglot_20way_fast", seed=1, command=f"{command} --seed=1")
    write_results(tmp_path, results, {})
    flags = tmp_path / "short.flags"
    flags.write_text("# Short.\n--experiment=omniglot_20way_fast\n--max_epochs=2\n--evaluation.mnist=false\n")
    assert record(tmp_path, 3.0, "abc", str(flags))["flagfile"] == str(flags)
    with pytest.raises(
        SystemExit, match=r"its experiment: --evaluation.mnist=false --max_epochs=2 there, nothing here"
    ):
        record(tmp_path, 3.0, "abc")
    plain = replace(results, command="python -m siamese_jax.main --experiment=omniglot_20way_fast --seed=1")
    write_results(tmp_path / "plain", plain, {})
    with pytest.raises(SystemExit, match="nothing there, --evaluation.mnist=false --max_epochs=2 here"):
        record(tmp_path / "plain", 3.0, "abc", str(flags))
    flags.write_text("--experiment=omniglot_20way_fast\n--evaluation.mnist=false\n")
    with pytest.raises(SystemExit, match=r"short.flags: --max_epochs=2 there, nothing here"):
        record(tmp_path, 3.0, "abc", str(flags))


@pytest.mark.parametrize(("steps", "minutes", "made"), [(7, 0.0, 7), (None, 0.0, 2)])
def test_a_rung_is_trained_for_as_many_steps_as_are_planned_or_else_by_the_clock(ladder, steps, minutes, made):
    pause, seconds = ladder._train(BASE, SETS["train"], steps, minutes)
    assert pause.step == made
    assert 0 < seconds < 60
