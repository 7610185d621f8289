import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.errors import UserError
from siamese_jax.keys import root_key
from siamese_jax.records import Layout
from siamese_jax.sampling.grids import check_grid, sample_grid
from siamese_jax.specs import Omniglot


def make_layout(counts: list[int], drawers: int) -> Layout:
    count = np.array(counts, np.int32)
    return Layout((np.cumsum(count) - count).astype(np.int32), count, drawers)


def grid_of(alphabets: int, characters: int, drawers: int, rotations: bool = False) -> Omniglot:
    return Omniglot(batch_alphabets=alphabets, batch_characters=characters, batch_drawers=drawers, rotations=rotations)


@given(st.data(), st.lists(st.integers(2, 30), min_size=1, max_size=6), st.integers(2, 20), st.integers(0, 1000))
def test_a_grid_has_different_alphabets_characters_and_drawers_and_says_what_is_missing(data, counts, drawers, seed):
    layout = make_layout(counts, drawers)
    shape = (
        data.draw(st.integers(1, len(counts))),
        data.draw(st.integers(2, max(counts))),
        data.draw(st.integers(2, drawers)),
    )
    spec = grid_of(*shape)
    check_grid(spec, layout)
    rows, present, turns = (np.asarray(part) for part in sample_grid(root_key(seed), layout, spec))
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


def test_alphabets_characters_drawers_and_turns_are_all_drawn_equally_often():
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
