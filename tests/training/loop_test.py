"""The one training loop: where it pauses, what it hands over, and when it looks at the loss."""

import itertools

import jax.numpy as jnp

from siamese_jax.training.loop import make_steps


def counting(loss_of=lambda step: 1.0):
    """An update whose state is the number of updates made, and whose loss is a function of it."""

    def update(state):
        return state + 1, {"loss": jnp.float32(loss_of(state + 1))}

    return update


def pauses(count, **how):
    made = make_steps(counting(how.pop("loss_of", lambda step: 1.0)), 0, how.pop("step", 0), 5, **how)
    return list(itertools.islice(made, count))


def test_it_pauses_after_the_first_step_and_at_the_end_of_every_epoch():
    found = pauses(3)
    assert [(p.step, p.epoch, p.epoch_ended, len(p.metrics)) for p in found] == [
        (1, 1, False, 1),
        (5, 1, True, 4),
        (10, 2, True, 5),
    ]
    assert [p.compiled for p in found] == [False, True, True]
    assert [p.state for p in found] == [1, 5, 10]


def test_it_pauses_where_it_is_asked_to_and_goes_on_from_the_step_it_was_given():
    found = pauses(4, step=7, wants_pause=lambda step: step % 2 == 0)
    assert [(p.step, p.epoch) for p in found] == [(8, 2), (10, 2), (12, 3), (14, 3)]


def test_every_step_is_told_once_with_its_own_metrics():
    told = []
    pauses(3, loss_of=float, on_step=lambda step, metrics: told.append((step, float(metrics["loss"]))))
    assert told == [(step, float(step)) for step in range(1, 11)]


def test_a_loss_that_is_not_finite_ends_the_steps_at_once_one_step_late():
    found = pauses(2, loss_of=lambda step: float("nan") if step >= 3 else 1.0, loss="loss")
    assert found[1].step == 4
    assert [float(row["loss"]) == 1.0 for row in found[1].metrics] == [True, False, False]
