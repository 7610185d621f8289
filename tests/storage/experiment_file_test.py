"""What a run was begun with is read back from its folder."""

import dataclasses
import json

import pytest
from tiny import make_experiment

from siamese_jax.checks import check_workdir
from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.specs import leaves, with_value
from siamese_jax.storage.experiment_file import read_experiment, read_fields, read_json


def write(folder, experiment, **changes):
    (folder / "experiment.json").write_text(json.dumps({**dataclasses.asdict(experiment), **changes}))


def test_every_field_is_read_back_but_the_words_that_describe_the_experiment(tmp_path):
    experiment = make_experiment(seed=3, summary="old words")
    write(tmp_path, experiment)
    read = read_experiment(tmp_path)
    assert read == dataclasses.replace(experiment, summary=find("omniglot_20way").summary)
    assert read_fields(tmp_path) == dict(leaves(experiment))


def test_a_field_newer_than_the_run_is_what_was_done_before_whatever_is_registered_by_now(tmp_path):
    experiment = find("omniglot_20way_paper_allpairs")
    assert experiment.optimizer.fc_rate != 1
    written = dataclasses.asdict(experiment)
    del written["optimizer"]["fc_rate"]
    write(tmp_path, experiment, optimizer=written["optimizer"])
    assert read_experiment(tmp_path) == with_value(experiment, "optimizer.fc_rate", 1.0)
    with pytest.raises(UserError, match=r"a run with optimizer.fc_rate=1.0, not 0.05"):
        check_workdir(experiment, tmp_path)


def test_a_field_newer_than_the_run_is_as_registered_where_that_changed_nothing(tmp_path):
    experiment = with_value(make_experiment(), "evaluation.combine", "best_score")
    written = dataclasses.asdict(experiment)
    del written["evaluation"]["combine"]
    write(tmp_path, experiment, evaluation=written["evaluation"])
    assert read_experiment(tmp_path).evaluation.combine == "mean_score"


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"name": "gone"}, None, "no experiment 'gone'"),
        ({}, "glyphs_20way", "belongs to the experiment 'omniglot_20way', not 'glyphs_20way'"),
        ({"seed": "3"}, None, "seed='3', which is no such value"),
    ],
)
def test_a_run_that_is_not_what_was_asked_for_is_refused(tmp_path, changes, name, words):
    write(tmp_path, make_experiment(), **changes)
    with pytest.raises(UserError, match=words):
        read_experiment(tmp_path, name)


def test_a_folder_without_a_run_is_refused(tmp_path):
    assert read_fields(tmp_path) is None
    with pytest.raises(UserError, match="holds no run"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff\xfe", b""])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "some.json").write_bytes(text)
    with pytest.raises(UserError, match=r"some\.json cannot be read"):
        read_json(tmp_path / "some.json")
