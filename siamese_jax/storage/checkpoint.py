"""Checkpoints that survive kills, full disks and flipped bits: a thin layer over Orbax.

They are in WORKDIR/checkpoints, one numbered folder per step. A state is any pytree of JAX or numpy arrays, stored as a
flat table of named leaves. The dtype, shape and sha256 of each leaf are in `meta`, since Orbax restores damaged arrays
and wrong dtypes without an error. The structure is not stored: `restore` takes it from a template. Random keys are not
stored: they follow from (seed, step).
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from siamese_jax.errors import UserError
from siamese_jax.storage.files import explained
from siamese_jax.storage.workdir import opened


class Restored(NamedTuple):
    """A checkpoint that was read: `state` has the template's structure, with JAX arrays; `meta` is as it was saved."""

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, for the one process that trains it: `with Checkpoints(workdir) as checkpoints:`.

    The workdir is `opened` as long as it is open. It keeps the newest `keep` checkpoints. UserError if another process
    holds the lock, or if the folder cannot be written.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int = 2):
        self.workdir = Path(workdir).absolute()  # Orbax fails on relative paths, with an error that does not say so
        self._folder = self.workdir / "checkpoints"
        self._keep = keep

    def __enter__(self) -> "Checkpoints":
        with contextlib.ExitStack() as stack:
            stack.enter_context(opened(self.workdir))
            with explained(self._folder, "opened"):
                self._folder.mkdir(exist_ok=True)
                self._remove_unfinished()
            self._manager = stack.enter_context(_manager(self._folder, self._keep))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, which may be damaged; None when there is none."""
        return max(self._manager.all_steps(), default=None)

    def save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
        """Write a checkpoint; return when it is on disk.

        Args:
          step: updates made so far.
          state: a pytree of arrays.
          meta: JSON values that are stored beside it.

        Raises:
          UserError: the disk is full or fails. Earlier checkpoints are untouched, and nothing half-written stays.
          ValueError: `step` is not after the latest checkpoint.
          TypeError: JAX would hold a leaf in another dtype.
        """
        import orbax.checkpoint as ocp

        latest = self.latest
        if latest is not None and step <= latest:  # Orbax would save nothing, and return False
            raise ValueError(f"checkpoint {step} does not come after checkpoint {latest} in {self._folder}")
        arrays = {name: _as_stored(name, leaf) for name, leaf in _named(state).items()}
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(_sealed(arrays, meta)))
        try:
            with _quiet():
                saved = self._manager.save(step, args=items)
        except Exception as error:
            self._remove_unfinished()
            if isinstance(error, OSError) or "os_error_code" in str(error):  # tensorstore's I/O errors are ValueErrors
                raise UserError(
                    f"checkpoint {step} could not be written to {self._folder}: {_reason(error)}. "
                    + (
                        "There is no earlier one. "
                        if latest is None
                        else f"The last good checkpoint is step {latest}. "
                    )
                    + "Free some space, then start again with the same --workdir to continue from there"
                ) from error
            raise
        if not saved:
            raise RuntimeError(f"Orbax declined to save checkpoint {step} in {self._folder}")

    def restore(self, template: Any) -> Restored | None:
        """Return the newest intact checkpoint, or None if there is none; see the function `restore`.

        Newer checkpoints, which are damaged, are renamed to damaged-STEP: they would block saves up to their step.
        """
        found, damaged = _newest_good(self._manager, self._folder, template)
        for step, reason in damaged.items():
            aside = _free(self._folder / f"damaged-{step}")
            with explained(aside):
                (self._folder / str(step)).rename(aside)
            logging.warning("checkpoint %d is damaged, set aside as %s: %s", step, aside, reason)
        if damaged:
            self._manager.reload()
        return found

    def _remove_unfinished(self) -> None:
        """Remove numbered folders without Orbax's commit file: a save that was killed or failed left them."""
        for folder in self._folder.iterdir():
            if folder.name.isdigit() and not (folder / "commit_success.txt").exists():
                shutil.rmtree(folder, ignore_errors=True)


def restore(workdir: str | os.PathLike, template: Any) -> Restored | None:
    """Return the newest intact checkpoint under `workdir`; None if there is none. Nothing on disk changes.

    Args:
      workdir: the folder of the run.
      template: a state of the same structure, or the `jax.eval_shape` of one. Restored leaves have its shapes, dtypes
        and shardings.

    Raises:
      UserError: the newest intact checkpoint has another structure, or all checkpoints are damaged.
    """
    folder = Path(workdir).absolute() / "checkpoints"
    with _manager(folder, keep=None) as manager:
        found, damaged = _newest_good(manager, folder, template)
    for step, reason in damaged.items():
        logging.warning("checkpoint %d in %s is damaged and was passed over: %s", step, folder, reason)
    return found


@contextlib.contextmanager
def _manager(folder: Path, keep: int | None) -> Iterator[Any]:
    """Yield Orbax's manager; `keep=None` opens the folder for reading only."""
    import orbax.checkpoint as ocp  # takes seconds when cold

    with _quiet():
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            read_only=keep is None,
            create=False,
            enable_async_checkpointing=False,  # asynchronous saves report a full disk one save late
            # In the default mode a stray empty folder 99/ counts as the newest checkpoint and blocks every later save.
            atomicity_options=ocp.options.AtomicityOptions(mode=ocp.options.AtomicityMode.COMMIT_FILE),
        )
        manager = ocp.CheckpointManager(folder, options=options, item_names=("state", "meta"))
    try:
        yield manager
    finally:
        manager.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Orbax from logging tracebacks of the errors that it also raises."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


class _DamagedError(Exception):
    """The contents of a checkpoint differ from what was saved."""


def _newest_good(manager: Any, folder: Path, template: Any) -> tuple[Restored | None, dict[int, str]]:
    """Return the newest intact checkpoint, and for each newer one why it is damaged."""
    damaged = {}
    for step in sorted(manager.all_steps(), reverse=True):
        try:
            with _quiet():
                arrays, meta = _read(manager, step, folder, template)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # damage raises almost any exception of Orbax, tensorstore or json
            damaged[step] = _reason(error)
            continue
        leaves, structure = jax.tree.flatten(template)
        placed = [jax.device_put(a, getattr(leaf, "sharding", None)) for a, leaf in zip(arrays, leaves, strict=True)]
        return Restored(step, jax.tree.unflatten(structure, placed), meta), damaged
    if damaged:
        reasons = "; ".join(f"step {step}: {reason}" for step, reason in damaged.items())
        raise UserError(
            f"no checkpoint in {folder} is intact ({reasons}). Put back a copy of that folder if you have one; "
            "to train from the start, choose another --workdir"
        )
    return None, damaged


def _read(manager: Any, step: int, folder: Path, template: Any) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the leaves of a checkpoint, in the template's order, and its meta; both verified."""
    import orbax.checkpoint as ocp

    sealed = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
    if sealed.pop("sha256") != _json_digest(sealed):
        raise _DamagedError("its meta differs from what was saved")
    stored, wanted = sealed["leaves"], _named(template)
    for name in [*wanted, *stored]:
        here = _kind(stored[name]["dtype"], stored[name]["shape"]) if name in stored else "missing"
        there = _kind(wanted[name].dtype, wanted[name].shape) if name in wanted else "absent"
        if here != there:
            raise UserError(
                f"checkpoint {step} in {folder} is of another network or optimizer: {name} is {here} in it, "
                f"but {there} in this experiment. Use the experiment it was trained with, or another --workdir"
            )
    blanks = {name: np.empty(leaf.shape, leaf.dtype) for name, leaf in wanted.items()}
    arrays = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(blanks))).state
    for name in wanted:
        if _digest(arrays[name]) != stored[name]["sha256"]:
            raise _DamagedError(f"{name} differs from what was saved")
    return [arrays[name] for name in wanted], sealed["meta"]


def _sealed(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> dict[str, Any]:
    """Return `meta` with what is needed to verify it and the arrays."""
    leaves = {name: {"dtype": str(a.dtype), "shape": list(a.shape), "sha256": _digest(a)} for name, a in arrays.items()}
    sealed = {"leaves": leaves, "meta": json.loads(json.dumps(meta))}  # as it will be read back: keys become strings
    return {**sealed, "sha256": _json_digest(sealed)}


def _named(tree: Any) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise ValueError("two leaves of the state have the same dotted name")
    return named


def _as_stored(name: str, leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:  # 64-bit scalars of Python and numpy, mostly
        raise TypeError(
            f"{name} is {array.dtype}, which JAX would change when it is restored: convert it to a JAX array"
        )
    return array


def _kind(dtype: Any, shape: Any) -> str:
    return f"{dtype}{list(shape)}"


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def _json_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _reason(error: Exception) -> str:
    """Return one short line: the system's words for an error of the disk, otherwise the start of the error's text."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return "No space left on device" if "No space left on device" in text else text[:200]


def _free(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    return next(p for p in itertools.chain([path], numbered) if not p.exists())
