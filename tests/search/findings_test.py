"""What a study leaves: a flag file that trains its winner, every trial in a table, pictures, and a report."""

import csv
import json
import re

import optuna
import pytest
from example_run import changed, one_shot
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from PIL import Image
from tiny import make_experiment

from siamese_jax.results import to_json
from siamese_jax.search.findings import (
    PICTURES,
    _with_short_names,
    best_trial,
    winner_folder,
    winner_of,
    write_findings,
)
from siamese_jax.search.plan import Plan, checked
from siamese_jax.search.space import parse
from siamese_jax.search.study import Study
from siamese_jax.specs import leaves

BASE = make_experiment(max_epochs=7)
SEARCH = ["optimizer.decay=0.5..1", "network.units=8,16"]


@pytest.fixture
def study(tmp_path):
    """Six trials: four completed, of which 1 and 2 reach the most; one pruned, one failed."""
    plan = checked(Plan("tiny", BASE, parse(SEARCH, BASE), 6, pruner="none", trial_epochs=2))
    with Study(plan, tmp_path) as opened:
        for accuracies in ([0.3, 0.4], [0.5, 0.9], [0.9, 0.2], [0.1, 0.2], [0.05], []):
            (trial,) = opened.ask(1)
            for epoch, accuracy in enumerate(accuracies, start=1):
                opened.report(trial, epoch, accuracy)
            opened.note(trial, "seconds", 1.5)
            if len(accuracies) == 2:
                opened.complete(trial, max(accuracies))
            elif accuracies:
                opened.prune(trial)
            else:
                opened.fail(trial, "no pixels left")
        yield opened.study


def test_the_winner_is_the_first_of_the_best_at_the_full_length_of_its_experiment(study):
    assert best_trial(study).number == 1
    winner = winner_of(study)
    changed = {name for (name, a), (_, b) in zip(leaves(winner), leaves(BASE), strict=True) if a != b}
    assert changed <= {"optimizer.decay", "network.units"}
    assert winner.max_epochs == 7
    assert winner.optimizer.decay == study.get_trials()[1].params["optimizer.decay"]


def test_the_flag_file_trains_the_winner(study, tmp_path):
    write_findings(study, tmp_path)
    about, *flags = (tmp_path / "best.flags").read_text().splitlines()
    assert about == "# The winner of the study tiny: candidate 1, 90.00 % on validation."
    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    winner = dict(leaves(winner_of(study)))
    assert given.pop("experiment") == "omniglot_20way"
    assert {name: str(winner[name]) for name in given} == given
    assert "max_epochs" in given


def test_every_trial_is_in_the_table(study, tmp_path):
    write_findings(study, tmp_path)
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 4 + ["pruned", "failed"]
    assert [row["accuracy"] for row in rows] == ["0.4", "0.9", "0.9", "0.2", "0.05", ""]
    assert [row["epochs"] for row in rows] == ["2"] * 4 + ["1", "0"]
    assert rows[5]["reason"] == "no pixels left"
    assert float(rows[1]["optimizer.decay"]) == study.get_trials()[1].params["optimizer.decay"]


def test_the_report_says_what_was_searched_what_came_out_and_that_test_was_not_read(study, tmp_path):
    write_findings(study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    for said in (
        "4 candidates completed, 1 pruned, 1 failed",
        "No test alphabet was loaded",
        "| `optimizer.decay` | `0.5..1.0` |",
        "Candidate 1, 90.00 % on validation",
        "In this folder it has not been trained again, nor measured on test.",
        "no pixels left",
        "mean 60.00 %",
    ):
        assert said in text, said
    for name in PICTURES:
        assert f"]({name})" in text
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") == len(PICTURES)
    assert not re.findall(r'(?:src|href)="http', page)


def test_the_report_has_the_winners_runs_each_with_trials_and_interval(study, tmp_path):
    result = one_shot(accuracy=0.755, ci95=(0.7, 0.8))
    for seed in (1, 0):
        folder = winner_folder(tmp_path, 1, seed)
        folder.mkdir(parents=True)
        results = changed(seed=seed, one_shot={"official_runs": result, "validation": result})
        (folder / "results.json").write_text(json.dumps(to_json(results)))
    write_findings(study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    rows = re.findall(r"\| ([01]) +\| 75\.50 \(70\.0–80\.0; 400\)", text)
    assert rows == ["0", "1"]
    another = winner_folder(tmp_path, 2, 0)
    another.mkdir()
    (another / "results.json").write_text("not the winner's, and never read")
    write_findings(study, tmp_path)
    assert (tmp_path / "report.md").read_text() == text


def test_pictures_name_fields_without_the_words_that_all_begin_with(study):
    copy = _with_short_names(study)
    assert {field for trial in copy.get_trials() for field in trial.params} == {"optimizer.decay", "network.units"}
    layers = optuna.create_study()
    for rate in (0.1, 0.2):
        trial = layers.ask({f"optimizer.layers.{layer}.l2": FloatDistribution(0, rate) for layer in ("fc", "out")})
        layers.tell(trial, rate)
    layers.ask()
    assert [(trial.state, set(trial.params), trial.number) for trial in _with_short_names(layers).get_trials()] == [
        (TrialState.COMPLETE, {"fc.l2", "out.l2"}, 0),
        (TrialState.COMPLETE, {"fc.l2", "out.l2"}, 1),
        (TrialState.RUNNING, set(), 2),
    ]
    assert "optimizer.layers.fc.l2" in layers.get_trials()[0].params


def test_a_study_with_nothing_to_show_has_a_report_all_the_same(tmp_path):
    plan = checked(Plan("empty", BASE, parse(SEARCH, BASE), 2))
    with Study(plan, tmp_path) as opened:
        write_findings(opened.study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "No trial has been completed." in text
    assert "None has been validated yet." in text
    assert not (tmp_path / "best.flags").exists()


def test_trials_that_are_all_alike_make_no_picture_of_importance_and_no_error(tmp_path):
    plan = checked(Plan("alike", BASE, parse(["seed=0,1"], BASE), sampler="grid", trials=0))
    with Study(plan, tmp_path) as opened:
        for trial in opened.ask(2):
            opened.report(trial, 1, 0.5)
            opened.complete(trial, 0.5)
        write_findings(opened.study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "history.png" in text
    assert all((tmp_path / name).exists() == (name in text) for name in PICTURES)
