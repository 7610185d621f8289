import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import make_layout

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.sampling.episodes import sample_authorless_episodes, sample_episodes


@given(st.lists(st.integers(5, 30), min_size=1, max_size=5), st.integers(2, 5), st.integers(1, 4), st.integers(0, 1000))
def test_trials_keep_the_promises_of_the_paper(counts, n_way, k_shot, seed):
    layout = make_layout(counts, 6)
    runs = 2 * len(counts)
    support, query, answer = map(np.asarray, sample_episodes(root_key(seed), layout, runs * n_way, n_way, k_shot))
    assert support.shape == (runs, n_way, k_shot)
    assert query.shape == answer.shape == (runs, n_way)
    alphabet_of = np.repeat(np.arange(len(counts)), counts)
    for run in range(runs):
        characters = support[run] // 6
        assert (characters == characters[:, :1]).all()
        assert len(set(characters[:, 0])) == n_way
        assert set(alphabet_of[characters[:, 0]]) == {run % len(counts)}
        np.testing.assert_array_equal(characters[answer[run], 0], query[run] // 6)
        assert sorted(answer[run]) == list(range(n_way))
        drawers = support[run] % 6
        assert (drawers == drawers[:1]).all()
        assert len({*drawers[0], *(query[run] % 6)}) == k_shot + 1


def test_runs_do_not_depend_on_how_many_are_drawn():
    layout = make_layout([25, 30], 4)
    few, many = sample_episodes(root_key(0), layout, 60, 20), sample_episodes(root_key(0), layout, 600, 20)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[: len(a)])


def test_all_characters_and_drawers_take_part():
    support, query, answer = map(np.asarray, sample_episodes(root_key(0), make_layout([25], 4), 4000, 20))
    assert set(support.ravel()) == set(query.ravel()) == set(range(100))
    assert abs(answer[:, 0].mean() - 9.5) < 1.5


@given(st.lists(st.integers(2, 9), min_size=2, max_size=12), st.integers(0, 1000))
def test_without_drawers_a_run_takes_two_different_images_of_every_class(counts, seed):
    n_way = len(counts)
    support, query, answer = map(np.asarray, sample_authorless_episodes(root_key(seed), np.array(counts), 4 * n_way))
    assert (support.shape, query.shape, answer.shape) == ((4, n_way, 1), (4, n_way), (4, n_way))
    class_of = np.repeat(np.arange(n_way), counts)
    np.testing.assert_array_equal(class_of[support[..., 0]], np.tile(np.arange(n_way), (4, 1)))
    np.testing.assert_array_equal(class_of[query], answer)
    np.testing.assert_array_equal(np.sort(answer), np.tile(np.arange(n_way), (4, 1)))
    assert not set(support[0, :, 0]) & set(query[0])


def test_trials_without_drawers_that_cannot_be_made_are_refused():
    with pytest.raises(UserError, match="only one image"):
        sample_authorless_episodes(root_key(0), np.array([3, 1]), 4)
    with pytest.raises(UserError, match="5 trials .* multiple of 2"):
        sample_authorless_episodes(root_key(0), np.array([3, 3]), 5)


@pytest.mark.parametrize(
    ("n_way", "k_shot", "trials", "words"),
    [
        (21, 1, 420, "n_way=21 .* smallest alphabet has 20 characters"),
        (1, 1, 10, "n_way=1"),
        (20, 4, 400, "k_shot=4 .* 4 drawers"),
        (20, 1, 330, "330 trials .* multiple of evaluation.n_way=20"),
    ],
)
def test_trials_that_cannot_be_made_are_refused(n_way, k_shot, trials, words):
    with pytest.raises(UserError, match=words):
        sample_episodes(root_key(0), make_layout([20, 30], 4), trials, n_way, k_shot)
