"""Galleries hold what they say: checked with loops over the data."""

import numpy as np
import pytest
from hypothesis import given
from layouts import RAGGED, classes_that_serve, make_layout, ragged_layout, rows_of

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.sampling.galleries import most_classes, sample_galleries


def sampled(layout, galleries, enrolled, unknown, seed=0):
    return sample_galleries(root_key(seed), layout, galleries, enrolled, unknown)


@given(RAGGED.filter(lambda groups: len(classes_that_serve(groups, 2, 1)) >= 3))
def test_known_queries_are_of_enrolled_classes_and_unknown_ones_of_others(groups):
    """With and without authors, in classes and groups of any sizes."""
    rows, layout = rows_of(groups), ragged_layout(groups)
    classes = most_classes(layout)
    assert classes == len(classes_that_serve(groups, 2, 1))
    enrolled = max(2, classes // 2)
    support, query = sampled(layout, 7, enrolled, classes - enrolled)
    assert (support.shape, query.shape) == ((7, enrolled), (7, classes))
    for taken, asked in zip(support, query, strict=True):
        np.testing.assert_array_equal(rows.class_[taken], rows.class_[asked[:enrolled]])
        assert set(rows.class_[asked].tolist()) == classes_that_serve(groups, 2, 1)
        assert (rows.author[taken] != rows.author[asked[:enrolled]]).all()


def test_all_queries_are_by_one_author_and_all_supports_by_another_where_all_drew_everything():
    rows = rows_of([[[0, 1, 2]] * 6])
    for taken, asked in zip(*sampled(make_layout([6], 3), 20, 4, 2), strict=True):
        assert (len(set(rows.author[taken])), len(set(rows.author[asked]))) == (1, 1)


def test_every_pair_of_images_of_a_class_is_about_equally_often_compared():
    rows = rows_of([[[-1] * 3] * 3])
    support, query = sampled(ragged_layout([[[-1] * 3] * 3]), 3000, 2, 1)
    pairs = {(a, b): 0 for a in range(9) for b in range(9) if a != b and rows.class_[a] == rows.class_[b]}
    for pair in zip(support.ravel().tolist(), query[:, :2].ravel().tolist(), strict=True):
        pairs[pair] += 1
    counts = np.array(list(pairs.values()))
    assert (abs(counts - 6000 / 18) < 4 * (6000 / 18) ** 0.5).all()


def test_classes_come_from_one_group_where_it_has_enough_and_else_from_neighbours():
    sizes = [4, 8, 3, 3]
    rows = rows_of([[[0, 1, 2]] * size for size in sizes])
    _, query = sampled(make_layout(sizes, 3), 400, 4, 2)
    groups = [set(rows.group[query[first::4]].ravel().tolist()) for first in range(4)]
    assert groups == [{0, 1}, {1}, {2, 3}, {2, 3}]


def test_every_class_is_enrolled_and_unknown_about_equally_often():
    rows = rows_of([[[0, 1]] * 5])
    support, query = sampled(make_layout([5], 2), 2000, 3, 2)
    for part, share in ((support, 3 / 5), (query[:, 3:], 2 / 5)):
        counts = np.bincount(rows.class_[part.ravel()], minlength=5) / 2000
        assert (abs(counts - share) < 4 * (share * (1 - share) / 2000) ** 0.5).all()


def test_a_gallery_is_a_function_of_the_key_and_its_number():
    layout = make_layout([5, 4], 3)
    few, many = sampled(layout, 3, 3, 1), sampled(layout, 6, 3, 1)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other[:3])
    assert (sampled(layout, 6, 3, 1, seed=1)[1] != many[1]).any()


def test_classes_with_one_image_are_left_out_and_too_few_classes_are_counted():
    groups = [[[0], [0, 1], [1, 2]], [[0, 0], [0, 1]]]
    layout = ragged_layout(groups)
    assert most_classes(layout) == len(classes_that_serve(groups, 2, 1)) == 3
    kept = {1, 2, 4}
    assert set(rows_of(groups).class_[sampled(layout, 20, 2, 1)[1]].ravel().tolist()) == kept
    with pytest.raises(UserError, match="there are 3 classes with images by two authors .*galleries of 4 classes"):
        sample_galleries(root_key(0), layout, 1, 3, 1)
