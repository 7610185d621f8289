"""Candidates: together or one by one they reach the same, and each ends when it is said to."""

from dataclasses import replace

import chex
import jax
import numpy as np
import pytest
from tiny import make_dataset, make_experiment

from siamese_jax.errors import UserError
from siamese_jax.evaluation import embedder, one_shot
from siamese_jax.network.siamese import build
from siamese_jax.sampling.splits import split
from siamese_jax.search import candidates
from siamese_jax.search.candidates import Ended, begin, problem, train
from siamese_jax.specs import AdamW, LayerSpec, NWay, with_values
from siamese_jax.storage.checkpoint import Checkpoints
from siamese_jax.training.fit import fit
from siamese_jax.training.programs import Programs

SETS = {name: part for name, part in split(make_dataset(), "paper").items() if name != "test"}
EXPERIMENT = make_experiment()


def rated(rate: float, seed: int = 0):
    layers = {name: LayerSpec(rate, 0.5, 1e-3) for name in EXPERIMENT.optimizer.layers}
    return replace(EXPERIMENT, seed=seed, optimizer=replace(EXPERIMENT.optimizer, layers=layers))


def heard_by(experiments, programs=None, **how):
    """Trains; returns how each ended, and the accuracies heard of each."""
    heard = [[] for _ in experiments]

    def goes_on(place, epoch, accuracy):
        heard[place].append(accuracy)
        assert len(heard[place]) == epoch
        return True

    return train(experiments, SETS, programs or Programs(), goes_on, **how), heard


def test_a_trial_reaches_what_a_run_of_its_experiment_reaches(tmp_path):
    experiment = rated(0.2, seed=2)
    (ended,), (heard,) = heard_by([experiment])
    evaluator = embedder.Evaluator(build(experiment.network), 16)
    runs = one_shot.validation_episodes(experiment, SETS["validation"])
    reached = []

    def validate(params):
        reached.append(one_shot.validation_accuracy(evaluator, params, SETS["validation"], runs))
        return reached[-1]

    with Checkpoints(tmp_path) as checkpoints:
        fit(experiment, SETS["train"], validate, checkpoints)
    assert heard == reached
    assert ended == Ended(max(reached))


MEMBERS = {
    "paper": [rated(0.05), rated(0.3, seed=5), rated(0.01, seed=1)],
    "adamw": [
        replace(
            EXPERIMENT,
            seed=seed,
            data=replace(EXPERIMENT.data, batch_characters=3, batch_drawers=2, epoch_steps=5),
            loss=NWay(),
            optimizer=AdamW(rate=rate, fc_rate=fc_rate, clip=1.0, average=0.9),
        )
        for seed, (rate, fc_rate) in enumerate([(1e-3, 1.0), (1e-2, 0.1)])
    ],
}


@pytest.mark.parametrize("several", MEMBERS.values(), ids=MEMBERS)
def test_a_population_reaches_what_its_members_reach_one_by_one(several):
    together, heard = heard_by(several)
    alone = [heard_by([experiment]) for experiment in several]
    # A batch of products may round otherwise than one product: a trial of the 12 may fall the other way.
    np.testing.assert_allclose(heard, [accuracies for _, (accuracies,) in alone], atol=1.01 / 12)
    np.testing.assert_allclose(
        [ended.accuracy for ended in together], [ended.accuracy for (ended,), _ in alone], atol=1.01 / 12
    )


def after_steps(experiments, count):
    update, state = begin(experiments, SETS["train"], Programs())
    for _ in range(count):
        state, _ = update(state)
    return state.params


@pytest.mark.parametrize("several", MEMBERS.values(), ids=MEMBERS)
def test_a_population_has_the_parameters_that_its_members_have_one_by_one(several):
    together = after_steps(several, 7)
    for place, experiment in enumerate(several):
        ours, alone = jax.tree.map(lambda stacked, place=place: stacked[place], together), after_steps([experiment], 7)
        if experiment.loss.name == "n_way":  # a choice has no use for a bias: AdamW makes steps of what is rounding
            del ours["out"]["bias"], alone["out"]["bias"]
        # AdamW also makes whole steps, of up to 0.01 here, where a gradient is small: rounding of it shows more.
        chex.assert_trees_all_close(ours, alone, rtol=1e-4, atol=1e-5 if experiment.loss.name != "n_way" else 5e-4)


def test_trials_of_one_shape_compile_once():
    programs = Programs()
    heard_by([rated(0.1)], programs)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
    try:
        heard_by([rated(0.2, seed=0)], programs)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_a_trial_that_is_not_worth_going_on_with_ends_and_the_others_go_on():
    heard = {0: [], 1: []}

    def goes_on(place, epoch, accuracy):
        heard[place].append(epoch)
        return place == 1

    pruned, whole = train([rated(0.1), rated(0.2)], SETS, Programs(), goes_on)
    assert heard == {0: [1], 1: [1, 2]}
    assert (pruned.pruned, whole.pruned) == (True, False)


def test_what_is_heard_after_the_last_epoch_prunes_nothing():
    heard = []

    def goes_on(place, epoch, accuracy):
        heard.append(accuracy)
        return epoch < 2

    (ended,) = train([rated(0.1)], SETS, Programs(), goes_on)
    assert ended == Ended(max(heard))


def test_a_trial_ends_after_as_many_epochs_without_gain_as_a_run_does(monkeypatch):
    accuracies = iter([0.2, 0.5, 0.4, 0.5, 0.9])
    monkeypatch.setattr(candidates, "validate", lambda *_: next(accuracies))
    patient = replace(rated(0.1), max_epochs=5, patience=2)
    (ended,), (heard,) = heard_by([patient])
    assert heard == [0.2, 0.5, 0.4, 0.5]
    assert ended == Ended(0.5)


def test_scores_that_are_not_finite_are_a_reason_to_fail_and_the_others_go_on(monkeypatch):
    real, calls = candidates.validate, []

    def validate(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise UserError("the one-shot scores are not finite")
        return real(*arguments)

    monkeypatch.setattr(candidates, "validate", validate)
    (failed, whole), _ = heard_by([rated(0.1), rated(0.2)])
    assert failed.reason == "the one-shot scores are not finite (epoch 1)"
    assert not whole.reason


def test_a_trial_that_diverges_says_so_and_the_others_go_on():
    (wild, tame), heard = heard_by([rated(1e30), rated(0.1)])
    assert "not finite in epoch 1" in wild.reason
    assert heard[0] == []
    assert len(heard[1]) == 2
    assert not tame.reason


def test_a_trial_ends_after_its_minutes_with_what_it_has_reached():
    clock = iter(range(0, 10_000, 10))
    # The clock is read 9 times in an epoch of 9 steps, each time 10 seconds later: 150 seconds end in the second epoch.
    (ended,), (heard,) = heard_by([replace(rated(0.1), max_epochs=9)], minutes=2.5, now=lambda: next(clock))
    assert len(heard) == 2
    assert ended == Ended(max(heard))


def test_the_start_is_told_after_the_first_step():
    told = []
    heard_by([rated(0.1)], started=lambda: told.append(1))
    assert told == [1]


def test_what_cannot_be_trained_is_known_before_it_is_tried():
    assert problem(EXPERIMENT, SETS) == ""
    tiny = with_values(EXPERIMENT, {"data.side": 12, "network.conv1.size": 20})
    assert "network.conv1.size=20 leaves no pixels" in problem(tiny, SETS)
    many = replace(EXPERIMENT, evaluation=replace(EXPERIMENT.evaluation, n_way=50))
    assert "50" in problem(many, SETS)
    assert "train_pairs=13" in problem(replace(EXPERIMENT, data=replace(EXPERIMENT.data, train_pairs=13)), SETS)
