"""The training curves are the rows of metrics.jsonl, in words as well as in colours."""

import math

import numpy as np
import pytest
from pictures import assert_readable

from siamese_jax.plots import training_figure


def trained(step, epoch, loss=0.5, accuracy=0.75):
    return {"step": step, "epoch": epoch, "time": 0.0, "cross_entropy": loss, "accuracy": accuracy}


def judged(step, epoch, one_shot):
    return {"step": step, "epoch": epoch, "time": 0.0, "validation_one_shot": one_shot, "learning_rate": 0.01}


ROWS = [
    trained(5, 1, 0.7, 0.5),
    trained(10, 1, None, 0.6),
    judged(10, 1, 0.3),
    trained(15, 2, 0.4, None),
    trained(20, 2, 0.3, 0.8),
    judged(20, 2, 0.9),
    trained(30, 3, 0.2, 0.9),
    judged(30, 3, 0.85),
]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_loss_is_drawn_at_its_epoch_with_gaps_for_nulls_and_the_chance_line():
    loss = lines(training_figure(ROWS).axes[0])
    np.testing.assert_allclose(loss["training"].get_xdata(), [0.5, 1, 1.5, 2, 3])
    np.testing.assert_array_equal(loss["training"].get_ydata(), [0.7, np.nan, 0.4, 0.3, 0.2])
    assert set(loss["chance level: 0.693"].get_ydata()) == {math.log(2)}


def test_accuracies_are_drawn_in_per_cent_with_the_best_epoch_and_chance():
    accuracy = lines(training_figure(ROWS, n_way=5).axes[1])
    np.testing.assert_allclose(accuracy["training pairs: same or different"].get_ydata(), [50, 60, np.nan, 80, 90])
    one_shot = accuracy["validation: 5-way one-shot"]
    np.testing.assert_allclose(one_shot.get_xydata(), [(1, 30), (2, 90), (3, 85)])
    np.testing.assert_allclose(accuracy["best: epoch 2, 90.0 %"].get_xydata(), [(2, 90)])
    assert set(accuracy["chance level in training: 1/2"].get_ydata()) == {50}
    assert set(accuracy["chance level in validation: 1/5"].get_ydata()) == {20}


def test_choices_in_a_batch_are_not_called_pairs_and_have_no_chance_level_of_pairs():
    rows = [{**row, "n_way": row.get("cross_entropy")} for row in ROWS]
    labels = lines(training_figure(rows, loss_name="n_way").axes[1])
    assert "training: N-way choices in a batch" in labels
    assert "chance level in training: 1/2" not in labels


def test_of_equal_epochs_the_first_is_the_best_and_nulls_never_are():
    rows = [judged(1, 1, None), judged(2, 2, 0.5), judged(3, 3, 0.5)]
    assert "best: epoch 2, 50.0 %" in lines(training_figure(rows).axes[1])


@pytest.mark.parametrize("rows", [[], ROWS[:1], [trained(1, 1, None, None)], [judged(10, 1, None)]])
def test_curves_need_no_finished_epoch_and_no_value(rows):
    figure = training_figure(rows)
    assert_readable(figure)
    labels = lines(figure.axes[1])
    assert not any("best" in label or label.startswith("validation") for label in labels)


def test_before_the_first_epoch_is_done_the_axis_counts_steps():
    loss = training_figure(ROWS[:1]).axes[0]
    assert loss.get_xlabel() == "step (before the end of the first epoch)"
    assert lines(loss)["training"].get_xdata() == [5]


def test_the_words_of_full_curves_are_readable():
    assert_readable(training_figure(ROWS))
