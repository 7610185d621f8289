"""Arrays in a file come back to the bit, and what a hostile file holds is refused before it is read."""

import os

import numpy as np
import pytest

from siamese_jax.errors import UserError
from siamese_jax.storage.array_files import read_arrays, write_arrays


def test_arrays_come_back_by_name_with_their_types(tmp_path):
    arrays = {"official_runs": np.eye(3, dtype=np.float32), "modified_hausdorff.koch_400": np.arange(4)}
    write_arrays(tmp_path / "trials.npz", arrays)
    found = read_arrays(tmp_path / "trials.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert os.listdir(tmp_path) == ["trials.npz"]


def test_arrays_that_cannot_be_read_or_written_are_told_to_the_user(tmp_path):
    path = tmp_path / "trials.npz"
    with pytest.raises(UserError, match=r"trials.npz could not be read: No such file .*; check the path"):
        read_arrays(path)
    write_arrays(path, {"official_runs": np.random.default_rng(0).random(500)})
    whole = path.read_bytes()
    flipped = whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:]
    for damaged in (whole[:2000], whole[:30], b"", b"not arrays", flipped):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"trials.npz is damaged"):
            read_arrays(path)
    with pytest.raises(UserError, match=r"could not be written: .*; check the path"):
        write_arrays(path / "below", {})
