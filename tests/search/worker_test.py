"""Workers: trials are run, told and recorded, whatever becomes of them; the test alphabets are never asked for."""

import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
from plans import BASE, SETS, make_grid_plan
from tiny import make_experiment

from siamese_jax.errors import UserError
from siamese_jax.search import candidates
from siamese_jax.search import worker as worker_module
from siamese_jax.search.study import REASON, Study
from siamese_jax.search.worker import check_base, load_once, work
from siamese_jax.specs import Glyphs, Omniglot


def worked(plan, folder, load=lambda spec: SETS):
    """Works until the plan is done; returns its trials, and what was said."""
    said = []
    with Study(plan, folder) as study:
        work(plan, study, load, said.append)
        return study.trials, said


def test_trials_of_all_kinds_are_recorded_and_none_stops_the_sweep(tmp_path, monkeypatch):
    real = candidates.train

    def out_of_memory_for_32_units(experiments, *arguments):
        if experiments[0].network.tower.units == 32:
            raise RuntimeError("RESOURCE_EXHAUSTED: 9 GB asked for")
        return real(experiments, *arguments)

    monkeypatch.setattr(worker_module, "train", out_of_memory_for_32_units)
    plan = make_grid_plan(
        ["network.conv4.size=2,30", "network.units=8,32", "optimizer.layers.fc.learning_rate=0.1,1e30"]
    )
    trials, said = worked(plan, tmp_path)
    assert len(trials) == 8
    by_params = {tuple(trial.params.values()): trial for trial in trials}
    for (size, units, rate), trial in by_params.items():
        reason = trial.user_attrs.get(REASON, "")
        if size == 30:
            assert "network.conv4.size=30 leaves no pixels" in reason
        elif units == 32:
            assert reason == "out of memory"
        elif rate == 1e30:
            assert "not finite" in reason
        else:
            assert trial.value == max(trial.intermediate_values.values())
            assert list(trial.intermediate_values) == [1, 2]
            assert trial.user_attrs["seconds"] >= trial.user_attrs["seconds_to_first_step"] > 0
    assert sum("ended: failed: " in line for line in said) == 7


def test_a_population_is_trained_together_where_shapes_are_equal(tmp_path, monkeypatch):
    groups = []
    real = candidates.train
    monkeypatch.setattr(
        worker_module, "train", lambda experiments, *more: groups.append(len(experiments)) or real(experiments, *more)
    )
    plan = make_grid_plan(["network.units=8,12", "optimizer.layers.fc.learning_rate=0.1,0.2"], population=4)
    trials, _ = worked(plan, tmp_path)
    assert groups == [2, 2]
    assert all(trial.value is not None for trial in trials)


def test_what_does_not_fit_into_memory_together_is_trained_one_by_one(tmp_path, monkeypatch):
    def train(experiments, *_):
        if len(experiments) > 1:
            raise RuntimeError("RESOURCE_EXHAUSTED")
        return [candidates.Ended(0.5)]

    monkeypatch.setattr(worker_module, "train", train)
    trials, _ = worked(make_grid_plan(["seed=0,1,2"], population=3), tmp_path)
    assert [trial.value for trial in trials] == [0.5] * 3


def test_a_base_that_cannot_be_trained_is_refused():
    plan = make_grid_plan(["seed=0,1"])
    check_base(plan, lambda spec: SETS)
    wrong = plan._replace(base=make_experiment(evaluation=replace(BASE.evaluation, n_way=50)))
    with pytest.raises(UserError, match="50"):
        check_base(wrong, lambda spec: SETS)


def test_a_trial_takes_the_time_of_its_own_training(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(worker_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def train(experiments, sets, programs, goes_on, started, minutes):
        started()
        return [candidates.Ended(0.5)]

    monkeypatch.setattr(worker_module, "train", train)
    trials, _ = worked(make_grid_plan(["network.units=8,12,16"], population=3), tmp_path)
    assert [trial.user_attrs["seconds_to_first_step"] for trial in trials] == [10] * 3
    assert [trial.user_attrs["seconds"] for trial in trials] == [20] * 3


def test_nothing_of_a_population_is_kept_that_did_not_fit_into_memory(tmp_path, monkeypatch):
    kept = []

    class Arrays:
        pass

    def train(experiments, *_):
        if len(experiments) > 1:
            arrays = Arrays()
            kept.append(weakref.ref(arrays))
            raise RuntimeError("RESOURCE_EXHAUSTED")
        assert kept[0]() is None
        return [candidates.Ended(0.5)]

    monkeypatch.setattr(worker_module, "train", train)
    trials, _ = worked(make_grid_plan(["seed=0,1"], population=2), tmp_path)
    assert [trial.value for trial in trials] == [0.5] * 2


def test_a_trial_that_breaks_its_worker_is_left_to_others(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker_module, "train", broken)
    plan = make_grid_plan(["seed=0,1"])
    with Study(plan, tmp_path) as study:
        with pytest.raises(RuntimeError, match="a bug"):
            work(plan, study, lambda spec: SETS, lambda text: None)
        assert study.trials == []
        assert [trial.params["seed"] for trial in study.ask(1)] == [0]


def test_a_trial_is_pruned_when_others_did_better(tmp_path, monkeypatch):
    accuracies = iter([0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.1])

    def train(experiments, sets, programs, goes_on, *_):
        best = 0.0
        for epoch in (1, 2):
            best = max(best, accuracy := next(accuracies))
            if not goes_on(0, epoch, accuracy):
                return [candidates.Ended(best, pruned=True)]
        return [candidates.Ended(best)]

    monkeypatch.setattr(worker_module, "train", train)
    trials, said = worked(make_grid_plan(["seed=0..4"], pruner="median"), tmp_path)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4 + ["PRUNED"]
    assert "candidate 4 ended: 10.0%, pruned; seed=4" in said


def test_data_of_each_kind_are_loaded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "train", lambda experiments, *_: [candidates.Ended(0.5)])
    asked = []

    @load_once
    def load(spec: Omniglot):
        asked.append(spec.train_pairs)
        return SETS

    worked(make_grid_plan(["data.train_pairs=12,24", "seed=0,1"]), tmp_path, load)
    assert asked == [12]
    worked(make_grid_plan(["data.redraw=true,false", "data.downsample=1,3"])._replace(name="other"), tmp_path, load)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        Glyphs(),
        Omniglot(background="small1"),
        Omniglot(downsample=3),
        Omniglot(side=48),
        Omniglot(drawer_split="official"),
    ],
)
def test_images_of_other_pixels_or_drawers_are_loaded_anew(other):
    asked = []
    load = load_once(lambda spec: asked.append(spec))
    for spec in (Omniglot(), other, Omniglot(redraw=True)):
        load(spec)
    assert asked == [Omniglot(), other]


def test_an_interrupted_worker_gives_its_trials_back(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    plan = make_grid_plan(["seed=0,1,2"], population=2)
    monkeypatch.setattr(worker_module, "train", interrupted)
    with Study(plan, tmp_path) as study:
        with pytest.raises(KeyboardInterrupt):
            work(plan, study, lambda spec: SETS, lambda text: None)
        assert study.trials == []
        assert sorted(trial.params["seed"] for trial in study.ask(3)) == [0, 1, 2]
