import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import chex
import jax
import pytest
from tiny import SIDE, make_dataset, make_experiment

from siamese_jax.environment import environment
from siamese_jax.errors import Stopped, UserError
from siamese_jax.experiments import LAYERS
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.sampling.splits import split
from siamese_jax.specs import AdamW, DistortSpec, LayerSpec, NWay, Omniglot, PaperSGD
from siamese_jax.storage.checkpoint import Checkpoints, restore
from siamese_jax.storage.log import read_metrics
from siamese_jax.training import fit as fitting

TRAIN = split(make_dataset(), "paper")["train"]
EXPERIMENT = make_experiment()


def fit(workdir, experiment=EXPERIMENT, accuracies=(0.5, 0.4, 0.7, 0.6)):
    """Trains with validation accuracies that are given by epoch, as a stand-in for measuring them."""
    per_epoch = steps_per_epoch(experiment)
    seen = []

    def validate(params):
        seen.append(jax.device_get(params))
        done = [row for row in read_metrics(workdir) if "validation_one_shot" in row]
        return accuracies[len(done)]

    with Checkpoints(workdir) as checkpoints:
        fitted = fitting.fit(experiment, TRAIN, validate, checkpoints, if_slow="Take a quicker one.")
    assert fitted.step == per_epoch * fitted.history.epochs
    return fitted, seen


def test_training_ends_with_the_parameters_of_the_best_epoch(tmp_path):
    fitted, seen = fit(tmp_path, replace(EXPERIMENT, max_epochs=4))
    assert fitted.history.best_epoch == 3
    assert fitted.history.best_accuracy == 0.7
    chex.assert_trees_all_equal(fitted.params, seen[2])


def test_training_stops_when_patience_epochs_brought_no_gain(tmp_path):
    fitted, _ = fit(tmp_path, replace(EXPERIMENT, max_epochs=4, patience=2), (0.7, 0.7, 0.6, 0.9))
    assert fitted.history.epochs == 3
    assert fitted.history.stopped_by(replace(EXPERIMENT, max_epochs=4, patience=2)) == "patience"


def test_equal_accuracy_is_no_gain_and_the_end_is_named(tmp_path):
    fitted, _ = fit(tmp_path, accuracies=(0.5, 0.5))
    assert (fitted.history.best_epoch, fitted.history.stopped_by(EXPERIMENT)) == (1, "max_epochs")


def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_bits(tmp_path):
    whole, _ = fit(tmp_path / "whole")
    with pytest.raises(Stopped):
        fit_interrupted(tmp_path / "parts", after=6)
    parts, _ = fit(tmp_path / "parts")
    chex.assert_trees_all_equal(whole.params, parts.params)
    chex.assert_trees_all_equal(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))
    curves = [
        [row["validation_one_shot"] for row in read_metrics(tmp_path / name) if "validation_one_shot" in row]
        for name in ("whole", "parts")
    ]
    assert curves[0] == curves[1] == [0.5, 0.4]
    assert [row["step"] for row in read_metrics(tmp_path / "parts")] == [0, 1, 4, 5, 6, 8, 9, 9, 13, 17, 18, 18]


def final_state(workdir):
    return restore(workdir, fitting.template(EXPERIMENT)).state


def test_a_run_with_a_damaged_newest_checkpoint_goes_on_from_the_one_before_to_the_same_bits(tmp_path):
    whole, _ = fit(tmp_path / "whole")
    fit(tmp_path / "damaged", replace(EXPERIMENT, max_epochs=1))
    with pytest.raises(Stopped):
        fit_interrupted(tmp_path / "damaged", after=3)
    newest = tmp_path / "damaged" / "checkpoints" / "12"
    largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    again, _ = fit(tmp_path / "damaged")
    chex.assert_trees_all_equal(whole.params, again.params)
    chex.assert_trees_all_equal(final_state(tmp_path / "whole"), final_state(tmp_path / "damaged"))


def fit_interrupted(workdir, after: int):
    """Trains, and is sent SIGTERM while step `after` is under way."""
    real, steps = fitting.compile_update, []

    def interrupted(*arguments):
        update = real(*arguments)

        def step(state):
            steps.append(1)
            if len(steps) == after:
                os.kill(os.getpid(), signal.SIGTERM)
            return update(state)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "compile_update", interrupted)
        return fit(workdir)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0, 97.5])
def test_a_validation_that_is_not_a_share_is_said_and_never_the_best_epoch(tmp_path, capsys, wrong):
    fitted, _ = fit(tmp_path, accuracies=(0.5, wrong))
    assert (fitted.history.best_epoch, fitted.history.best_accuracy) == (1, 0.5)
    assert f"Epoch 2: the validation accuracy is {wrong}, which is not a number from 0 to 1" in capsys.readouterr().err
    assert [row["validation_one_shot"] for row in read_metrics(tmp_path) if "validation_one_shot" in row] == [0.5, None]


def test_a_run_that_is_resumed_where_bits_will_differ_says_so_in_one_line(tmp_path, capsys, monkeypatch):
    fit(tmp_path, replace(EXPERIMENT, max_epochs=1))
    monkeypatch.setattr(fitting, "environment", lambda: replace(environment(), cores=64, settings={"NPROC": "3"}))
    fit(tmp_path, replace(EXPERIMENT, max_epochs=1))
    assert "Bits" not in capsys.readouterr().err  # nothing is left to train
    fit(tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "Bits" in line]
    here = environment()
    assert line.startswith("Bits will differ from those of a run that was never stopped: ")
    assert f"cores was {here.cores} and is 64" in line
    assert "NPROC was not set and is 3" in line
    assert restore(tmp_path, fitting.template(EXPERIMENT)).meta["environment"]["cores"] == 64
    fit(tmp_path, replace(EXPERIMENT, max_epochs=3))
    assert "Bits" not in capsys.readouterr().err


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _ = fit(tmp_path)
    again, seen = fit(tmp_path)
    assert seen == []
    chex.assert_trees_all_equal(first.params, again.params)


def test_a_finished_run_goes_on_when_max_epochs_is_raised(tmp_path):
    fit(tmp_path)
    longer, _ = fit(tmp_path, replace(EXPERIMENT, max_epochs=3))
    assert (longer.history.epochs, longer.history.best_epoch) == (3, 3)


def test_metrics_hold_every_step_once(tmp_path):
    fit(tmp_path)
    rows = read_metrics(tmp_path)
    training = [row for row in rows if "cross_entropy" in row]
    assert [row["step"] for row in training] == [1, 4, 8, 9, 13, 17, 18]
    assert [row["epoch"] for row in training] == [1, 1, 1, 1, 2, 2, 2]
    assert [row["validation_one_shot"] for row in rows if "validation_one_shot" in row] == [0.5, 0.4]


def test_a_loss_that_is_not_finite_names_the_step_and_the_last_good_checkpoint(tmp_path):
    fit(tmp_path, replace(EXPERIMENT, max_epochs=1))
    wild = PaperSGD(dict.fromkeys(LAYERS, LayerSpec(1e30, 0.9, 1e-4)))
    with pytest.raises(UserError, match=r"not finite at step 1\d .* last good checkpoint is step 9"):
        fit(tmp_path, replace(EXPERIMENT, optimizer=wild))
    assert fitting.read_fitted(EXPERIMENT, tmp_path).step == 9


def test_a_cpu_run_estimated_at_more_than_an_hour_names_the_quicker_ones_once(tmp_path, capsys):
    endless = replace(EXPERIMENT, max_epochs=10**7, patience=1)
    fit(tmp_path, endless, (0.5, 0.5))
    said = re.findall(r"in about [\d,]+ hours. Take a quicker one.", capsys.readouterr().err)
    assert len(said) == 1


def test_the_step_that_training_runs_is_compiled_once_also_after_a_restore(tmp_path, monkeypatch):
    made = []
    real = fitting.compile_update
    monkeypatch.setattr(fitting, "compile_update", lambda *arguments: made.append(real(*arguments)) or made[-1])
    fit(tmp_path, replace(EXPERIMENT, max_epochs=1))
    fit(tmp_path)
    assert [update.func._cache_size() for update in made] == [1, 1]


KILLED = """
    from tiny import make_experiment
    from plans import SETS
    from siamese_jax.training import fit as fitting
    from siamese_jax.storage.checkpoint import Checkpoints
    experiment = make_experiment(max_epochs=400, patience=400, checkpoint_minutes=0.005)
    with Checkpoints({workdir!r}) as checkpoints:
        fitting.fit(experiment, SETS["train"], lambda params: 0.5, checkpoints)
"""


def test_sigkill_in_the_middle_of_an_epoch_loses_at_most_that_epoch(tmp_path):
    code = textwrap.dedent(KILLED).format(workdir=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_metrics(tmp_path)) < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    written = read_metrics(tmp_path)
    experiment = make_experiment(max_epochs=8, patience=400)
    kept = fitting.read_fitted(experiment, tmp_path)
    assert kept.step >= written[-1]["step"] - steps_per_epoch(experiment)
    epochs = max(8, kept.history.epochs + 1)
    experiment = replace(experiment, max_epochs=epochs)
    states = []
    for workdir in (tmp_path, tmp_path / "whole"):
        fit(workdir, experiment, [0.5] * epochs)
        states.append(restore(workdir, fitting.template(experiment)).state)
    chex.assert_trees_all_equal(*states)


def test_a_run_on_grid_batches_with_averaged_weights_resumes_to_the_same_bits(tmp_path):
    experiment = replace(
        EXPERIMENT,
        data=Omniglot(side=SIDE, batch_characters=4, batch_drawers=3, epoch_steps=4, rotations=True),
        distort=DistortSpec(elastic=0.5),
        loss=NWay(),
        optimizer=AdamW(average=0.9),
        max_epochs=3,
    )
    whole, seen = fit(tmp_path / "whole", experiment, (0.5, 0.7, 0.6))
    assert whole.step == 12
    chex.assert_trees_all_equal(whole.params, seen[1])
    state = restore(tmp_path / "whole", fitting.template(experiment)).state.state
    # What was validated, and would have been kept of the last epoch, is the mean of the weights.
    chex.assert_trees_all_equal(seen[2], jax.device_get(state.opt_state.mean))
    assert bool((seen[2]["fc"]["kernel"] != jax.device_get(state.params["fc"]["kernel"])).any())
    losses = [row for row in read_metrics(tmp_path / "whole") if "n_way" in row]
    assert losses[-1]["step"] == 12
    assert all("guessing" in row for row in losses)
    looks = [row["next_rate"] for row in read_metrics(tmp_path / "whole") if "saturated" in row]
    assert looks[-1] < looks[0] < looks[1]  # one cycle: up, and down to nearly nothing
    with pytest.raises(KeyboardInterrupt):
        fit_until_validation(tmp_path / "parts", experiment, 2)
    parts, _ = fit(tmp_path / "parts", experiment, (0.5, 0.7, 0.6))
    chex.assert_trees_all_equal(whole.params, parts.params)
    chex.assert_trees_all_equal(state, restore(tmp_path / "parts", fitting.template(experiment)).state.state)


def fit_until_validation(workdir, experiment, number):
    """Trains until the validation of that number, which is interrupted."""
    count = 0

    def validate(_):
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return 0.5

    with Checkpoints(workdir) as checkpoints:
        fitting.fit(experiment, TRAIN, validate, checkpoints)
