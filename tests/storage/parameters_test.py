"""Parameters as a file: trees of any depth come back to the bit, and no other file does any harm."""

import contextlib
import io
import os
import pickle
import zipfile

import jax
import numpy as np
import pytest
from jax import ShapeDtypeStruct

from siamese_jax.errors import UserError
from siamese_jax.storage.parameters import read_params, write_params

RNG = np.random.default_rng(0)
PARAMS = {
    "tower": {"block1": {"attention": {"query": {"kernel": RNG.random((3, 4), np.float32)}}}, "fc": RNG.random(5)},
    "out": {"bias": np.zeros((), np.float32), "steps": np.arange(3, dtype=np.int32)},
}
SHAPES = jax.tree.map(lambda array: ShapeDtypeStruct(array.shape, array.dtype), PARAMS)
NAMES = ["out/bias", "out/steps", "tower/block1/attention/query/kernel", "tower/fc"]


@pytest.fixture
def path(tmp_path):
    write_params(tmp_path / "params.npz", PARAMS)
    return tmp_path / "params.npz"


def arrays_of(path):
    with np.load(path) as arrays:
        return dict(arrays)


def test_a_tree_of_any_depth_comes_back_to_the_bit(path):
    found = read_params(path, SHAPES)
    assert jax.tree.structure(found) == jax.tree.structure(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, found, PARAMS)
    assert jax.tree.map(lambda array: array.dtype, found) == jax.tree.map(lambda array: array.dtype, PARAMS)


def test_names_are_paths(path):
    assert sorted(arrays_of(path)) == NAMES


def test_an_array_that_is_stored_by_columns_is_read(path):
    kernel = PARAMS["tower"]["block1"]["attention"]["query"]["kernel"]
    np.savez(path, **arrays_of(path) | {"tower/block1/attention/query/kernel": np.asfortranarray(kernel)})
    jax.tree.map(np.testing.assert_array_equal, read_params(path, SHAPES), PARAMS)


CHANGES = {
    "missing": (lambda a: {name: a[name] for name in NAMES[1:]}, "it lacks parameters 'out/bias'"),
    "unknown": (lambda a: a | {"x/y": a["tower/fc"]}, "it has the unknown parameters 'x/y'"),
    "shape": (lambda a: a | {"tower/fc": a["tower/fc"][1:]}, r"'tower/fc' is float64 \[4\], not float64 \[5\]"),
    "dtype": (
        lambda a: a | {"tower/fc": a["tower/fc"].astype(np.float32)},
        r"'tower/fc' is float32 \[5\], not float64 \[5\]",
    ),
    "NaN": (lambda a: a | {"tower/fc": np.full(5, np.nan)}, "'tower/fc' has values that are not finite"),
    "large": (lambda a: a | {"tower/fc": np.zeros(10**6)}, r"'tower/fc' is float64 \[1000000\], not float64 \[5\]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_of_another_network_are_refused_by_name(path, change):
    changed, reason = CHANGES[change]
    np.savez_compressed(path, **changed(arrays_of(path)))
    with pytest.raises(UserError, match=rf"params\.npz does not fit the network of its experiment\.json: {reason}"):
        read_params(path, SHAPES)


class Harm:
    """What unpickling would do."""

    def __reduce__(self):
        return os.abort, ()


def test_pickles_are_refused_unread(path):
    harmful = io.BytesIO()
    np.save(harmful, np.array([Harm()], object), allow_pickle=True)
    for content in (harmful.getvalue(), pickle.dumps(Harm())):
        rewrite(path, content)
        with pytest.raises(UserError, match="does not fit|is damaged"):
            read_params(path, SHAPES)


def rewrite(path, content: bytes, **how) -> None:
    """Replace what a file holds of `tower/fc`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, kept in members.items():
            archive.writestr(name, content if name == "tower/fc.npy" else kept)


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_a_header_that_promises_more_than_there_is_takes_no_memory(path):
    rewrite(path, header((10**15,)) + bytes(40))
    with pytest.raises(UserError, match=rf"'tower/fc' is float64 \[{10**15}\]"):
        read_params(path, SHAPES)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x09\x00", header((5,)) + bytes(39), header((5,)) + bytes(48)])
def test_damaged_arrays_are_refused(path, content):
    rewrite(path, content)
    with pytest.raises(UserError, match=r"params\.npz is damaged"):
        read_params(path, SHAPES)


def test_compression_without_a_limit_is_refused(path):
    rewrite(path, header((5,)) + bytes(40), compression=zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match="is compressed in an unknown way"):
        read_params(path, SHAPES)


def test_damaged_files_are_read_to_the_bit_or_refused(path):
    content = path.read_bytes()
    for _ in range(200):
        damaged = bytearray(content)
        damaged[RNG.integers(len(content))] ^= 1 << RNG.integers(8)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(UserError):
            jax.tree.map(np.testing.assert_array_equal, read_params(path, SHAPES), PARAMS)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"params\.npz could not be read: No such file"):
        read_params(tmp_path / "params.npz", SHAPES)
