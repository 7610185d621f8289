import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from layouts import RAGGED, classes_that_serve, make_layout, ragged_layout, rows_of
from tiny import make_dataset

from siamese_jax.errors import UserError
from siamese_jax.sampling.layout import authors_of_classes, examples, layout_of, rows_of_author, serving
from siamese_jax.sampling.splits import split


@given(RAGGED)
def test_a_layout_finds_every_image_of_every_class(groups):
    layout, rows = ragged_layout(groups), rows_of(groups)
    number = 0
    for group, classes in enumerate(groups):
        assert layout.group_start[group] == number
        assert layout.group_size[group] == len(classes)
        for authors in classes:
            start, size = layout.class_start[number], layout.class_size[number]
            assert np.flatnonzero(rows.class_ == number).tolist() == list(range(start, start + size))
            assert authors_of_classes(layout)[number] == len(set(rows.author[start : start + size].tolist()))
            number += 1
            assert size == len(authors)


def test_unknown_authors_count_as_others_and_none_known_leaves_them_out():
    assert ragged_layout([[[-1, -1, 7], [-1, 3, 7]]]).author.tolist() == [0, 1, 4, 2, 3, 4]
    assert ragged_layout([[[-1, -1], [-1]]]).author is None
    assert make_layout([2], 3).author.tolist() == [0, 1, 2, 0, 1, 2]


@given(RAGGED)
def test_what_serves_are_the_classes_with_enough_authors_of_the_groups_with_enough_classes(groups):
    layout = ragged_layout(groups)
    for authors, classes in ((1, 1), (2, 2), (3, 2)):
        found, kept = serving(layout, authors, classes), sorted(classes_that_serve(groups, authors, classes))
        assert found.class_start.tolist() == layout.class_start[kept].tolist()
        assert found.class_size.tolist() == layout.class_size[kept].tolist()
        assert found.group_size.sum() == len(kept)
        assert found.group_start.tolist() == [0, *np.cumsum(found.group_size)][: len(found.group_size)]


@settings(max_examples=5)
@given(RAGGED.filter(lambda groups: any(author >= 0 for group in groups for of_class in group for author in of_class)))
def test_the_images_of_an_author_in_a_class_are_found(groups):
    layout, rows = ragged_layout(groups), rows_of(groups)
    pairs = np.array([(c, a) for c in range(len(layout.class_size)) for a in range(layout.author.max() + 1)])
    begin, end = jax.jit(jax.vmap(lambda c, a: rows_of_author(layout, c, a)))(*jnp.asarray(pairs.T))
    for (class_, author), low, high in zip(pairs, begin, end, strict=True):
        of_class = layout.author[rows.class_ == class_]
        assert np.flatnonzero(of_class == author).tolist() == list(range(low, high))


def test_images_that_are_not_sorted_are_refused_with_the_order_that_sorts_them():
    images = make_dataset().images
    shuffled = images._replace(author=images.author[::-1])
    with pytest.raises(UserError, match=r"not sorted by group, class and author: .* np\.lexsort\(\(author, class_"):
        layout_of(shuffled)
    order = np.lexsort((shuffled.author, shuffled.class_index, shuffled.group_index))
    layout_of(shuffled._replace(author=shuffled.author[order]))
    with pytest.raises(UserError, match="a class is in two groups"):
        layout_of(images._replace(group_index=np.repeat(np.arange(6, dtype=np.int32), [90, 110, 100, 100, 100, 100])))


def test_examples_are_classes_spread_over_all_with_their_first_images():
    train = split(make_dataset(), "paper")["train"]
    found = examples(train, 4, 3)
    assert found.shape == (4, 3, 12, 12, 1)
    for i, class_ in enumerate((0, 3, 6, 9)):
        np.testing.assert_array_equal(found[i], train.images[12 * class_ : 12 * class_ + 3])
    assert examples(train, 99, 99).shape[:2] == (10, 12)


def test_examples_of_unequal_classes_have_as_many_images_as_two_classes_have():
    images = make_dataset().images
    rows = np.flatnonzero((images.class_index > 1) | (images.author < 3))  # two classes of 2 images, 28 of 20
    some = images._replace(**{part: getattr(images, part)[rows] for part in ("images", "class_index", "group_index")})
    found = examples(some._replace(author=images.author[rows]), 30, 4)
    assert found.shape[:2] == (28, 4)
    one_is_large = np.flatnonzero((images.class_index == 0) | (images.author < 3))
    some = images._replace(
        **{part: getattr(images, part)[one_is_large] for part in ("images", "class_index", "group_index", "author")}
    )
    assert examples(some, 30, 4).shape[:2] == (30, 2)
