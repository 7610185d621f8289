import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import RAGGED, classes_that_serve, make_layout, ragged_layout, rows_of

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.records import Episodes, Layout
from siamese_jax.sampling.episodes import sample_episodes


def sampled(seed: int, layout: Layout, trials: int, n_way: int, k_shot: int = 1) -> Episodes:
    """Episodes on the host. The sampling is compiled as a whole: op by op it takes seconds."""
    sample = jax.jit(lambda key: sample_episodes(key, layout, trials, n_way, k_shot))
    return Episodes(*map(np.asarray, sample(root_key(seed))))


@settings(max_examples=5)
@given(st.lists(st.integers(5, 30), min_size=1, max_size=5), st.integers(2, 5), st.integers(1, 4), st.integers(0, 1000))
def test_trials_keep_the_promises_of_the_paper(counts, n_way, k_shot, seed):
    layout = make_layout(counts, 6)
    runs = 4 * len(counts)
    support, query, answer = sampled(seed, layout, runs * n_way, n_way, k_shot)
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
    few, many = sampled(0, layout, 60, 20), sampled(0, layout, 600, 20)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[: len(a)])


def test_all_classes_and_authors_take_part():
    support, query, answer = sampled(0, make_layout([25], 4), 4000, 20)
    assert set(support.ravel()) == set(query.ravel()) == set(range(100))
    assert abs(answer[:, 0].mean() - 9.5) < 1.5


@settings(max_examples=5)
@given(st.lists(st.integers(2, 9), min_size=2, max_size=12), st.integers(0, 1000))
def test_without_authors_an_episode_of_all_classes_takes_two_different_images_of_each(counts, seed):
    n_way = len(counts)
    layout = ragged_layout([[[-1] * count for count in counts]])
    support, query, answer = sampled(seed, layout, 8 * n_way, n_way)
    assert (support.shape, query.shape, answer.shape) == ((8, n_way, 1), (8, n_way), (8, n_way))
    class_of = np.repeat(np.arange(n_way), counts)
    np.testing.assert_array_equal(class_of[support[..., 0]], np.tile(np.arange(n_way), (8, 1)))
    np.testing.assert_array_equal(class_of[query], answer)
    np.testing.assert_array_equal(np.sort(answer), np.tile(np.arange(n_way), (8, 1)))
    assert not set(support[0, :, 0]) & set(query[0])


def check_episodes(groups, seed, n_way, k_shot):
    """Checks episodes of unequal classes, if any can be sampled."""
    layout, rows, kept = ragged_layout(groups), rows_of(groups), classes_that_serve(groups, k_shot + 1, n_way)
    if not kept:
        with pytest.raises(UserError, match="is out of range"):
            sample_episodes(root_key(seed), layout, 4 * n_way, n_way, k_shot)
        return
    served = sorted(set(rows.group[np.isin(rows.class_, list(kept))]))
    count = 4 * len(served)
    support, query, answer = sampled(seed, layout, count * n_way, n_way, k_shot)
    assert support.shape == (count, n_way, k_shot)
    for r in range(count):
        classes = rows.class_[support[r]]
        assert (classes == classes[:, :1]).all()
        assert set(classes[:, 0]) <= kept
        assert len(set(classes[:, 0])) == n_way
        assert set(rows.group[support[r]].ravel()) == {served[r % len(served)]}
        np.testing.assert_array_equal(classes[answer[r], 0], rows.class_[query[r]])
        assert sorted(answer[r]) == list(range(n_way))
        of_query = dict(zip(answer[r], rows.author[query[r]], strict=True))
        assert all(len({*rows.author[support[r, way]], of_query[way]}) == k_shot + 1 for way in range(n_way))


@settings(max_examples=6)
@given(RAGGED, st.integers(0, 1000), st.integers(2, 4), st.integers(1, 2))
def test_episodes_of_unequal_classes_keep_the_same_promises(groups, seed, n_way, k_shot):
    check_episodes(groups, seed, n_way, k_shot)


@settings(max_examples=6)
@given(
    st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=6), min_size=1, max_size=3),
    st.integers(0, 1000),
    st.integers(2, 4),
    st.integers(1, 3),
)
def test_episodes_without_authors_are_of_different_images(sizes, seed, n_way, k_shot):
    check_episodes([[[-1] * size for size in group] for group in sizes], seed, n_way, k_shot)


@pytest.mark.parametrize("author", [0, -1])
def test_all_classes_and_images_of_a_group_take_part_equally_often(author):
    groups = [[[author + (author == 0) * i for i in range(size)] for size in (2, 3, 4, 4)]]
    support, query, _ = sampled(0, ragged_layout(groups), 12_000, 2)
    expected = np.repeat([1 / 8, 1 / 12, 1 / 16, 1 / 16], (2, 3, 4, 4))
    for rows in (support, query):
        np.testing.assert_allclose(np.bincount(rows.ravel()) / 12_000, expected, atol=0.012)


def test_groups_with_too_few_classes_are_left_out():
    layout = make_layout([20, 30], 4)
    support, *_ = sampled(0, layout, 21 * 10, 21)
    assert np.min(support) >= 20 * 4


@pytest.mark.parametrize(
    ("n_way", "k_shot", "trials", "words"),
    [
        (31, 1, 620, "n_way=31 .* largest group has 30 classes with 2 authors; take 2 to 30"),
        (1, 1, 10, "n_way=1"),
        (20, 4, 400, "k_shot=4 .* at most 4 authors, and one is for the query; take 1 to 3"),
        (20, 1, 330, "330 trials .* multiple of evaluation.n_way=20"),
    ],
)
def test_trials_that_cannot_be_made_are_refused(n_way, k_shot, trials, words):
    with pytest.raises(UserError, match=words):
        sample_episodes(root_key(0), make_layout([20, 30], 4), trials, n_way, k_shot)


def test_trials_without_authors_that_cannot_be_made_are_refused():
    with pytest.raises(UserError, match="n_way=2 .* largest group has 1 classes with 2 images"):
        sample_episodes(root_key(0), ragged_layout([[[-1] * 3, [-1]]]), 4, 2)
    with pytest.raises(UserError, match="5 trials .* multiple of evaluation.n_way=2"):
        sample_episodes(root_key(0), ragged_layout([[[-1] * 3, [-1] * 3]]), 5, 2)
    with pytest.raises(UserError, match="k_shot=1 .* at most 1 images"):
        sample_episodes(root_key(0), ragged_layout([[[-1], [-1]]]), 4, 2)
