"""What is sampled never changes: published figures, `trials_id`s and resumed runs depend on every index."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layouts import make_layout, ragged_layout
from tiny import make_dataset, make_digits, make_experiment

from siamese_jax.evaluation.one_shot import validation_episodes
from siamese_jax.evaluation.protocols import DIGITS, PROTOCOLS, card, sample, sample_digits
from siamese_jax.images.distort import sample_warp
from siamese_jax.keys import root_key
from siamese_jax.learning.batches import sample_batch
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.grids import sample_grid
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.pairs import sample_pair, sample_triplet
from siamese_jax.sampling.permutation import shuffled
from siamese_jax.sampling.splits import split
from siamese_jax.specs import DistortSpec, Omniglot, with_value

# Classes of each group, and authors of each class; the second is Omniglot's training set.
OMNIGLOT = [20, 29, 26, 41, 40, 24, 46, 14, 26, 34, 22, 26, 43, 24, 48, 22, 16, 52, 47, 40, 26, 40, 41, 33, 14, 42, 23]
LAYOUTS = {"small": ([5, 7, 14], 6), "omniglot": ([*OMNIGLOT, 17, 22, 45], 12), "pairs_of_two": ([2, 2], 2)}


def digest(*arrays) -> str:
    content = b"".join(np.asarray(array, np.int64).tobytes() for array in arrays)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


PAIRS = {
    ("small", 0, True): "f07177f2da906f62",
    ("small", 7, False): "069edb6675b79cac",
    ("omniglot", 0, True): "93b230bc5faeaf7f",
    ("omniglot", 7, False): "7de03806cae50def",
    ("pairs_of_two", 0, True): "2ccd55a95bc2edfb",
    ("pairs_of_two", 7, False): "1ed6edc90af1e4e1",
}


@pytest.mark.parametrize(("name", "seed", "different"), PAIRS)
def test_pairs_are_those_of_version_0_1(name, seed, different):
    place, key = make_layout(*LAYOUTS[name]), root_key(seed)
    found = jax.jit(jax.vmap(lambda index: sample_pair(key, index, place, different)))(jnp.arange(500))
    assert digest(*found) == PAIRS[name, seed, different]


TRIPLETS = {
    ("small", 0, True): "49905b11f62fcca8",
    ("small", 7, False): "af4c677adda1c978",
    ("omniglot", 0, True): "182346347141d7f7",
    ("omniglot", 7, False): "59443aa46452ddde",
    ("pairs_of_two", 0, True): "e55e810bc77a7328",
    ("pairs_of_two", 7, False): "e9f7c9ebb7b46c3b",
}


@pytest.mark.parametrize(("name", "seed", "different"), TRIPLETS)
def test_triplets_are_those_of_version_0_1(name, seed, different):
    place, key = make_layout(*LAYOUTS[name]), root_key(seed)
    found = jax.jit(jax.vmap(lambda index: sample_triplet(key, index, place, different)))(jnp.arange(500))
    assert digest(*found) == TRIPLETS[name, seed, different]


GRIDS = {
    ("small", 0, (2, 6, 3), True): "b84cd4f5f3a7b5ae",
    ("small", 7, (3, 14, 6), False): "96db87e74cb870dc",
    ("omniglot", 0, (2, 20, 4), True): "3eab137c5d60585d",
    ("omniglot", 7, (4, 52, 2), False): "94c734590f19fdbe",
    ("pairs_of_two", 0, (2, 2, 2), True): "6b3b1992b8fdae34",
}


@pytest.mark.parametrize(("name", "seed", "shape", "rotations"), GRIDS)
def test_grids_are_those_of_version_0_1(name, seed, shape, rotations):
    groups, classes, authors = shape
    spec = Omniglot(batch_alphabets=groups, batch_characters=classes, batch_drawers=authors, rotations=rotations)
    place = make_layout(*LAYOUTS[name])
    found = jax.jit(jax.vmap(lambda key: sample_grid(key, place, spec)))(jax.random.split(root_key(seed), 20))
    assert digest(*found) == GRIDS[name, seed, shape, rotations]


EPISODES = {
    ("small", 0, 5, 1): "15e33227a604b22a",
    ("small", 7, 5, 5): "53a991e82053be6e",
    ("omniglot", 0, 14, 1): "18d9e772c61c2513",
    ("omniglot", 7, 10, 5): "c2b15c89347d76a3",
    ("pairs_of_two", 0, 2, 1): "fdb8d66467257723",
}


@pytest.mark.parametrize(("name", "seed", "n_way", "k_shot"), EPISODES)
def test_episodes_are_those_of_version_0_1(name, seed, n_way, k_shot):
    place = make_layout(*LAYOUTS[name])
    found = jax.jit(lambda key: sample_episodes(key, place, 40 * n_way, n_way, k_shot))(root_key(seed))
    assert digest(*found) == EPISODES[name, seed, n_way, k_shot]


AUTHORLESS = {
    ((5, 5, 5, 5, 5, 5, 5, 5, 5, 5), 0): "b3a6b7012ca4b836",
    ((980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009), 0): "65c76d4fb19dc982",
    ((2, 9, 3), 7): "5c882eb6a05dd527",
}


@pytest.mark.parametrize(("counts", "seed"), AUTHORLESS)
def test_episodes_without_authors_are_those_of_version_0_1(counts, seed):
    place = ragged_layout([[[-1] * count for count in counts]])
    found = jax.jit(lambda key: sample_episodes(key, place, 40 * len(counts), len(counts)))(root_key(seed))
    assert digest(*found) == AUTHORLESS[counts, seed]


ORDERS = {
    (1, 0): "ca08ea5bca49cc18",
    (1000, 7): "986ab4fa6fbe1004",
    (1350000, 0): "39d59abad72ea192",
}


@pytest.mark.parametrize(("size", "seed"), ORDERS)
def test_orders_are_those_of_version_0_1(size, seed):
    key = root_key(seed)
    found = jax.jit(jax.vmap(lambda position: shuffled(key, position, size)))(jnp.arange(min(size, 1000)))
    assert digest(found) == ORDERS[size, seed]


TRIALS = {
    "official_runs": "9dcdfd30d62475902fa2920f4493bc6e",
    "koch_400": "aa5b422e1188420fc979d736548cbfef",
    "within_alphabet": "45cc3cd1d7e2b9e4b0ecd0446d734dda",
    "unstructured": "a1d7233e34195181e2c25c7d27379678",
    "2_way_1_shot": "17ccfb47b6c1979ed7c029af1a2085eb",
    "5_way_1_shot": "f4ffc778c12f4567650bfbbb1d5d01dd",
    "10_way_1_shot": "03aba3e88081af8a40e9acf194c6d86e",
    "15_way_1_shot": "7b2f187d231d9641d3de41f1a1225a93",
    "20_way_1_shot": "8a59d41bd8d178417088315b997230fc",
    "2_way_5_shot": "8896e8770152e9c8d36fc42339f9b580",
    "5_way_5_shot": "c5bafbf4d3b2ce707d858a506eac02cc",
    "10_way_5_shot": "a639bc650299544e46a8a0469913a8da",
    "15_way_5_shot": "6e53794dd16a7c02abba945d834474a9",
    "20_way_5_shot": "d6c33c5ea2cd6cc3a1a807469632a35f",
}


@pytest.mark.parametrize("name", TRIALS)
def test_trials_of_every_protocol_are_those_of_version_0_1(name):
    dataset = make_dataset(characters=20)
    runs = jax.jit(lambda: sample(name, PROTOCOLS[name], dataset, split(dataset, "paper")))()
    assert card(PROTOCOLS[name], dataset.images, runs, {}).trials_id == TRIALS[name]


DIGIT_TRIALS = {
    "mnist_10way": "66014153512ebe8ea61db555cdf3f9ac",
    "mnist_10way_10000": "09af9b5db6c03a502c289478df1e5ab1",
}


@pytest.mark.parametrize("name", DIGIT_TRIALS)
def test_trials_of_digits_are_those_of_version_0_1(name):
    digits = make_digits(8)
    episodes = jax.jit(lambda: sample_digits(name, DIGITS[name], digits))()
    assert card(DIGITS[name], digits, episodes, {}).trials_id == DIGIT_TRIALS[name]


def test_validation_trials_are_those_of_version_0_1():
    found = validation_episodes(make_experiment(), split(make_dataset(), "paper")["validation"])
    assert digest(*found) == "a141c0dadbac700a"


BATCHES = {
    ("cross_entropy", 0): "6ef37a018867a1d3",
    ("cross_entropy", 4): "0bd2b31c94eb47b0",
    ("triplet", 0): "6f4a2c049966d56c",
    ("triplet", 4): "d5fd32bbf9559818",
    ("n_way", 0): "13f838d6165ef467",
    ("n_way", 4): "a5fcc8d0969e84ba",
}


@pytest.mark.parametrize(("loss", "step"), BATCHES)
def test_batches_are_those_of_version_0_1(loss, step):
    experiment = make_experiment(distort=DistortSpec(copies=0))
    of_grids = Omniglot(train_pairs=12, batch_alphabets=2, batch_characters=3, batch_drawers=2)
    data = of_grids if loss == "n_way" else experiment.data
    experiment = make_experiment(distort=DistortSpec(copies=0), data=data)
    experiment = with_value(experiment, "loss.name", loss)
    train = split(make_dataset(), "paper")["train"]
    batch = sample_batch(root_key(3), jnp.int32(step), jnp.asarray(train.images), layout_of(train), experiment)
    assert digest(*(np.rint(255 * np.asarray(part)) for part in batch)) == BATCHES[loss, step]


def test_warps_are_those_of_version_0_1():
    warp = sample_warp(root_key(5), DistortSpec(elastic=1.0), (12, 12))
    np.testing.assert_allclose(
        np.asarray(warp.affine),
        [
            3.2206499576568604,
            0.22499999403953552,
            -0.14819000661373138,
            1.1571199893951416,
            1.0913699865341187,
            0.0421300008893013,
            0.0,
        ],
        atol=1e-4,
    )
    np.testing.assert_allclose(
        warp.bend,
        [
            [[-0.16500000655651093, 0.43415001034736633], [0.04757000133395195, -2.3655900955200195]],
            [[0.4852299988269806, 0.5881999731063843], [-1.0271300077438354, -0.3721199929714203]],
        ],
        atol=1e-4,
    )
