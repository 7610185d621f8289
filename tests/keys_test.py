import jax
import numpy as np

from siamese_jax.keys import root_key, stream


def bits(key) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_streams_of_different_names_steps_and_seeds_differ():
    found = {
        bits(stream(root_key(seed), name, step)) for seed in (0, 1) for name in ("pairs", "order") for step in (0, 1)
    }
    assert len(found) == 8


def test_a_stream_is_the_same_whether_its_step_is_traced_or_not():
    key = root_key(3)
    assert bits(stream(key, "pairs", 5)) == bits(jax.jit(lambda step: stream(key, "pairs", step))(5))
