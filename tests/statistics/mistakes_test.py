"""Errors are found where a plain loop finds them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.records import Episodes, Images
from siamese_jax.statistics.mistakes import Confusion, confusions, hardest, margins

DRAWERS = 4
COUNT = (5, 7, 4)
"""Characters of the alphabets "a", "b" and "c", of which no run takes "b"."""


def make_images() -> Images:
    character = np.repeat(np.arange(sum(COUNT)), DRAWERS)
    alphabet = np.repeat(np.repeat(np.arange(3), COUNT), DRAWERS)
    drawer = np.tile(np.arange(1, DRAWERS + 1), sum(COUNT))
    images = np.zeros((len(character), 2, 2), np.uint8)
    return Images(images, character, alphabet, drawer, tuple("abc"), ("evaluation",) * 3)


def make_runs(seed: int, count: int = 12, n_way: int = 3) -> tuple[Episodes, np.ndarray]:
    """Runs from "c" and "a" by turns, with scores of few values, so that there are ties, and errors that recur."""
    random = np.random.default_rng(seed)
    support, query, answer = [], [], []
    for run in range(count):
        first, size = (0, COUNT[0]) if run % 2 else (COUNT[0] + COUNT[1], COUNT[2])
        classes = first + random.permutation(size)[:n_way]
        order = random.permutation(n_way)
        support.append(classes[:, None] * DRAWERS + [[1, 3]])
        query.append(classes[order] * DRAWERS)
        answer.append(order)
    return Episodes(*map(np.array, (support, query, answer))), random.integers(0, 4, (count, n_way, n_way)) / 2


@given(st.integers(0, 1000), st.integers(2, 4))
def test_a_margin_is_the_right_score_minus_the_best_wrong_one(seed, n_way):
    runs, scores = make_runs(seed, n_way=n_way)
    got = margins(scores, runs.answer)
    for r, of_run in enumerate(scores):
        for q, row in enumerate(of_run.tolist()):
            right = row.pop(runs.answer[r, q])
            assert got[r, q] == right - max(row)


def test_margins_leave_the_scores_as_they_were():
    runs, scores = make_runs(0)
    before = scores.copy()
    margins(scores, runs.answer)
    np.testing.assert_array_equal(scores, before)


@given(st.integers(0, 1000), st.integers(1, 30))
def test_the_hardest_trials_are_those_that_a_loop_over_the_groups_queries_finds(seed, each):
    runs, scores = make_runs(seed)
    alphabets = make_images()
    margin = margins(scores, runs.answer)
    got = hardest(scores, runs, alphabets.group_index, each)
    assert list(got) == [0, 2]
    for alphabet, found in got.items():
        rows = [
            (margin[r, q], r, q)
            for r in range(len(scores))
            for q in range(runs.query.shape[1])
            if alphabets.group_index[runs.query[r, q]] == alphabet
        ]
        assert found == [(r, q) for _, r, q in sorted(rows)[:each]]


@given(st.integers(0, 1000), st.integers(1, 30))
def test_confusions_are_those_that_a_loop_counts(seed, each):
    runs, scores = make_runs(seed)
    alphabets = make_images()
    got = confusions(scores, runs, alphabets, each)
    assert list(got) == [0, 2]
    for alphabet, found in got.items():
        times, trials = {}, {}
        for r, of_run in enumerate(scores):
            for q, row in enumerate(of_run.tolist()):
                if alphabets.group_index[runs.query[r, q]] != alphabet:
                    continue
                shown = int(runs.query[r, q]) // DRAWERS
                trials[shown] = trials.get(shown, 0) + 1
                if row.count(max(row)) > 1:
                    continue
                taken_for = int(runs.support[r, row.index(max(row)), 0]) // DRAWERS
                if taken_for != shown:
                    times[shown, taken_for] = times.get((shown, taken_for), 0) + 1
        ordered = sorted((-n, trials[s], s, t) for (s, t), n in times.items())
        assert found == [Confusion(s, t, -n, of) for n, of, s, t in ordered[:each]]


def test_a_network_that_errs_nowhere_confuses_nothing():
    runs, _ = make_runs(0)
    scores = np.eye(3)[runs.answer]
    assert confusions(scores, runs, make_images(), 3) == {0: [], 2: []}


def test_confusing_one_class_always_is_counted_in_full():
    runs, _ = make_runs(0, n_way=2)
    scores = 1 - np.eye(2)[runs.answer]  # of two ways always the wrong one
    for found in confusions(scores, runs, make_images(), 100).values():
        shown = {c.shown: c.trials for c in found}
        taken = {s: sum(c.times for c in found if c.shown == s) for s in shown}
        assert shown == taken
