"""Files of a run that somebody else may have written: they are read as they are meant, or refused in one sentence."""

import json
import math
import os
import re

import jax
import numpy as np
import pytest
from example_results import MODEL_CARD, RESULTS
from example_run import SMALL
from mutations import mutations
from tiny_model import EXPERIMENT, make_model

from siamese_jax import pretrained
from siamese_jax.errors import UserError
from siamese_jax.report import compare, report
from siamese_jax.report.model_card import card_text
from siamese_jax.results import ModelCard, RunResults, from_json, to_json
from siamese_jax.specs import Experiment, from_nested, to_nested
from siamese_jax.statistics.rules import DecisionRules
from siamese_jax.storage.array_files import write_arrays
from siamese_jax.storage.experiment_file import read_experiment, write_experiment
from siamese_jax.storage.log import read_metrics
from siamese_jax.storage.results_file import read_results, read_trials

ROWS = [
    {"step": 0, "epoch": 1, "time": 1.5, "saturated": 0.1, "embedding_spread": 0.2, "dead_filters/conv1": 0.5,
     "update/conv1": None},
    {"step": 1, "epoch": 1, "time": 2.5, "cross_entropy": 0.7, "guessing": 0.7},
    {"step": 2, "epoch": 1, "time": 3.5, "cross_entropy": 0.6, "saturated": 0.1, "update/conv1": 0.1},
]  # fmt: skip


def sentence(error):
    """Whether an error is what a user should read: one or two sentences of bounded length."""
    assert len(error) < 700
    assert "\n" not in error


def read_or_refused(read, damaged, words):
    """What a function reads; None where it refuses in a sentence. Anything else fails the test."""
    try:
        return read(damaged)
    except UserError as error:
        refused = str(error)
    assert re.search(words, refused)
    sentence(refused)
    return None


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("seed", range(2))
def test_damaged_results_are_refused_by_field_or_can_be_reported(seed):
    written, read = through_json(to_json(RESULTS)), 0
    for _, damaged in mutations(written, 100, seed):
        found = read_or_refused(lambda value: from_json(RunResults, value, "results.json", ""), damaged, "results.json")
        if found is not None:
            read += 1
            report(SMALL, found, ROWS, [])
            if found.decisions:
                rules = DecisionRules(found.decisions)
                rules.threshold(7, found.decisions.galleries[0].open_set[0].fpir)
                rules.probabilities(np.zeros((1, 9)))
                rules.unfamiliar(np.zeros((1, 5, 5, 1), np.uint8))
                rules.same_threshold()
    assert read


def test_damaged_cards_are_refused_by_field_or_can_be_shown():
    written = through_json(to_json(MODEL_CARD))
    for _, damaged in mutations(written, 60):
        card = read_or_refused(lambda value: from_json(ModelCard, value, "card.json", ""), damaged, "card.json")
        if card and card.results.training and card.results.verification:
            card_text(card)


def test_a_threshold_of_a_network_that_learned_nothing_may_be_large():
    written = through_json(to_json(RESULTS))
    written["verification"]["test"]["threshold"] = -3.08e22
    found = from_json(RunResults, written, "results.json", "")
    assert found.verification.test.threshold == -3.08e22


def test_every_field_of_a_card_that_is_left_out_is_named():
    written = through_json(to_json(MODEL_CARD))
    for name in written.keys() - {"format"}:
        with pytest.raises(UserError, match=rf"card\.json does not fit this version: {name} is missing"):
            from_json(ModelCard, {key: part for key, part in written.items() if key != name}, "card.json", "")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("training.epochs", -1, "training.epochs is -1, not 0 or more"),
        ("one_shot.official_runs.card.n_way", 0, "n_way is 0, not 2 or more"),
        ("one_shot.official_runs.accuracy", 1.5, "accuracy is 1.5, not 0 to 1"),
        ("one_shot.official_runs.ci95", [0.9, 0.1], "its first number is the larger one"),
        ("verification.test.roc.false_accept_rate", [0.5], "false_accept_rate and what belongs to it differ in length"),
        ("decisions.galleries.0.temperature", 0, "galleries.temperature is 0.0, not positive"),
        ("decisions.galleries", [], "galleries.classes does not rise"),
        ("decisions.familiarity.mean", [1.0], "mean and precision are not 3 and 3 × 3 numbers"),
        ("data.sets", {}, "data.sets are not train, validation and test"),
        ("seed", 10**400, "seed is 1000"),
        ("training.seconds", 10**400, "training.seconds is 1000"),
        ("training.seconds", math.inf, "training.seconds is inf"),
    ],
)
def test_values_that_no_run_can_have_are_named(path, value, words):
    written = through_json(to_json(RESULTS))
    *parents, last = path.split(".")
    at = written
    for name in parents:
        at = at[int(name) if isinstance(at, list) else name]
    at[last] = value
    with pytest.raises(UserError, match=words):
        from_json(RunResults, written, "results.json", "")


@pytest.mark.parametrize("experiment", [SMALL, EXPERIMENT])
def test_damaged_experiments_are_refused_by_field_or_can_be_reported(experiment):
    for _, damaged in mutations(through_json(to_nested(experiment)), 120):
        found = read_or_refused(lambda value: from_nested(Experiment, value), damaged, " ")
        if found is not None:
            report(found, RESULTS, ROWS, [])


@pytest.mark.parametrize("extra", [{"data.side": 3}, {"extra": {}}, {"data": {}}, {"extra": 1}, {"": None}])
def test_an_experiment_with_more_than_its_fields_is_refused(extra):
    with pytest.raises(UserError, match="is not a field|is missing"):
        from_nested(Experiment, to_nested(SMALL) | extra)


def test_damaged_lines_of_metrics_are_refused_by_line_and_name_or_can_be_reported(tmp_path):
    for _, damaged in mutations(through_json(ROWS), 100):
        lines = "\n".join(json.dumps(row) for row in damaged)
        (tmp_path / "metrics.jsonl").write_text(lines + "\n")
        rows = read_or_refused(read_metrics, tmp_path, r"line \d of .*metrics\.jsonl")
        if rows is not None:
            report(SMALL, RESULTS, rows, [])


CREDIT = np.ones((20, 20), np.float32)


@pytest.mark.parametrize(
    "credit",
    [
        CREDIT.astype(np.float64), CREDIT[0], CREDIT[None], CREDIT * 2, -CREDIT, CREDIT * np.nan, CREDIT > 0,
        np.array("x"), np.zeros((2, 2), "M8[s]"), np.zeros((2, 2), [("a", "f4")]),
    ],
)  # fmt: skip
def test_credit_that_is_not_of_trials_is_named(tmp_path, credit):
    write_arrays(tmp_path / "trials.npz", {"official_runs": credit})
    with pytest.raises(UserError, match=r"trials\.npz is damaged, 'official_runs' is"):
        read_trials(tmp_path)


def test_trials_of_another_number_are_refused_where_runs_are_compared(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_experiment(tmp_path / name, SMALL)
        (tmp_path / name / "results.json").write_text(json.dumps(to_json(RESULTS)))
        write_arrays(tmp_path / name / "trials.npz", {"official_runs": CREDIT[: 10 if name == "b" else 20]})
    with pytest.raises(UserError, match=r"b/trials\.npz is damaged, 'official_runs' has 200 trials, not 400"):
        compare.compare_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_the_files_of_a_network_are_read_or_refused(tmp_path):
    model = make_model()
    folder = tmp_path / "network"
    pretrained.write(folder, EXPERIMENT, model.params, model.card)
    for name in ("card.json", "experiment.json"):
        written = (folder / name).read_text()
        for _, damaged in mutations(json.loads(written), 20):
            (folder / name).write_text(json.dumps(damaged))
            read_or_refused(pretrained.read, folder, r"card\.json|experiment\.json|params\.npz")
        (folder / name).write_text(written)
    pretrained.read(folder)


def spoilt(path, how):
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    match how:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "long":
            path.touch()
            os.truncate(path, 1 << 40)
        case "link to itself":
            path.symlink_to(path.name)
        case "deep":
            path.write_text('{"a":' * 100_000)
        case "deep lists":
            path.write_text('{"a":' + "[" * 60 + "]" * 60 + "}")
        case "long number":
            path.write_text('{"seed": ' + "9" * 5000 + "}")
        case bytes():
            path.write_bytes(how)


SPOILT = [
    "folder", "pipe", "device", "long", "link to itself", "deep", "deep lists", "long number", b"", b"null", b"[]",
    b"\xff\xfe{}", b"{", b'{"a": NaN}', b'\xef\xbb\xbf{"a": 1}', b'"\\ud800"', b"\0" * 100,
]  # fmt: skip
READERS = {
    "results.json": read_results,
    "experiment.json": read_experiment,
    "metrics.jsonl": read_metrics,
    "trials.npz": read_trials,
    "card.json": pretrained.read,
    "params.npz": pretrained.read,
}


@pytest.mark.parametrize("name", READERS)
def test_anything_in_the_place_of_a_file_is_refused_by_its_name(tmp_path, name):
    model = make_model()
    pretrained.write(tmp_path, EXPERIMENT, model.params, model.card)
    for how in SPOILT:
        spoilt(tmp_path / name, how)
        if name == "metrics.jsonl" and how in (b"", b"{", b"\0" * 100, b"\xff\xfe{}", "deep", "long number"):
            assert read_metrics(tmp_path) == []  # a torn last line
        else:
            with pytest.raises(UserError, match=re.escape(name)) as error:
                READERS[name](tmp_path)
            sentence(str(error.value))
        (tmp_path / name).rmdir() if how == "folder" else (tmp_path / name).unlink()
    jax.block_until_ready(model.params)
