"""params.npz: the parameters of a network, one array per leaf, named by its path, for example "stage1a/kernel"."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from siamese_jax.errors import UserError
from siamese_jax.storage import files

_HEADER = 10_000
"""Bytes that the header of an array may have. numpy writes 128."""


def write_params(path: Path, params: Mapping[str, Any]) -> None:
    """Write nested dicts of arrays; UserError if that fails."""
    arrays = flatten_dict(params, sep="/")
    files.write_arrays(path, {name: np.asarray(array) for name, array in arrays.items()})


def read_params(path: Path, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Read the parameters of a network. The file is not trusted: nothing is unpickled, and no more is read than fits.

    Args:
      path: A file by `write_params`.
      shapes: What it must hold: nested dicts of `jax.ShapeDtypeStruct`, as `jax.eval_shape` returns them.

    Returns:
      Nested dicts of numpy arrays, of the shapes and dtypes wanted.

    Raises:
      UserError: The file is missing or damaged, or an array is missing, unknown, of another shape or dtype, or not
        finite.
    """
    wanted = flatten_dict(shapes, sep="/")
    with files.explained(path, "read"), path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(path, archive, wanted)
                return unflatten_dict(
                    {name: _array(path, archive, members[name], wanted[name], name) for name in wanted}, sep="/"
                )
        except UserError:
            raise
        except Exception as error:  # zipfile and numpy raise many kinds of errors for damaged files
            raise UserError(f"{path} is damaged ({error}): restore the file") from error


def _members(path: Path, archive: zipfile.ZipFile, wanted: Mapping[str, Any]) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's entries by the names of their arrays; UserError unless they are the ones wanted."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for names, what in ((wanted.keys() - members, "lacks"), (members.keys() - wanted, "has the unknown")):
        if names:
            raise _misfit(path, f"it {what} parameters {min(names)!r}")
    return members


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, wanted: Any, name: str) -> np.ndarray:
    size = math.prod(wanted.shape) * wanted.dtype.itemsize
    if info.file_size > size + _HEADER:
        raise _misfit(path, f"{name!r} has {info.file_size} bytes, not {size}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others decompress without a limit
        raise ValueError(f"{name!r} is compressed in an unknown way")
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name!r} is of an unknown version")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        if (shape, dtype) != (wanted.shape, wanted.dtype):
            raise _misfit(path, f"{name!r} is {dtype} {list(shape)}, not {wanted.dtype} {list(wanted.shape)}")
        array = np.frombuffer(member.read(), dtype).reshape(shape, order="F" if by_columns else "C")
    if not np.isfinite(array).all():
        raise _misfit(path, f"{name!r} has values that are not finite")
    return array


def _misfit(path: Path, reason: str) -> UserError:
    return UserError(f"{path} does not fit the network of its experiment.json: {reason}; restore both files")
