"""The record of a sweep: what workers share, and what becomes of trials whose worker is killed."""

import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from plans import BASE, SPACES, make_plan, run_all
from tiny import make_experiment

from siamese_jax.errors import UserError
from siamese_jax.search import storage as storage_module
from siamese_jax.search import study as study_module
from siamese_jax.search.plan import checked
from siamese_jax.search.space import parse
from siamese_jax.search.storage import JOURNAL
from siamese_jax.search.study import RETRIES, Study, distribution, find_study, make_pruner, reason_of
from siamese_jax.specs import leaves


@pytest.mark.parametrize("sampler", ["bayesian", "random"])
def test_a_study_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path, sampler):
    plan = make_plan(8, sampler=sampler, pruner="none")
    with Study(plan, tmp_path / "whole") as study:
        whole = run_all(study)
    with Study(plan._replace(trials=3), tmp_path / "parts") as study:
        parts = run_all(study)
    with Study(plan, tmp_path / "parts") as study:
        parts += run_all(study)
    assert parts == whole
    assert len({tuple(values.items()) for values in parts}) == 8


RATE = "optimizer.layers.fc.learning_rate"


def own_values() -> dict:
    return {name: value for name, value in leaves(BASE) if name in ("optimizer.decay", RATE)}


def test_a_bayesian_search_begins_with_the_values_of_its_base_and_tries_them_once(tmp_path):
    with Study(make_plan(6), tmp_path) as one, Study(make_plan(6), tmp_path) as other:
        (first,), (second,) = one.ask(1), other.ask(1)
        assert first.params == own_values()
        one.give_back([first])
        other.complete(second, 0.1)
        drawn = [second.params, *run_all(one)]
    assert drawn[1] == own_values()
    assert drawn.count(own_values()) == 1
    assert len(drawn) == 6


def test_a_bayesian_search_that_was_begun_without_its_base_tries_it_next(tmp_path, monkeypatch):
    with monkeypatch.context() as before, Study(make_plan(3), tmp_path) as study:
        before.setattr(study_module, "_given_points", lambda plan: [])
        assert own_values() not in run_all(study)
    with Study(make_plan(5), tmp_path) as study:
        assert run_all(study)[0] == own_values()


@pytest.mark.parametrize(("sampler", "first"), [("random", SPACES[0]), ("bayesian", "optimizer.decay=0.2..0.4")])
def test_a_random_search_and_one_whose_base_lies_outside_it_begin_anywhere(tmp_path, sampler, first):
    with Study(make_plan(3, [first, SPACES[1]], sampler=sampler), tmp_path) as study:
        drawn = run_all(study)
    assert all(values[RATE] != own_values()[RATE] for values in drawn)


def test_fields_are_drawn_apart_from_each_other(tmp_path):
    with Study(make_plan(12, sampler="random"), tmp_path) as study:
        drawn = run_all(study)
    decays = [values["optimizer.decay"] for values in drawn]
    logarithms = [np.log(values["optimizer.layers.fc.learning_rate"]) for values in drawn]
    assert abs(np.corrcoef(decays, logarithms)[0, 1]) < 0.8  # 1 if both came from the same number


def test_two_workers_on_one_journal_never_run_the_same_trial_and_end_it_together(tmp_path):
    plan = make_plan(5, sampler="random")
    with Study(plan, tmp_path) as one, Study(plan, tmp_path) as other:
        first, second = one.ask(2), other.ask(2)
        assert {trial.number for trial in first} == {0, 1}
        assert {trial.number for trial in second} == {2, 3}
        last = one.ask(2)
        assert [trial.number for trial in last] == [4]
        assert other.ask(2) == []  # all are under way
        for worker, trials in ((one, first + last), (other, second)):
            assert not worker.done
            for trial in trials:
                worker.complete(trial, 0.5)
        assert one.done
        assert other.done
        assert one.claims_winner(3, seed=0)
        assert not other.claims_winner(3, seed=0)


def test_a_grid_is_run_through_once(tmp_path):
    plan = make_plan(0, ["seed=0,1,2", "data.redraw=true,false"], sampler="grid")
    assert plan.trials == 6
    with Study(plan, tmp_path) as one, Study(plan, tmp_path) as other:
        drawn = []
        while not one.done:
            for worker in (one, other):
                for trial in worker.ask(1):
                    drawn.append(tuple(trial.params.values()))
                    worker.complete(trial, 0.1)
    assert sorted(drawn) == [(seed, redraw) for seed in range(3) for redraw in (False, True)]


def test_a_grid_tells_apart_points_that_are_nearly_equal_and_runs_what_was_given_back(tmp_path):
    plan = make_plan(0, ["seed=100000,100001"], sampler="grid")
    with Study(plan, tmp_path) as study:
        (first,) = study.ask(1)
        study.give_back([first])
        drawn = []
        while not study.done:
            (trial,) = study.ask(1)
            drawn.append(trial.params["seed"])
            study.complete(trial, 0.1)
        assert drawn == [100000, 100001]


def test_a_grid_goes_on_when_more_of_its_points_are_asked_for(tmp_path):
    plan = make_plan(2, ["seed=0..4"], sampler="grid")
    drawn = []
    for trials in (2, 5):
        with Study(plan._replace(trials=trials), tmp_path) as study:
            drawn += [values["seed"] for values in run_all(study, lambda params: 0.5)]
    assert drawn == [0, 1, 2, 3, 4]


def test_failures_count_as_trials_and_keep_their_reason(tmp_path):
    with Study(make_plan(2), tmp_path) as study:
        (trial,) = study.ask(1)
        study.fail(trial, "no pixels left")
        (trial,) = study.ask(1)
        study.prune(trial)
        assert study.done
        failed, pruned = study.trials
    assert [reason_of(failed), reason_of(pruned)] == ["no pixels left", ""]
    # Optuna's sampler learns from both what to avoid: from failed trials it does not.
    assert failed.state is pruned.state is TrialState.PRUNED


def test_the_sampler_learns_from_trials_that_could_not_be_run(tmp_path):
    with Study(make_plan(40, search=["optimizer.decay=0.5..1"], pruner="none"), tmp_path) as study:
        while not study.done:
            (trial,) = study.ask(1)
            if trial.params["optimizer.decay"] > 0.6:
                study.fail(trial, "no pixels left")
            else:
                study.complete(trial, 0.5)
        could = [not reason_of(trial) for trial in study.trials]
    assert sum(could[:10]) <= 4  # a fifth of the range, drawn evenly
    assert sum(could[-20:]) >= 9


def test_a_database_that_does_not_answer_for_a_moment_stops_no_worker(tmp_path, monkeypatch):
    with Study(make_plan(2), tmp_path) as study:
        real, refused = study_module.locked, iter([True, True, False, False, False])

        def locked(*arguments):
            if next(refused):
                raise StorageInternalError("it is being restarted")
            return real(*arguments)

        monkeypatch.setattr(study_module, "locked", locked)
        monkeypatch.setattr(storage_module, "wait", lambda: None)
        assert len(study.ask(1)) == 1


def test_the_winner_is_claimed_seed_by_seed_and_again_where_its_worker_has_died(tmp_path):
    with Study(make_plan(1), tmp_path) as dead:
        assert dead.claims_winner(0, seed=0)
    with Study(make_plan(1), tmp_path) as first, Study(make_plan(1), tmp_path) as second:
        assert second.claims_winner(0, seed=0)
        assert not first.claims_winner(0, seed=0)
        assert first.claims_winner(0, seed=1)
        assert first.claims_winner(0, seed=1)
        assert first.claims_winner(3, seed=0)


def test_trials_that_are_given_back_are_run_by_the_next_worker(tmp_path):
    with Study(make_plan(1), tmp_path) as study:
        (trial,) = study.ask(1)
        study.give_back([trial])
        assert study.trials == []
    with Study(make_plan(1), tmp_path) as study:
        (again,) = study.ask(1)
        assert again.params == trial.params
        assert again.number != trial.number


def test_trials_that_are_given_back_again_and_again_are_not_lost(tmp_path):
    with Study(make_plan(1), tmp_path) as study:
        for _ in range(3 * RETRIES):
            (trial,) = study.ask(1)
            study.give_back([trial])
        (trial,) = study.ask(1)
        study.complete(trial, 0.5)
        assert study.done


def test_a_trial_whose_worker_was_killed_before_it_could_sign_is_run_again(tmp_path):
    with Study(make_plan(1), tmp_path) as study:
        killed = study.study.ask(study._distributions)  # as `ask` does, up to there
        (trial,) = study.ask(1)
        assert trial.params == killed.params
        assert len(study.trials) == 1


def test_a_trial_whose_worker_dies_again_and_again_has_failed_for_good(tmp_path):
    with Study(make_plan(1), tmp_path) as study:
        drawn = []
        while not study.done:
            (trial,) = study.ask(1)
            drawn.append(trial.params)
            study.give_back([trial], died=True)
        assert drawn == [drawn[0]] * (1 + RETRIES)
        (failed,) = study.trials
        assert reason_of(failed) == "its worker died, 4 times"


def test_a_trial_that_was_given_away_is_ended_by_its_new_worker_alone(tmp_path):
    with Study(make_plan(1), tmp_path) as study:
        (trial,) = study.ask(1)
        study.study.tell(trial.number, state=TrialState.FAIL)  # as another worker does when this one was silent
        assert not study.report(trial, 1, 0.5)
        study.complete(trial, 0.5)
        study.fail(trial, "too late")
        assert study.trials == []


KILLED = """
    import sys, time
    from pathlib import Path
    from plans import make_plan
    from siamese_jax.search.study import Study
    with Study(make_plan(2), Path({folder!r})) as study:
        print(study.ask(1)[0].params, flush=True)
        time.sleep(600)
"""


def test_the_trial_of_a_worker_that_was_killed_is_run_again_and_a_torn_line_is_mended(tmp_path):
    code = textwrap.dedent(KILLED).format(folder=str(tmp_path))
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    begun = worker.stdout.readline().strip()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id":"torn')
    with Study(make_plan(2), tmp_path) as study:
        (trial,) = study.ask(1)
        assert str(trial.params) == begun
        study.complete(trial, 0.5)
        (trial,) = study.ask(1)
        study.complete(trial, 0.5)
        assert study.done


def test_another_sweep_under_the_same_name_is_refused_with_what_differs(tmp_path):
    with Study(make_plan(2), tmp_path):
        pass
    with Study(make_plan(9), tmp_path):  # more trials are no other sweep
        pass
    with pytest.raises(UserError, match="with pruner=median, not none"), Study(make_plan(2, pruner="none"), tmp_path):
        pass
    other = make_plan(2)._replace(base=make_experiment(batch_size=2))
    with pytest.raises(UserError, match="with batch_size=4, not 2"), Study(other, tmp_path):
        pass


def test_a_study_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match="holds no study"):
        find_study("tiny", tmp_path, None)
    with Study(make_plan(2), tmp_path):
        pass
    assert find_study("tiny", tmp_path, None).study_name == "tiny"
    with pytest.raises(UserError, match="no study 'other'; there are: tiny"):
        find_study("other", tmp_path, None)


@pytest.mark.parametrize("storage", ["sqlite:///x.db", "here", "mysql://me:secret@there/x", "password=secret"])
def test_a_storage_for_one_worker_is_refused_without_its_password(tmp_path, storage):
    with pytest.raises(UserError, match="write postgresql://USER@HOST/DATABASE") as error:
        find_study("tiny", tmp_path, storage)
    assert "secret" not in str(error.value)


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path):
    with pytest.raises(UserError, match=r"cannot be used: .*(refused|failed)") as told:
        find_study("tiny", tmp_path, "postgresql://me:secret@127.0.0.1:1/nowhere")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"trials": -1}, "--trials=-1 is out of range"),
        ({"trial_minutes": -1.0}, "--trial_minutes=-1.0 is out of range"),
        ({"population": 0}, "--population=0 is out of range"),
        ({"trials": 7, "sampler": "grid", "spaces": parse(["seed=0,1"], BASE)}, "more than the grid has: 2"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(changes, why):
    with pytest.raises(UserError, match=why):
        checked(make_plan()._replace(**changes))


def test_the_pruners_are_optunas():
    kinds = {name: type(make_pruner(make_plan(pruner=name))) for name in ("median", "hyperband", "none")}
    assert kinds == {
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "none": optuna.pruners.NopPruner,
    }


def test_the_median_prunes_nothing_in_the_first_third_of_a_trial(tmp_path):
    plan = make_plan(6, pruner="median")
    plan = plan._replace(base=replace(plan.base, max_epochs=5))
    with Study(plan, tmp_path) as study:
        for _ in range(4):
            (trial,) = study.ask(1)
            assert all(study.report(trial, epoch, 0.3 + 0.1 * epoch) for epoch in range(1, 6))
            study.complete(trial, 0.8)
        (late,), (never,) = study.ask(1), study.ask(1)
        assert study.report(late, 1, 0.1)
        assert study.report(late, 2, 0.5)
        assert study.report(never, 1, 0.1)
        assert not study.report(never, 2, 0.1)


def test_the_median_spares_a_third_of_a_trials_own_epochs_or_the_first_where_minutes_bound_it():
    plan = make_plan(pruner="median")._replace(base=replace(BASE, max_epochs=30))
    assert make_pruner(plan)._n_warmup_steps == 11
    assert make_pruner(plan._replace(trial_epochs=6))._n_warmup_steps == 3
    assert make_pruner(plan._replace(trial_minutes=5.0))._n_warmup_steps == 2


def test_the_last_step_of_a_range_need_not_be_its_end(recwarn):
    (space,) = parse(["network.conv2.filters=16..50:16"], BASE)
    assert (distribution(space).high, space.values) == (48, (16, 32, 48))
    assert not recwarn.list


def test_a_damaged_journal_is_said_to_be(tmp_path):
    with Study(make_plan(2), tmp_path):
        pass
    journal = tmp_path / JOURNAL
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    (tmp_path / "journal.digest").unlink()  # else the digest tells, before Optuna reads it
    with pytest.raises(UserError, match=r"journal\.log is damaged"):
        find_study("tiny", tmp_path, None)


@pytest.mark.parametrize("kind", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_usual_address_of_postgresql_is_reached_by_the_driver_that_the_extra_installs(kind):
    address = storage_module.make_address(f"{kind}://user:secret@host:5432/database?sslmode=require")
    assert address == "postgresql+psycopg://user:secret@host:5432/database?sslmode=require"
