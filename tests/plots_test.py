"""What is drawn is what was given, and says so in words as well as in colours."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from siamese_jax.plots import one_trial, training_curves, training_figure, trial_figure
from siamese_jax.specs import UserError


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


def trial(n_way=20, answer=3, **probabilities):
    random = np.random.default_rng(0)
    p = np.full(n_way, 0.125)
    for index, value in probabilities.items():
        p[int(index[1:])] = value
    supports = random.integers(0, 256, (n_way, 7, 7), dtype=np.uint8)
    return trial_figure(supports[answer], supports, p, answer, "A trial"), supports


def words(figure):
    """What stands under each support, in order."""
    return [axes.get_xlabel() for axes in figure.axes if not axes.get_title()]


def test_loss_is_drawn_at_its_epoch_with_gaps_for_nulls_and_the_chance_line():
    loss = lines(training_figure(ROWS).axes[0])
    np.testing.assert_allclose(loss["training pairs"].get_xdata(), [0.5, 1, 1.5, 2, 3])
    np.testing.assert_array_equal(loss["training pairs"].get_ydata(), [0.7, np.nan, 0.4, 0.3, 0.2])
    assert set(loss["chance: ln 2"].get_ydata()) == {math.log(2)}


def test_accuracies_are_drawn_in_per_cent_with_the_best_epoch_and_chance():
    accuracy = lines(training_figure(ROWS, n_way=5).axes[1])
    np.testing.assert_allclose(accuracy["training pairs"].get_ydata(), [50, 60, np.nan, 80, 90])
    one_shot = accuracy["5-way one-shot, validation"]
    np.testing.assert_allclose(one_shot.get_xydata(), [(1, 30), (2, 90), (3, 85)])
    np.testing.assert_allclose(accuracy["best: epoch 2, 90.0 %"].get_xydata(), [(2, 90)])
    assert set(accuracy["one-shot chance: 1/5"].get_ydata()) == {20}


def test_of_equal_epochs_the_first_is_the_best_and_nulls_never_are():
    rows = [judged(1, 1, None), judged(2, 2, 0.5), judged(3, 3, 0.5)]
    assert "best: epoch 2, 50.0 %" in lines(training_figure(rows).axes[1])


@pytest.mark.parametrize("rows", [[], ROWS[:1], [trained(1, 1, None, None)], [judged(10, 1, None)]])
def test_curves_need_no_finished_epoch_and_no_value(rows, tmp_path):
    training_curves(rows, tmp_path / "new" / "training.png")
    assert imread(tmp_path / "new" / "training.png").shape == (630, 1350, 4)
    labels = lines(training_figure(rows).axes[1])
    assert not any("best" in label or "validation" in label for label in labels)


def test_before_the_first_epoch_is_done_the_axis_counts_steps():
    loss = training_figure(ROWS[:1]).axes[0]
    assert loss.get_xlabel() == "step (no epoch is finished yet)"
    assert lines(loss)["training pairs"].get_xdata() == [5]


@pytest.mark.parametrize(("n_way", "columns", "rows"), [(2, 2, 1), (5, 5, 1), (7, 5, 2), (15, 5, 3), (20, 5, 4)])
def test_every_support_is_in_the_grid_with_its_probability(n_way, columns, rows):
    figure, supports = trial(n_way, answer=1, _0=0.75)
    query, *grid = figure.axes
    assert query.get_title() == "query"
    np.testing.assert_array_equal(query.images[0].get_array(), 255 - supports[1])
    for axes, support in zip(grid, supports, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), 255 - support)
        assert axes.images[0].get_interpolation() == "nearest"
    assert words(figure)[0].startswith("0.750")
    assert all(word.startswith("0.125") for word in words(figure)[1:])
    corners = [axes.get_position().bounds[:2] for axes in grid]
    assert len({round(x, 6) for x, _ in corners}) == columns
    assert len({round(y, 6) for _, y in corners}) == rows


def test_ink_is_black_on_white():
    figure, _ = trial()
    image = figure.axes[0].images[0]
    assert image.get_cmap().name == "gray"
    assert image.get_clim() == (0, 255)


def test_a_right_choice_has_one_word_and_a_solid_frame():
    figure, _ = trial(_3=0.9)
    assert [word for word in words(figure) if " " in word] == ["0.900 right choice"]
    assert figure.axes[4].spines["left"].get_linestyle() == "solid"
    assert figure.axes[4].spines["left"].get_linewidth() > 3 * figure.axes[5].spines["left"].get_linewidth()


def test_a_wrong_choice_and_the_right_answer_differ_in_word_and_line():
    figure, _ = trial(_3=0.8, _6=0.9)
    marked = {word: axes for word, axes in zip(words(figure), figure.axes[1:], strict=True) if " " in word}
    assert list(marked) == ["0.800 right answer", "0.900 wrong choice"]
    right, wrong = (axes.spines["left"].get_linestyle() for axes in marked.values())
    assert wrong == "solid"
    assert right != "solid"


def test_equal_scores_are_called_tied_and_none_is_called_the_choice():
    figure, _ = trial(n_way=5)
    assert words(figure) == ["0.125 tied"] * 3 + ["0.125 tied, right"] + ["0.125 tied"]


@pytest.mark.parametrize("n_way", [2, 5, 20])
@pytest.mark.parametrize("title", ["A trial", "a long title that needs more than one line " * 4])
def test_nothing_is_cut_off_and_no_words_overlap(n_way, title):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    images = np.zeros((n_way, 5, 5), np.uint8)
    p = np.linspace(0.9, 0.8, n_way)
    figure = trial_figure(images[0], images, p, 1, title)  # choice and answer are neighbours: the tightest case
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    labels = [axes.xaxis.label for axes in figure.axes] + [axes.title for axes in figure.axes] + figure.texts
    boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
    assert min(min(box.x0, box.y0) for box in boxes) >= 0
    assert all(box.x1 <= width and box.y1 <= height for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_pictures_are_files_or_an_error_for_people(tmp_path):
    images = np.zeros((5, 3, 3), np.uint8)
    one_trial(tmp_path / "trial.png", images[0], images, np.arange(5) / 5, 2, "A trial")
    assert imread(tmp_path / "trial.png").shape[2] == 4
    with pytest.raises(UserError, match=r"could not be written"):
        training_curves([], tmp_path / "trial.png" / "training.png")


def test_importing_plots_does_not_import_matplotlib():
    code = "import siamese_jax.plots, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
