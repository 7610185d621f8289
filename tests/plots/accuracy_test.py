"""Accuracies are drawn where they were measured, with their intervals, trials and chance."""

import dataclasses

import numpy as np
import pytest
from example_run import RESULTS, one_shot
from pictures import assert_readable, texts

from siamese_jax.plots import comparison_figure, groups_figure, n_way_figure
from siamese_jax.published import TABLE_2
from siamese_jax.results import GroupResult

WORDS = RESULTS.data.words
LONG = "Old_Church_Slavonic_(Cyrillic)"


def result(n_way, k_shot, accuracy, by_alphabet=None):
    by_group = {
        name: GroupResult(trials=300, correct=300 * value, accuracy=value)
        for name, value in (by_alphabet or {}).items()
    }
    ci95 = accuracy - 0.03, accuracy + 0.01
    return one_shot(n_way=n_way, k_shot=k_shot, trials=3000, accuracy=accuracy, ci95=ci95, by_group=by_group)


def grid(scale=1.0, alphabets=("b", LONG, "a_b")):
    """1-shot at all five ways, 5-shot at two; and a result that is not of the grid."""
    results = {"official_runs": result(20, 1, 0.9)}
    for n_way in (20, 5, 10, 2, 15):
        of_alphabet = {name: scale * (1 - (n_way + i) / 100) for i, name in enumerate(alphabets)}
        results[f"{n_way}_way_1_shot"] = result(n_way, 1, scale * (1 - n_way / 50), of_alphabet)
    for n_way in (5, 20):
        results[f"{n_way}_way_5_shot"] = result(n_way, 5, scale * (1 - n_way / 100))
    return results


def curves(figure):
    """Label -> the data line and its bars of an n-way figure."""
    return {c.get_label(): c for c in figure.axes[0].containers}


def test_accuracy_is_drawn_in_per_cent_at_its_n_with_its_interval():
    of_one, five_shot = curves(n_way_figure({"run": grid()})).values()
    assert of_one.get_label() == "1-shot (3,000 trials each)"
    np.testing.assert_allclose(of_one.lines[0].get_xydata(), [(2, 96), (5, 90), (10, 80), (15, 70), (20, 60)])
    np.testing.assert_allclose(five_shot.lines[0].get_xydata(), [(5, 95), (20, 80)])
    bars = of_one.lines[2][0].get_segments()
    np.testing.assert_allclose(bars[-1], [(20, 57), (20, 61)])


def test_chance_is_one_of_n():
    figure = n_way_figure({"run": grid()})
    chance = next(line for line in figure.axes[0].lines if line.get_label() == "chance level: 1/n")
    x, y = chance.get_data()
    np.testing.assert_allclose(x * y, 100)
    assert (x[0], x[-1]) == (2, 20)


def test_runs_differ_in_marker_and_shots_in_line_so_that_grey_print_tells_them_apart():
    lines = {label: c.lines[0] for label, c in curves(n_way_figure({"one": grid(), "two": grid(0.5)})).items()}
    assert [label.split(" (")[0] for label in lines] == ["one: 1-shot", "one: 5-shot", "two: 1-shot", "two: 5-shot"]
    signs = [(line.get_marker(), line.get_linestyle()) for line in lines.values()]
    assert len(set(signs)) == 4
    assert signs[0][0] == signs[1][0] != signs[2][0] == signs[3][0]
    assert signs[0][1] == signs[2][1] != signs[1][1] == signs[3][1]


@pytest.mark.parametrize("runs", [1, 2, 6])
def test_the_words_beside_the_curves_are_readable(runs):
    assert_readable(n_way_figure({f"omniglot_20way_with_a_long_name, seed {i}": grid(1 - i / 9) for i in range(runs)}))


def test_results_that_are_not_of_the_grid_are_refused_alone():
    for draw in (n_way_figure, lambda by_run: groups_figure(by_run["run"], WORDS)):
        with pytest.raises(ValueError, match="run"):
            draw({"run": {"official_runs": result(20, 1, 0.9)}})


def test_each_group_has_a_bar_for_each_n_the_best_of_the_hardest_task_first():
    results = grid()
    of_20 = results["20_way_1_shot"]
    better = of_20.by_group | {"a_b": dataclasses.replace(of_20.by_group["a_b"], accuracy=0.99)}
    results["20_way_1_shot"] = one_shot(of_20, by_group=better)
    figure = groups_figure(results, WORDS)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "a b",
        "b",
        "Old Church Slavonic\n(Cyrillic)",
    ]
    assert [axes.get_title().split(":")[0] for axes in figure.axes] == [f"{n}-way" for n in (2, 5, 10, 15, 20)]
    np.testing.assert_allclose([bar.get_width() for bar in figure.axes[0].patches], [96, 98, 97])
    np.testing.assert_allclose([bar.get_width() for bar in figure.axes[-1].patches], [99, 80, 79])
    assert [text.get_text() for text in figure.axes[-1].texts] == ["99.0", "80.0", "79.0"]
    low, high = figure.axes[0].get_ylim()
    assert low > high  # so that the first is on top


def test_groups_stand_beside_the_accuracy_of_all_and_chance():
    axes = groups_figure(grid(), WORDS).axes[-1]
    lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
    assert lines == {"all alphabets": 60, "chance level: 1/n": 5}
    assert axes.figure.get_suptitle() == "One-shot accuracy on each test alphabet"
    assert "300 trials each" in axes.get_xlabel()


@pytest.mark.parametrize("count", [1, 2, 10, 20])
@pytest.mark.parametrize("scale", [1 / 0.98, 0.05])
def test_the_words_beside_the_bars_are_readable_for_few_groups_and_many(count, scale):
    assert_readable(groups_figure(grid(scale, [f"{LONG}_{i}" for i in range(count)]), WORDS))


def test_runs_are_drawn_among_what_was_published_by_accuracy():
    figure = comparison_figure(
        ["our_run", "pixels"], [0.925, 0.2], [(0.9, 0.94), (0.1, 0.3)], {"people": 95.5, "old": 50}
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["people", "our_run", "old", "pixels"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [95.5, 92.5, 50, 20])
    assert [bar.get_hatch() is None for bar in axes.patches] == [False, True, False, True]
    assert [text.get_text() for text in axes.texts] == ["95.5", "92.5  (90.0–94.0)", "50.0", "20.0  (10.0–30.0)"]
    bars = [c.lines[2][0].get_segments()[0] for c in axes.containers if hasattr(c, "lines")]
    np.testing.assert_allclose(bars, [[(90, 1), (94, 1)], [(10, 3), (30, 3)]])


def test_the_legend_of_a_comparison_tells_each_kind_once():
    figure = comparison_figure(["a", "b"], [0.5, 0.6], [(0, 1), (0, 1)], TABLE_2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["published", "measured, with 95 % interval"]


@pytest.mark.parametrize("count", [1, 8])
def test_the_words_of_a_comparison_are_readable(count):
    labels = [f"omniglot_20way_with_a_rather_long_name, seed {i}" for i in range(count)]
    figure = comparison_figure(labels, [1.0] * count, [(1.0, 1.0)] * count, TABLE_2)
    assert_readable(figure)
    assert any("humans" in text.get_text() for text in texts(figure))
