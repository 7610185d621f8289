import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import RAGGED, classes_that_serve, make_layout, ragged_layout, rows_of

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.records import Layout
from siamese_jax.sampling.pairs import check_pair_count, sample_pair, sample_triplet
from siamese_jax.sampling.permutation import shuffled

COUNTS = st.lists(st.integers(2, 30), min_size=1, max_size=6)


def sample_all(seed: int, layout: Layout, pairs: int, different_authors: bool = True):
    sample = jax.vmap(lambda key, index: sample_pair(key, index, layout, different_authors), (None, 0))
    return [np.asarray(part) for part in jax.jit(sample)(root_key(seed), jnp.arange(pairs))]


def sample_all_triplets(seed: int, layout: Layout, triplets: int, different_authors: bool):
    sample = jax.vmap(lambda key, index: sample_triplet(key, index, layout, different_authors), (None, 0))
    return [np.asarray(part) for part in jax.jit(sample)(root_key(seed), jnp.arange(triplets))]


@settings(max_examples=5)
@given(COUNTS, st.integers(2, 20), st.integers(0, 1000))
def test_pairs_keep_the_promises_of_the_paper(counts, drawers, seed):
    layout = make_layout(counts, drawers)
    pairs = 2 * len(counts) * 50
    left, right, same = sample_all(seed, layout, pairs)
    character = np.stack([left, right]) // drawers
    alphabet_of = np.repeat(np.arange(len(counts)), counts)
    alphabet = alphabet_of[character]
    assert left.min() >= 0
    assert max(left.max(), right.max()) < sum(counts) * drawers
    np.testing.assert_array_equal(character[0] == character[1], same)
    assert same.sum() == pairs / 2
    np.testing.assert_array_equal(alphabet[0], alphabet[1])
    np.testing.assert_array_equal(np.bincount(alphabet[0], minlength=len(counts)), pairs / len(counts))
    np.testing.assert_array_equal(np.bincount(alphabet[0][same], minlength=len(counts)), pairs / len(counts) / 2)
    assert (left % drawers != right % drawers).all()


def test_a_different_pair_may_share_its_author_when_the_field_allows_it():
    layout = make_layout([5, 5], 3)
    left, right, same = sample_all(0, layout, 400, different_authors=False)
    shares = left % 3 == right % 3
    assert shares[~same].any()
    assert not shares[same].any()


@settings(max_examples=5)
@given(COUNTS, st.integers(2, 20), st.integers(0, 1000), st.booleans())
def test_a_triplet_is_an_image_another_of_its_class_and_one_of_another_class(counts, drawers, seed, different):
    rows = np.stack(sample_all_triplets(seed, make_layout(counts, drawers), 25 * len(counts), different))
    (anchor, positive, negative), drawer = rows // drawers, rows % drawers
    alphabet = np.repeat(np.arange(len(counts)), counts)[rows // drawers]
    np.testing.assert_array_equal(anchor, positive)
    assert (anchor != negative).all()
    assert (alphabet == np.arange(25 * len(counts)) % len(counts)).all()
    assert (drawer[0] != drawer[1]).all()
    assert (drawer[0] != drawer[2]).all() or not different


def test_every_class_and_author_of_a_group_is_drawn_about_equally_often():
    left, right, _ = sample_all(0, make_layout([8], 4), 20_000)
    for rows in (left, right):
        counts = np.bincount(rows, minlength=32)
        assert abs(counts - 625).max() < 6 * np.sqrt(625)


def test_a_pair_is_a_function_of_key_and_index_alone():
    layout = make_layout([20, 30], 12)
    whole = sample_all(7, layout, 200)
    one = jax.jit(lambda: sample_pair(root_key(7), 123, layout))()
    assert [int(x[123]) for x in whole] == [int(x) for x in one]
    assert any((a != b).any() for a, b in zip(whole, sample_all(8, layout, 200), strict=True))


@settings(max_examples=10)
@given(st.integers(1, 3000), st.integers(0, 1000))
def test_shuffled_is_a_permutation(size, seed):
    order = np.asarray(jax.jit(jax.vmap(lambda p: shuffled(root_key(seed), p, size)))(jnp.arange(size)))
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_shuffled_leaves_no_trace_of_the_old_order():
    size = 1_350_000
    order = np.asarray(jax.jit(jax.vmap(lambda p: shuffled(root_key(0), p, size)))(jnp.arange(20_000))).astype(float)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(np.arange(20_000), order)[0, 1]) < 0.03
    assert abs(order.mean() / size - 0.5) < 0.01


def check_pairs(groups, seed, different_authors=True):
    """Checks pairs and triplets of unequal classes, if any can be sampled."""
    layout, rows, kept = ragged_layout(groups), rows_of(groups), classes_that_serve(groups, 2, 2)
    if not kept:
        with pytest.raises(UserError, match="no pairs can be sampled: no group has two classes with images by two"):
            sample_pair(root_key(seed), 0, layout)
        return
    number = len(set(rows.group[np.isin(rows.class_, list(kept))]))
    left, right, same = sample_all(seed, layout, 40 * number, different_authors)
    assert set(rows.class_[left]) | set(rows.class_[right]) <= kept
    np.testing.assert_array_equal(rows.group[left], rows.group[right])
    np.testing.assert_array_equal(rows.class_[left] == rows.class_[right], same)
    assert len(set(np.bincount(rows.group[left]).tolist()) - {0}) == 1  # as many of each group
    assert same.sum() == 20 * number
    differ = rows.author[left] != rows.author[right]
    assert differ.all() if different_authors else differ[same].all()
    anchor, positive, negative = sample_all_triplets(seed, layout, 20 * number, different_authors)
    np.testing.assert_array_equal(rows.class_[anchor], rows.class_[positive])
    np.testing.assert_array_equal(rows.group[anchor], rows.group[negative])
    assert (rows.class_[anchor] != rows.class_[negative]).all()
    assert (rows.author[anchor] != rows.author[positive]).all()
    assert not different_authors or (rows.author[anchor] != rows.author[negative]).all()


@settings(max_examples=6)
@given(RAGGED, st.integers(0, 1000), st.booleans())
def test_pairs_of_unequal_classes_keep_the_same_promises(groups, seed, different_authors):
    check_pairs(groups, seed, different_authors)


@settings(max_examples=6)
@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=1, max_size=4), st.integers(0, 1000))
def test_pairs_without_authors_are_of_two_images(sizes, seed):
    check_pairs([[[-1] * size for size in group] for group in sizes], seed)


@pytest.mark.parametrize("known", [True, False])
def test_every_image_of_unequal_classes_has_its_equal_chance(known):
    """Classes are equally likely, then the images of a class; the second image excludes the author of the first."""
    groups = [[[1, 2, 3, 4] if known else [-1] * 4, [1, 2] if known else [-1] * 2]]
    left, right, same = sample_all(0, ragged_layout(groups), 24_000)
    expected = np.array([1 / 8] * 4 + [1 / 4] * 2)
    np.testing.assert_allclose(np.bincount(left) / 24_000, expected, atol=0.01)
    np.testing.assert_allclose(np.bincount(right[same]) / same.sum(), expected, atol=0.015)
    if not known:  # a "different" pair is any image of either class
        np.testing.assert_allclose(np.bincount(right[~same]) / (~same).sum(), expected, atol=0.015)
    for row in range(6):
        second = right[same & (left == row)]
        times = np.bincount(second, minlength=6)
        others = [i for i in (range(4) if row < 4 else range(4, 6)) if i != row]
        np.testing.assert_allclose(times[others] / len(second), 1 / len(others), atol=0.05)


@pytest.mark.parametrize("pairs", [0, 59, 61, 1000])
def test_pairs_that_cannot_be_shared_out_evenly_are_refused_with_the_nearest_number_that_can(pairs):
    nearest = max(1, round(pairs / 60)) * 60
    layout = make_layout([2] * 30, 2)
    with pytest.raises(UserError, match=rf"train_pairs={pairs} must be a multiple of 60 .* for example {nearest}"):
        check_pair_count(pairs, layout, "train_pairs")
    check_pair_count(nearest, layout, "train_pairs")


def test_groups_that_cannot_serve_are_not_counted():
    layout = ragged_layout([[[-1, -1]] * 3, [[-1, -1], [-1]], [[-1, -1]] * 2])
    check_pair_count(4, layout, "test_pairs")
    with pytest.raises(UserError, match="multiple of 4 .2 groups"):
        check_pair_count(6, layout, "test_pairs")
