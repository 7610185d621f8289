import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import RAGGED, classes_that_serve, make_layout, ragged_layout, rows_of

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.records import Layout
from siamese_jax.sampling.grids import Grid, check_grid, sample_grid
from siamese_jax.specs import Omniglot


def grid_of(alphabets: int, characters: int, drawers: int, rotations: bool = False) -> Omniglot:
    return Omniglot(batch_alphabets=alphabets, batch_characters=characters, batch_drawers=drawers, rotations=rotations)


def sampled(seed: int, layout: Layout, spec: Omniglot) -> list[Grid]:
    """Five grids on the host. Compiling takes most of the time, so that each layout serves for several keys."""
    sample = jax.jit(jax.vmap(lambda key: sample_grid(key, layout, spec)))
    return [Grid(*parts) for parts in zip(*map(np.asarray, sample(jax.random.split(root_key(seed), 5))), strict=True)]


@settings(max_examples=4)
@given(st.data(), st.lists(st.integers(2, 30), min_size=1, max_size=6), st.integers(2, 20), st.integers(0, 1000))
def test_a_grid_has_different_groups_classes_and_authors_and_says_what_is_missing(data, counts, drawers, seed):
    layout = make_layout(counts, drawers)
    shape = (
        data.draw(st.integers(1, len(counts))),
        data.draw(st.integers(2, max(counts))),
        data.draw(st.integers(2, drawers)),
    )
    spec = grid_of(*shape)
    check_grid(spec, layout)
    for rows, present, turns in sampled(seed, layout, spec):
        assert rows.shape == shape
        assert not turns.any()
        character, drawer = rows // drawers, rows % drawers
        alphabet = np.repeat(np.arange(len(counts)), counts)[character]
        assert len(set(alphabet[:, 0, 0])) == shape[0]
        for a in range(shape[0]):
            assert len(set(alphabet[a].ravel())) == 1
            assert (character[a] == character[a][:, :1]).all()
            assert (drawer[a] == drawer[a][:1]).all()
            assert len(set(drawer[a, 0])) == shape[2]
            has = counts[alphabet[a, 0, 0]]
            assert present[a].sum() == min(has, shape[1])
            assert len(set(character[a, present[a], 0])) == min(has, shape[1])


def test_groups_classes_authors_and_turns_are_all_drawn_equally_often():
    layout, spec = make_layout([4, 6, 5], 5), grid_of(1, 2, 2, rotations=True)
    draw = jax.jit(jax.vmap(lambda key: sample_grid(key, layout, spec)))
    rows, present, turns = (np.asarray(part) for part in draw(jax.random.split(root_key(0), 6000)))
    assert present.all()
    character, drawer = rows[:, 0, :, 0] // 5, rows[:, 0, 0, :] % 5
    in_alphabet = np.bincount(character.ravel(), minlength=15) / 12_000
    np.testing.assert_allclose(in_alphabet, np.repeat([1 / 12, 1 / 18, 1 / 15], [4, 6, 5]), atol=0.008)
    np.testing.assert_allclose(np.bincount(drawer.ravel()) / 12_000, np.full(5, 0.2), atol=0.015)
    np.testing.assert_allclose(np.bincount(turns.ravel()) / 6_000, np.full(4, 0.25), atol=0.025)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (grid_of(4, 2, 2), "batch_alphabets=4"),
        (grid_of(1, 7, 2), "batch_characters=7"),
        (grid_of(1, 1, 2), "batch_characters=1"),
        (grid_of(1, 2, 6), "batch_drawers=6"),
        (grid_of(1, 2, 1), "batch_drawers=1"),
    ],
)
def test_a_grid_that_training_cannot_fill_is_refused_by_its_field(spec, field):
    with pytest.raises(UserError, match=rf"data\.{field} is out of range"):
        check_grid(spec, make_layout([4, 6, 5], 5))


@settings(max_examples=6)
@given(RAGGED, st.integers(0, 1000))
def test_a_grid_of_unequal_classes_keeps_the_same_promises(groups, seed):
    layout, rows = ragged_layout(groups), rows_of(groups)
    for authors in (2, 3):
        kept = classes_that_serve(groups, authors, 2)
        of_group = rows.group[np.searchsorted(rows.class_, sorted(kept))]
        spec = grid_of(max(1, len(set(of_group)) - 1), 3 if len(kept) > 2 else 2, authors)
        if not kept:
            with pytest.raises(UserError, match=f"batch_drawers={authors} is out of range"):
                check_grid(spec, layout)
            continue
        most = int(np.max(np.bincount(of_group)))
        spec = grid_of(spec.batch_alphabets, most, authors)
        check_grid(spec, layout)
        for found, present, _ in sampled(seed, layout, spec):
            assert found.shape == (spec.batch_alphabets, most, authors)
            assert set(rows.class_[found].ravel()) <= kept
            for a in range(len(found)):
                assert len(set(rows.group[found[a]].ravel())) == 1
                assert (rows.class_[found[a]] == rows.class_[found[a]][:, :1]).all()
                assert all(len(set(rows.author[of_class])) == authors for of_class in found[a])
                assert (
                    len(set(rows.class_[found[a, present[a], 0]]))
                    == present[a].sum()
                    == np.sum(of_group == rows.group[found[a, 0, 0]])
                )


def test_a_grid_that_unequal_classes_cannot_fill_is_refused_with_what_they_allow():
    layout = ragged_layout([[[-1] * 5, [-1] * 3, [-1]], [[-1] * 4] * 2])
    for spec, words in (
        (grid_of(1, 2, 5), "batch_drawers=5 .* allow 2 to 4"),
        (grid_of(2, 2, 4), "batch_alphabets=2 .* allow 1 to 1"),
        (grid_of(1, 3, 3), "batch_characters=3 .* allow 2 to 2"),
    ):
        with pytest.raises(UserError, match=words):
            check_grid(spec, layout)
    with pytest.raises(UserError, match="batch_drawers=2 .* allow none"):
        check_grid(grid_of(1, 2, 2), ragged_layout([[[-1, -1], [-1]]]))
