"""Two workers, each a process, on one PostgreSQL."""

import signal
import subprocess
import sys
import textwrap
import uuid

import optuna
from optuna.trial import TrialState
from plans import make_grid_plan

from siamese_jax.search.storage import quietly
from siamese_jax.search.study import WORKER, Study, find_study

TRIALS = 6
CODE = """
    import sys
    from pathlib import Path
    from plans import SETS, make_grid_plan
    from siamese_jax.search import storage
    storage.HEARTBEAT, storage.GRACE = 1, 8  # half a minute would be waited for
    from siamese_jax.search.study import Study
    from siamese_jax.search.worker import work
    plan = make_grid_plan(["optimizer.layers.fc.learning_rate=0.01..0.1"], {trials}, sampler="bayesian")
    plan = plan._replace(name={name!r})
    with Study(plan, Path({folder!r}), {url!r}) as study:
        print("worker", study.worker, flush=True)
        work(plan, study, lambda spec: SETS, lambda text: print(text, flush=True))
"""


def test_two_workers_on_one_database_finish_a_study_together_after_one_of_them_was_killed(tmp_path, database):
    name = f"test-{uuid.uuid4().hex}"
    code = textwrap.dedent(CODE).format(trials=TRIALS, name=name, folder=str(tmp_path), url=database)

    def begin() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    killed, survivor = begin(), begin()
    try:
        who = killed.stdout.readline().split()[1]
        assert "epoch 1" in killed.stdout.readline()  # in the middle of its trial
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        said, _ = survivor.communicate(timeout=300)
    finally:
        killed.kill()
        survivor.kill()
        killed.stdout.close()
    assert survivor.returncode == 0
    study = find_study(name, tmp_path, database)
    try:
        trials = study.get_trials()
        completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        (given_up,) = [trial for trial in trials if trial.state is not TrialState.COMPLETE]
        assert len(completed) == TRIALS
        assert given_up.state is TrialState.FAIL
        assert given_up.user_attrs[WORKER] == who
        assert [trial.params for trial in completed].count(given_up.params) == 1
        assert len({tuple(trial.params.values()) for trial in completed}) == TRIALS
        assert said.count(" ended: ") == sum(trial.user_attrs[WORKER] != who for trial in completed)
    finally:
        optuna.delete_study(study_name=name, storage=study._storage)


def test_a_trial_in_a_database_whose_worker_was_killed_before_it_could_sign_is_run_again(tmp_path, database):
    name = f"test-{uuid.uuid4().hex}"
    plan = make_grid_plan(["optimizer.layers.fc.learning_rate=0.01..0.1"], 1, sampler="random")._replace(name=name)
    with Study(plan, tmp_path, database) as study:
        try:
            with quietly():
                killed = study.study.ask(study._distributions)  # as `ask` does, up to there: without a sign of life
            (trial,) = study.ask(1)
            assert trial.params == killed.params
            assert len(study.trials) == 1
        finally:
            optuna.delete_study(study_name=name, storage=study.study._storage)
