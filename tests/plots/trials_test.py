"""Trials are drawn as they were given, and say in words what their frames say."""

import numpy as np
import pytest
from pictures import assert_readable, texts

from siamese_jax.plots import Confused, HardTrial, confused_figure, hardest_figure, trial_figure

LONG = "Old_Church_Slavonic_(Cyrillic)"


def trial(n_way=20, answer=3, **probabilities):
    random = np.random.default_rng(0)
    p = np.full(n_way, 0.125)
    for index, value in probabilities.items():
        p[int(index[1:])] = value
    supports = random.integers(0, 256, (n_way, 7, 7), dtype=np.uint8)
    return trial_figure(supports[answer, ..., None], supports[..., None], p, answer, "A trial"), supports


def notes(figure):
    """Every text of a figure in one."""
    return " ".join(text.get_text() for text in texts(figure))


def test_the_scale_of_the_scores_is_named():
    """A network that was trained on choices has no p(same)."""
    images, scores = np.zeros((5, 5, 5, 1), np.uint8), np.array([-16.2, -15.9, -20, -18, -17])
    choices = trial_figure(images[0], images, scores, 1, "A trial", "logit")
    assert "supports; numbers: logit" in notes(choices)
    assert words(choices)[:2] == ["−16.200", "−15.900 right choice"]
    hardest = notes(hardest_figure([hard(0.2, 0.7)], "softmax over the supports"))
    assert "numbers: softmax over the supports;" in hardest.replace("\n", " ")
    assert "p(same)" not in notes(choices) + hardest
    assert "supports; numbers: p(same)" in notes(trial()[0])


def words(figure):
    """What stands under each support, in order."""
    return [axes.get_xlabel() for axes in figure.axes if not axes.get_title()]


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
def test_the_words_of_a_trial_are_readable(n_way, title):
    images = np.zeros((n_way, 5, 5, 1), np.uint8)
    p = np.linspace(0.9, 0.8, n_way)
    # The choice and the answer are neighbours: the tightest case.
    assert_readable(trial_figure(images[0], images, p, 1, title))


def image(value):
    return np.full((5, 5), value, np.uint8)


def hard(right_score, wrong_score, group=LONG):
    return HardTrial(group, image(1), image(2), right_score, image(3), wrong_score)


def drawn(figure):
    """The grey of each image, in order."""
    return [int(255 - axes.images[0].get_array()[0, 0]) for axes in figure.axes]


@pytest.mark.parametrize(
    ("p_right", "p_wrong", "right", "wrong"),
    [
        (0.25, 0.75, "0.250\nright answer", "0.750\nwrong choice"),
        (0.75, 0.25, "0.750\nright choice", "0.250\nrunner-up"),
        (0.5, 0.5, "0.500\ntied, right", "0.500\ntied"),
    ],
)
def test_a_hard_trial_shows_query_right_and_wrong_support_and_which_was_chosen(p_right, p_wrong, right, wrong):
    figure = hardest_figure([hard(p_right, p_wrong)])
    assert drawn(figure) == [1, 2, 3]
    assert [axes.get_xlabel() for axes in figure.axes] == ["query", right, wrong]
    solid = [axes.spines["left"].get_linestyle() == "solid" for axes in figure.axes[1:]]
    assert solid == [p_right >= p_wrong, True]


def test_trials_of_a_group_stand_beside_each_other():
    figure = hardest_figure([hard(0, 1), hard(0, 1, "b"), hard(0, 1), hard(0, 1, "b")])
    queries = [axes.get_position() for axes in figure.axes if axes.get_xlabel() == "query"]
    assert queries[0].y0 == queries[1].y0 > queries[2].y0 == queries[3].y0
    assert queries[0].x0 == queries[2].x0 < queries[1].x0 == queries[3].x0


def test_a_confusion_shows_both_classes_and_how_often():
    figure = confused_figure([Confused("Ge_ez", image(7), image(9), 3, 41)])
    assert drawn(figure) == [7, 9]
    assert figure.axes[1].get_xlabel() == "3 of 41 times"
    assert "Ge ez" in [text.get_text() for text in texts(figure)]


def test_a_network_that_confuses_nothing_is_said_to():
    assert "None." in [text.get_text() for text in texts(confused_figure([]))]


@pytest.mark.parametrize("alphabets", [1, 2, 20])
@pytest.mark.parametrize("each", [1, 4])
def test_the_words_of_errors_are_readable_for_few_groups_and_many(alphabets, each):
    names = [f"{LONG}_{i}" for i in range(alphabets)]
    assert_readable(hardest_figure([hard(0.25, 0.75, name) for name in names for _ in range(each)]))
    confused = [Confused(name, image(0), image(0), 1000, 1000) for name in names for _ in range(each)]
    assert_readable(confused_figure(confused))
