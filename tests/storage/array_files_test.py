"""Arrays in a file come back to the bit, and what a hostile file holds is refused before it is read."""

import io
import os
import pickle
import struct
import warnings
import zipfile

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


def member(content: bytes, name: str = "a.npy", **how) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **how) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


def many() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}.npy", b"")
    return file.getvalue()


HOSTILE = {
    "promises 10 GB": lambda: member(header("(2500000000,)")),
    "holds more than it says": lambda: member(header("(1,)") + bytes(5_000_000), compression=zipfile.ZIP_DEFLATED),
    "holds less than it says": lambda: member(header("(10,)") + bytes(4)),
    "a shape that overflows": lambda: member(header(f"({10**30},)")),
    "a negative shape": lambda: member(header("(-1,)")),
    "a shape of words": lambda: member(header("('a',)")),
    "a shape that is called": lambda: member(header("__import__('os').abort()")),
    "pickled objects": lambda: member(header("(1,)", "'|O'") + pickle.dumps([1])),
    "an unknown type": lambda: member(header("(1,)", "'<q9'")),
    "a long header": lambda: member(b"\x93NUMPY\1\0\xff\xff" + b" " * 65_535),
    "version 3": lambda: member(b"\x93NUMPY\3\0" + bytes(100)),
    "compressed with lzma": lambda: member(header("(1,)") + bytes(4), compression=zipfile.ZIP_LZMA),
    "10,001 arrays": many,
    "a name out of the folder": lambda: member(b"", "../../a.npy"),
    "a damaged list": lambda: member(header("(1,)") + bytes(4))[:-10] + b"\xff" * 10,
    "not zip": lambda: b"\x93NUMPY\1\0" + bytes(100),
    "pickle": lambda: pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_before_it_takes_memory(tmp_path, what):
    path = tmp_path / "trials.npz"
    path.write_bytes(HOSTILE[what]())
    with pytest.raises(UserError, match=r"trials\.npz (is damaged|holds|has)"):
        read_arrays(path)


def test_a_file_of_ten_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "params.npz"
    write_arrays(path, {"a": np.zeros(3, np.float32)})
    os.truncate(path, 10 << 30)
    with pytest.raises(UserError, match=r"params\.npz has 10,737,418,240 bytes, too many"):
        read_arrays(path)


def test_two_arrays_of_one_name_are_refused(tmp_path):
    path = tmp_path / "trials.npz"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("a.npy", header("(1,)") + bytes(4))
    with pytest.raises(UserError, match="two of its arrays have one name"):
        read_arrays(path)
