"""The experiment that a run was begun with is read back from its folder."""

import json

import pytest
from tiny import make_experiment

from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS
from siamese_jax.specs import to_nested
from siamese_jax.storage.experiment_file import read_experiment, read_written, write_experiment


@pytest.mark.parametrize("experiment", [make_experiment(seed=3, summary="words"), *EXPERIMENTS.values()])
def test_an_experiment_is_read_back_as_it_was_written(tmp_path, experiment):
    write_experiment(tmp_path, experiment)
    assert read_experiment(tmp_path) == experiment
    assert read_experiment(tmp_path, experiment.name) == experiment


def test_the_file_holds_the_fields_that_are_used_and_no_others(tmp_path):
    write_experiment(tmp_path, EXPERIMENTS["omniglot_20way_fast"])
    written = json.loads((tmp_path / "experiment.json").read_text())
    assert written["network"] == {
        "tower": "residual", "units": 256, "head": "linear", "compute_dtype": "float32", "width": 32, "stages": 3,
        "normalisation": "group", "energy": "weighted_l1", "initialiser": "scaled",
    }  # fmt: skip
    assert written["loss"] == {"name": "n_way"}


def without(nested, name):
    head, _, rest = name.partition(".")
    if rest:
        return {**nested, head: without(nested[head], rest)}
    return {key: value for key, value in nested.items() if key != head}


@pytest.mark.parametrize("name", ["seed", "data.side", "network.tower", "network.conv1.pool", "optimizer.layers.fc.l2"])
def test_a_missing_field_is_one_clear_sentence(tmp_path, name):
    (tmp_path / "experiment.json").write_text(json.dumps(without(to_nested(make_experiment()), name)))
    with pytest.raises(UserError, match=rf"experiment\.json does not describe an experiment: {name} is missing$"):
        read_experiment(tmp_path)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"seed": "3"}, "seed=3 must be a whole number"),
        ({"seed": True}, "seed=True must be a whole number"),
        ({"network": 5}, "network.tower is missing"),
        ({"sede": 3}, "sede is not a field: did you mean seed?"),
        ({"loss": {"name": "cross_entropy", "margin": 1.0}}, "margin is a field of loss.name=contrastive or triplet"),
        ({"loss": {"name": "n_ways"}}, "loss.name=n_ways is not a choice: take one of cross_entropy, "),
        ({"distort": {**to_nested(make_experiment())["distort"], "scale": 1.0}}, "distort.scale=1.0 is out of range"),
    ],
)
def test_a_field_with_a_wrong_value_is_one_clear_sentence(tmp_path, part, words):
    (tmp_path / "experiment.json").write_text(json.dumps(to_nested(make_experiment()) | part))
    with pytest.raises(UserError, match=rf"experiment\.json does not describe an experiment: .*{words}"):
        read_experiment(tmp_path)


def test_a_run_of_another_experiment_is_refused(tmp_path):
    write_experiment(tmp_path, make_experiment())
    with pytest.raises(UserError, match="belongs to the experiment 'omniglot_20way', not 'glyphs_20way'"):
        read_experiment(tmp_path, "glyphs_20way")


def test_a_folder_without_a_run_is_refused(tmp_path):
    assert read_written(tmp_path) is None
    with pytest.raises(UserError, match="holds no run"):
        read_experiment(tmp_path)
