from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import make_dataset, make_experiment, make_images

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.keys import root_key
from siamese_jax.learning.batches import examples_per_epoch, pairs_per_step, sample_batch, steps_per_epoch
from siamese_jax.network.siamese import as_input
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import split
from siamese_jax.specs import CrossEntropy, DistortSpec, InMemory, LossSpec, NWay, Omniglot, Triplet

TRAIN = split(make_dataset(), "paper")["train"]
IMAGES = jnp.asarray(TRAIN.images)
KNOWN = {np.asarray(image).tobytes(): int(c) for image, c in zip(as_input(IMAGES), TRAIN.class_index, strict=True)}


def draw_epoch(experiment, epoch: int = 0, seed: int = 0) -> list[tuple[bytes, bytes, float]]:
    """Returns all pairs of an epoch, in order, as (left, right, same)."""
    program = jax.jit(lambda key, step, images: sample_batch(key, step, images, layout_of(TRAIN), experiment))
    draw = partial(program, root_key(seed), images=IMAGES)  # as inputs, so that seeds share the program
    first = epoch * steps_per_epoch(experiment)
    batches = [draw(first + step) for step in range(steps_per_epoch(experiment))]
    pairs = [zip(*map(np.asarray, batch), strict=True) for batch in batches]
    return [(left.tobytes(), right.tobytes(), float(same)) for batch in pairs for left, right, same in batch]


def test_an_epoch_has_every_pair_once_as_it_is_and_the_given_number_of_times_distorted():
    pairs = draw_epoch(make_experiment())
    plain = [pair for pair in pairs if pair[0] in KNOWN and pair[1] in KNOWN]
    assert len(pairs) == 36
    assert len(set(pairs)) == 36
    assert len(plain) >= 12
    assert sum(same for _, _, same in pairs) == 18
    assert all((KNOWN[left] == KNOWN[right]) == bool(same) for left, right, same in plain)


def test_a_fixed_set_is_the_same_each_epoch_in_another_order():
    fixed = make_experiment()
    first, second = draw_epoch(fixed, 0), draw_epoch(fixed, 1)
    assert set(first) == set(second)
    assert first != second


def test_when_pairs_are_drawn_again_an_epoch_is_of_new_ones_distorted_as_often():
    experiment = make_experiment(data=Omniglot(train_pairs=240, redraw=True))
    assert examples_per_epoch(experiment) == 240
    first, second = draw_epoch(experiment, 0), draw_epoch(experiment, 1)
    assert sum(same for _, _, same in first) == 120
    distorted = [pair for pair in first if pair[0] not in KNOWN or pair[1] not in KNOWN]
    assert abs(len(distorted) / 240 - 2 / 3) < 0.1
    assert not set(distorted) & set(second)


def test_without_distortions_every_image_is_a_training_image():
    experiment = make_experiment(distort=DistortSpec(copies=0))
    pairs = draw_epoch(experiment)
    assert len(pairs) == 12
    assert all(left in KNOWN and right in KNOWN for left, right, _ in pairs)


def test_the_two_images_of_a_pair_are_distorted_each_on_its_own():
    experiment = make_experiment(distort=DistortSpec(copies=1, probability=1.0, translation=0.0))
    one_sided = [(left in KNOWN) != (right in KNOWN) for left, right, _ in draw_epoch(experiment)]
    assert not any(one_sided)
    pairs = draw_epoch(make_experiment(distort=DistortSpec(copies=30, probability=0.1)))
    assert any((left in KNOWN) != (right in KNOWN) for left, right, _ in pairs)


def test_another_seed_is_another_set():
    assert not set(draw_epoch(make_experiment(), seed=0)) & set(draw_epoch(make_experiment(), seed=1))


def test_the_paper_has_1_350_000_examples_an_epoch_and_draws_them_in_megabytes():
    experiment = find("omniglot_20way")
    assert examples_per_epoch(experiment) == 1_350_000
    assert steps_per_epoch(experiment) == 10_546
    experiment = replace(experiment, batch_size=4)
    draw = jax.jit(lambda step, images: sample_batch(root_key(0), step, images, layout_of(TRAIN), experiment))
    memory = draw.lower(jnp.int32(0), IMAGES).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 1_000_000


@pytest.mark.parametrize("redraw", [False, True])
def test_triplets_are_a_same_and_a_different_pair_that_share_an_image(redraw):
    data = Omniglot(train_pairs=24, redraw=redraw)
    experiment = make_experiment(data=data, loss=Triplet(), distort=DistortSpec(copies=0))
    pairs = draw_epoch(experiment)
    assert len(pairs) == len(set(pairs)) == 24
    for (anchor, positive, same), (again, negative, other) in zip(pairs[0::2], pairs[1::2], strict=True):
        assert (same, other) == (1, 0)
        assert anchor == again
        assert KNOWN[anchor] == KNOWN[positive] != KNOWN[negative]
    assert (set(pairs) == set(draw_epoch(experiment, epoch=1))) != redraw


def test_the_images_of_a_triplet_are_distorted_each_on_its_own():
    experiment = make_experiment(loss=Triplet(), distort=DistortSpec(copies=1, translation=0.0))
    pairs = draw_epoch(experiment)
    assert len(pairs) == 24
    assert any(first[0] != second[0] for first, second in zip(pairs[0::2], pairs[1::2], strict=True))


def test_an_odd_batch_of_triplets_is_refused():
    with pytest.raises(UserError, match="batch_size=5 is odd"):
        steps_per_epoch(make_experiment(loss=Triplet(), batch_size=5))


def test_a_batch_larger_than_an_epoch_is_refused():
    with pytest.raises(UserError, match="batch_size=37 .* 36 pairs"):
        steps_per_epoch(make_experiment(batch_size=37))


def grid_batch(step: int = 0, **changes):
    experiment = make_experiment(loss=NWay(), **changes)
    return jax.jit(lambda step: sample_batch(root_key(0), step, IMAGES, layout_of(TRAIN), experiment))(step)


GRID = {"batch_alphabets": 2, "batch_characters": 4, "batch_drawers": 3}


def test_a_grid_batch_is_of_training_images_class_by_class():
    images, present = grid_batch(data=Omniglot(**GRID), distort=DistortSpec(copies=0))
    assert images.shape == (2, 4, 3, *IMAGES.shape[1:])
    assert present.all()
    characters = [[{KNOWN[np.asarray(i).tobytes()] for i in drawn} for drawn in alphabet] for alphabet in images]
    assert all(len(of_it) == 1 for alphabet in characters for of_it in alphabet)
    for alphabet in characters:
        assert len({next(iter(of_it)) // 5 for of_it in alphabet}) == 1  # five characters an alphabet
        assert len({next(iter(of_it)) for of_it in alphabet}) == 4


def test_a_grid_batch_is_another_each_step_and_every_image_is_distorted_on_its_own():
    first, again, second = (np.asarray(grid_batch(s, data=Omniglot(**GRID)).images) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not (first == second).all()
    always = DistortSpec(copies=1, probability=1.0)
    images = np.asarray(grid_batch(data=Omniglot(**GRID), distort=always).images).reshape(-1, *IMAGES.shape[1:])
    assert not any(image.tobytes() in KNOWN for image in images)


def test_rotations_turn_whole_groups():
    plain = grid_batch(data=Omniglot(**GRID), distort=DistortSpec(copies=0)).images
    turns = set()
    for step in range(6):
        plain, turned = (
            np.asarray(grid_batch(step, data=Omniglot(**GRID, rotations=on), distort=DistortSpec(copies=0)).images)
            for on in (False, True)
        )
        for before, after in zip(plain, turned, strict=True):
            after = after.reshape(-1, *after.shape[2:])
            quarters = [
                q
                for q in range(4)
                if np.allclose(np.rot90(before.reshape(after.shape), -q, axes=(1, 2)), after, atol=1e-3)
            ]
            assert len(quarters) == 1
            turns |= set(quarters)
    assert len(turns) >= 3


def test_an_epoch_of_grid_batches_is_as_long_as_its_field_says_and_counts_its_pairs():
    data = Omniglot(**GRID, epoch_steps=7)
    sizes = {name: make_experiment(data=data, loss=LossSpec.variants[name]()) for name in ("all_pairs", "n_way")}
    assert steps_per_epoch(sizes["n_way"]) == 7
    images = [(c, d) for c in range(4) for d in range(3)]
    pairs = [(a, b) for i, a in enumerate(images) for b in images[:i]]
    assert pairs_per_step(sizes["all_pairs"]) == 2 * len(pairs)
    assert pairs_per_step(sizes["n_way"]) == 2 * sum(a[1] != b[1] for a, b in pairs)
    assert pairs_per_step(make_experiment()) == 4


def test_rotations_are_refused_where_no_group_is_drawn_whole():
    with pytest.raises(UserError, match="rotations=True.*loss.name=all_pairs or n_way instead of cross_entropy"):
        steps_per_epoch(make_experiment(data=Omniglot(rotations=True)))


@pytest.mark.parametrize("loss", [NWay(), CrossEntropy()])
def test_colours_change_in_training_images_and_their_warps_stay(loss):
    images = make_images()
    data = InMemory(batch_characters=4, batch_drawers=2, train_pairs=40, height=12, width=12, channels=3)
    plain = make_experiment(data=data, loss=loss, distort=DistortSpec(copies=1, translation=1.0), batch_size=40)

    def batch(experiment):
        sample = jax.jit(
            lambda key, step: sample_batch(key, step, jnp.asarray(images.images), layout_of(images), experiment)
        )
        return jax.tree.map(np.asarray, sample(root_key(0), 0))

    before = batch(plain)
    after = batch(replace(plain, distort=replace(plain.distort, colour=0.5)))
    for one, other in zip(before, after, strict=True):
        if one.ndim < 4:
            np.testing.assert_array_equal(one, other)  # the same pairs, the same classes
            continue
        one, other = (part.reshape(-1, 12, 12, 3) for part in (one, other))
        inks = [part.any(axis=-1) for part in (one, other)]
        assert (inks[0] != inks[1]).mean() < 0.003  # paper is where it was; rounding may move a pixel over the edge
        changed = (abs(one - other) > 1e-4).any(axis=(1, 2, 3)).mean()
        assert (0.9 < changed < 1) if loss.of_grids else (0.3 < changed < 0.7)  # half of the pairs are undistorted
