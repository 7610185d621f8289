import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from layouts import RAGGED, classes_that_serve, ragged_layout, rows_of

from siamese_jax.keys import root_key
from siamese_jax.sampling.classes import sample_classes, sample_different, sample_images


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_different_numbers_are_a_uniform_choice_of_ordered_sets(count):
    sample = jax.jit(
        jax.vmap(lambda key: sample_different(jax.random.split(key, count), jnp.full((1,), 5, jnp.int32))[0])
    )
    found = np.asarray(sample(jax.random.split(root_key(0), 12_000)))
    orders = list(itertools.permutations(range(5), count))
    number = {order: i for i, order in enumerate(orders)}
    times = np.bincount([number[tuple(row)] for row in found.tolist()], minlength=len(orders))
    expected = 12_000 / len(orders)
    assert abs(times - expected).max() < 5 * np.sqrt(expected)


def test_classes_come_in_every_order_and_only_from_their_group():
    layout = ragged_layout([[[-1]] * 2, [[-1]] * 3])
    found = jax.jit(jax.vmap(lambda key: sample_classes(key, layout, jnp.int32(1))))(
        jax.random.split(root_key(0), 3000)
    )
    orders, times = np.unique(np.asarray(found), axis=0, return_counts=True)
    assert orders.tolist() == [list(order) for order in itertools.permutations((2, 3, 4))]
    assert abs(times - 500).max() < 5 * np.sqrt(500)
    assert jax.jit(lambda: sample_classes(root_key(0), layout, jnp.int32(0)))()[:2].sum() == 1  # the group has two


@settings(max_examples=5)
@given(RAGGED)
def test_images_of_a_class_are_by_different_authors(groups):
    layout, rows = ragged_layout(groups), rows_of(groups)
    for count in (1, 2, 3):
        classes = sorted(classes_that_serve(groups, count, 1))
        if not classes:
            continue
        of_key = partial(sample_images, layout=layout, classes=jnp.array(classes), count=count)
        found = np.asarray(jax.jit(jax.vmap(of_key))(jax.random.split(root_key(count), 5)))
        assert found.shape == (5, len(classes), count)
        assert (rows.class_[found] == np.array(classes)[:, None]).all()
        authors = np.sort(rows.author[found], axis=-1)
        assert (authors[..., 1:] != authors[..., :-1]).all()


def test_classes_with_the_same_authors_get_them_in_the_same_order():
    layout, rows = ragged_layout([[[3, 5, 7, 9]] * 6]), rows_of([[[3, 5, 7, 9]] * 6])
    authors = rows.author[np.asarray(jax.jit(lambda: sample_images(root_key(0), layout, jnp.arange(6), 3))())]
    assert (authors == authors[:1]).all()


def test_every_author_and_every_image_of_an_author_has_an_equal_chance():
    layout = ragged_layout([[[1, 2, 2, 2, 3, 3], [4, 5]]])  # rows 0; 1, 2, 3; 4, 5 of the first class
    sample = jax.jit(jax.vmap(lambda key: sample_images(key, layout, jnp.array([0]), 1)[0, 0]))
    found = np.asarray(sample(jax.random.split(root_key(1), 9000)))
    expected = np.array([1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 6, 1 / 6])
    np.testing.assert_allclose(np.bincount(found) / 9000, expected, atol=0.02)
