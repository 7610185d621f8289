import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import make_layout

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.records import Layout
from siamese_jax.sampling.pairs import check_pair_count, sample_pair, sample_triplet
from siamese_jax.sampling.permutation import shuffled

COUNTS = st.lists(st.integers(2, 30), min_size=1, max_size=6)


def draw_all(seed: int, layout: Layout, pairs: int, different_drawers: bool = True):
    key = root_key(seed)
    draw = jax.vmap(lambda index: sample_pair(key, index, layout, different_drawers))
    return [np.asarray(x) for x in draw(jnp.arange(pairs))]


@given(COUNTS, st.integers(2, 20), st.integers(0, 1000))
def test_pairs_keep_the_promises_of_the_paper(counts, drawers, seed):
    layout = make_layout(counts, drawers)
    pairs = 2 * len(counts) * 10
    left, right, same = draw_all(seed, layout, pairs)
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


def test_a_different_pair_may_share_its_drawer_when_the_field_allows_it():
    layout = make_layout([5, 5], 3)
    left, right, same = draw_all(0, layout, 400, different_drawers=False)
    shares = left % 3 == right % 3
    assert shares[~same].any()
    assert not shares[same].any()


@given(COUNTS, st.integers(2, 20), st.integers(0, 1000), st.booleans())
def test_a_triplet_is_an_image_another_of_its_character_and_one_of_another_character(counts, drawers, seed, different):
    layout, key = make_layout(counts, drawers), root_key(seed)
    draw = jax.vmap(lambda index: sample_triplet(key, index, layout, different))
    rows = np.stack([np.asarray(x) for x in draw(jnp.arange(5 * len(counts)))])
    (anchor, positive, negative), drawer = rows // drawers, rows % drawers
    alphabet = np.repeat(np.arange(len(counts)), counts)[rows // drawers]
    np.testing.assert_array_equal(anchor, positive)
    assert (anchor != negative).all()
    assert (alphabet == np.arange(5 * len(counts)) % len(counts)).all()
    assert (drawer[0] != drawer[1]).all()
    assert (drawer[0] != drawer[2]).all() or not different


def test_every_character_and_drawer_of_an_alphabet_is_drawn_about_equally_often():
    left, right, _ = draw_all(0, make_layout([8], 4), 20_000)
    for rows in (left, right):
        counts = np.bincount(rows, minlength=32)
        assert abs(counts - 625).max() < 6 * np.sqrt(625)


def test_a_pair_is_a_function_of_key_and_index_alone():
    layout = make_layout([20, 30], 12)
    whole = draw_all(7, layout, 200)
    key = root_key(7)
    one = sample_pair(key, 123, layout)
    assert [int(x[123]) for x in whole] == [int(x) for x in one]
    assert any((a != b).any() for a, b in zip(whole, draw_all(8, layout, 200), strict=True))


@given(st.integers(1, 3000), st.integers(0, 1000))
def test_shuffled_is_a_permutation(size, seed):
    key = root_key(seed)
    order = np.asarray(jax.vmap(lambda position: shuffled(key, position, size))(jnp.arange(size)))
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_shuffled_leaves_no_trace_of_the_old_order():
    size = 1_350_000
    order = np.asarray(jax.vmap(lambda p: shuffled(root_key(0), p, size))(jnp.arange(20_000))).astype(float)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(np.arange(20_000), order)[0, 1]) < 0.03
    assert abs(order.mean() / size - 0.5) < 0.01


@pytest.mark.parametrize("pairs", [0, 59, 61, 1000])
def test_pairs_that_cannot_be_shared_out_evenly_are_refused_with_the_nearest_number_that_can(pairs):
    nearest = max(1, round(pairs / 60)) * 60
    with pytest.raises(UserError, match=rf"train_pairs={pairs} .* such as {nearest}"):
        check_pair_count(pairs, 30, "train_pairs")
    check_pair_count(nearest, 30, "train_pairs")
