"""Results are written and read without loss, and whatever does not fit is refused in one sentence."""

import copy
import dataclasses
import importlib
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from example_results import MODEL_CARD, RESULTS

from siamese_jax import results
from siamese_jax.errors import UserError
from siamese_jax.results import ModelCard, OneShotResult, RunResults, from_json, to_json

ROOT = Path(__file__).parent.parent
KINDS = [kind for kind in vars(results).values() if dataclasses.is_dataclass(kind)]


def through_json(value: object) -> typing.Any:
    return json.loads(json.dumps(to_json(value), allow_nan=False))


def read(value: object, kind: type = RunResults) -> object:
    return from_json(kind, value, "results.json", "measure the run again")


def changed(path: str, new: object) -> dict:
    """The example with the field at a dotted path set; without it where `new` is None."""
    written = copy.deepcopy(through_json(RESULTS))
    *parents, name = path.split(".")
    place = written
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    if new is None:
        del place[name]
    else:
        place[name] = new
    return written


@pytest.mark.parametrize("value", [RESULTS, MODEL_CARD])
def test_what_was_written_is_read_back_equal(value):
    assert read(through_json(value), type(value)) == value


def test_an_environment_of_an_earlier_version_lacks_the_fields_that_have_a_default():
    new = {"jaxlib": "0.10.2", "processor": "a CPU", "machine_cores": 64, "settings": {"NPROC": "2"}}
    written = through_json(RESULTS)
    for name in new:
        del written["environment"][name]
    assert read(written) == RESULTS
    written["environment"] |= new
    assert read(written).environment == dataclasses.replace(RESULTS.environment, **new)
    with pytest.raises(UserError, match=r"environment.settings.NPROC is 2, not text"):
        read(changed("environment.settings", {"NPROC": 2}))


def test_what_json_holds_has_the_names_of_the_fields():
    written = through_json(RESULTS)
    assert written["format"] == 2
    assert written["one_shot"]["official_runs"]["card"]["n_way"] == 20
    assert written["verification"]["test"]["operating_points"][0]["threshold"] == 2.59
    assert written["verification"]["test"]["ci95"] == [0.911, 0.933]


@pytest.mark.parametrize(
    ("path", "new", "words"),
    [
        ("seed", None, "seed is missing"),
        ("one_shot.official_runs.card.trials_id", None, "one_shot.official_runs.card.trials_id is missing"),
        ("data.sets.train.colour", "red", "data.sets.train.colour is unknown"),
        ("random_trials", {}, "random_trials is unknown"),
        ("one_shot.official_runs.accuracy", "0.9", "one_shot.official_runs.accuracy is '0.9', not number"),
        ("one_shot.official_runs.accuracy", float("nan"), "accuracy is nan, not number"),
        ("one_shot.official_runs.accuracy", True, "accuracy is True, not number"),
        ("one_shot.official_runs.ties", 0.5, "ties is 0.5, not whole number"),
        ("environment.x64", 0, "environment.x64 is 0, not true or false"),
        ("verification.test.ci95", [0.1], r"verification.test.ci95 is \[0.1\], not \[number, number\]"),
        ("verification.test.operating_points.0", 3, r"operating_points is \[3\]|operating_points is 3"),
        ("training.stopped_by", "boredom", "training.stopped_by is 'boredom'"),
        ("data.sets.train.authors", 3, "authors is 3, not .whole number, …."),
        ("baselines", [], "baselines is .., not"),
        ("training", 5, "training is 5, not TrainingSummary"),
        ("format", 1, "its format is 1, not 2"),
        ("format", None, "its format is None, not 2"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_field_and_what_to_do(path, new, words):
    if path.endswith(".0"):
        written = changed(path.removesuffix(".0"), [new])
        words = "operating_points is 3, not OperatingPoint"
    else:
        written = changed(path, new)
    with pytest.raises(UserError, match=words) as error:
        read(written)
    assert str(error.value).startswith("results.json does not fit this version: ")
    assert str(error.value).endswith("; measure the run again")


@pytest.mark.parametrize("value", [[], None, "text"])
def test_a_file_that_holds_no_object_is_refused(value):
    with pytest.raises(UserError, match="it is .*, not RunResults"):
        read(value)


def test_a_whole_number_may_stand_for_a_number_and_null_only_where_it_means_something():
    assert read(changed("one_shot.official_runs.accuracy", 1)).one_shot["official_runs"].accuracy == 1.0
    written = through_json(RESULTS)
    written["verification"]["test"]["operating_points"][0]["threshold"] = None
    assert read(written).verification.test.operating_points[0].threshold is None
    written["verification"]["test"]["threshold"] = None
    with pytest.raises(UserError, match="threshold is None, not number"):
        read(written)


def test_results_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULTS.seed = 1


@pytest.mark.parametrize(
    ("word", "several"), [("alphabet", "alphabets"), ("class", "classes"), ("family", "families"), ("key", "keys")]
)
def test_words_have_plurals(word, several):
    assert results.plural(word) == several


def test_a_card_names_its_task():
    assert RESULTS.one_shot["official_runs"].card.task == "20-way 1-shot"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_documented_and_readable(kind):
    for field in dataclasses.fields(kind):
        assert field.metadata["meaning"].endswith("."), field.name
        assert results.type_in_words(typing.get_type_hints(kind)[field.name])


def test_the_documented_schema_is_that_of_the_dataclasses(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    page = importlib.import_module("results_page").page()
    assert (ROOT / "docs" / "results.md").read_text() == page
    assert [kind.__name__ for kind in KINDS if f"\n## {kind.__name__}\n" not in page] == []


def test_reading_results_loads_no_numerics():
    heavy = {"jax", "numpy", "scipy"}
    code = f"import sys, siamese_jax.results; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_parts_can_be_read_on_their_own():
    assert read(through_json(RESULTS)["one_shot"]["official_runs"], OneShotResult) == RESULTS.one_shot["official_runs"]
    written = through_json(MODEL_CARD)
    del written["results"]["training"]["epochs"]
    with pytest.raises(UserError, match="results.training.epochs is missing"):
        read(written, ModelCard)
