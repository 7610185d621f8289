"""Checkpoints that survive kills, full disks and flipped bits: a thin layer over Orbax.

They are in WORKDIR/checkpoints, one numbered folder per step. A state is any pytree of JAX or numpy arrays, stored as a
flat table of named leaves. The dtype, shape and sha256 of each leaf are in `meta`, since Orbax restores damaged arrays
and wrong dtypes without an error. The structure is not stored: `restore` takes it from a template. Random keys are not
stored: they follow from (seed, step).

Orbax marks a finished checkpoint by a file, the commit file. A folder without it is a checkpoint too, if all digests
are right: tools that copy folders may skip that file. `checkpoints/saving` lists the folders that a save may leave
unfinished; no other folder is deleted. WORKDIR/first_checkpoint.json stays when the checkpoints have been lost.
"""

import asyncio
import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from siamese_jax.errors import UserError
from siamese_jax.storage.files import MOST_JSON, explained, read_bytes, read_json, write_json
from siamese_jax.storage.log import read_metrics
from siamese_jax.storage.workdir import opened

_COMMIT = "commit_success.txt"
"""Orbax's commit file: the last one that it writes into a checkpoint."""
_ORBAX = (_COMMIT, "_CHECKPOINT_METADATA", "meta/metadata", "state/_METADATA", "state/manifest.ocdbt")
"""Files that show that a numbered folder is, or was, a checkpoint."""
_FIRST, _SAVING = "first_checkpoint.json", "saving"
_FULL = errno.ENOSPC, errno.EDQUOT


class Restored(NamedTuple):
    """A checkpoint that was read: `state` has the template's structure, with JAX arrays; `meta` is as it was saved."""

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, for the one process that trains it: `with Checkpoints(workdir) as checkpoints:`.

    The workdir is `opened` as long as it is open. It keeps the newest `keep` checkpoints. UserError if another process
    holds the lock, if the folder cannot be written, or if the checkpoints of an earlier training are lost.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int = 2):
        self.workdir = Path(workdir).absolute()  # Orbax fails on relative paths, with an error that does not say so
        self._folder = self.workdir / "checkpoints"
        self._saving = self._folder / _SAVING
        self._keep = keep

    def __enter__(self) -> "Checkpoints":
        with contextlib.ExitStack() as stack:
            stack.enter_context(opened(self.workdir))
            with explained(self._folder, "opened"):
                if not _steps(self._folder):
                    _refuse_lost(self.workdir)
                self._folder.mkdir(exist_ok=True)
                self._settle_unmarked()
            self._manager = stack.enter_context(_manager(self._folder, self._keep))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, which may be damaged; None when there is none."""
        return max(_steps(self._folder), default=None)

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
            self._move_away(step)
            older = sorted(self._manager.all_steps(), reverse=True)
            self._saving.write_text(json.dumps([step, *older[self._keep - 1 :]]))
            with _quiet():
                saved = self._manager.save(step, args=items)
            self._saving.unlink()
            if not (self.workdir / _FIRST).exists():
                write_json(self.workdir / _FIRST, {"step": step})
        except Exception as error:
            number = _os_error(error.__cause__ if isinstance(error, UserError) else error)
            with contextlib.suppress(OSError):  # the disk may still be full
                self._settle_unmarked()
            if number is not None:
                latest = self.latest
                kept = "There is no earlier one" if latest is None else f"The last good checkpoint is step {latest}"
                raise UserError(
                    f"checkpoint {step} could not be written to {self._folder}: {os.strerror(number)}. {kept}. "
                    f"{'Free some space' if number in _FULL else 'Check the disk'}, then start again with the same "
                    "--workdir to continue from there"
                ) from error
            raise
        if not saved:
            raise RuntimeError(f"Orbax declined to save checkpoint {step} in {self._folder}")

    def restore(self, template: Any) -> Restored | None:
        """Return the newest intact checkpoint, or None if there is none; see the function `restore`.

        Newer checkpoints, which are damaged, are renamed to damaged-STEP: they would block saves up to their step.
        """
        found, damaged = _newest_good(self._folder, template)
        for step, reason in damaged.items():
            aside = _free(self._folder / f"damaged-{step}")
            with explained(aside):
                (self._folder / str(step)).rename(aside)
            logging.warning("checkpoint %d is damaged, set aside as %s: %s", step, aside, reason)
        if damaged:
            self._manager.reload()
        return found

    def _settle_unmarked(self) -> None:
        """Write the commit file that whole checkpoints lack, and remove what an unfinished save of ours left.

        A save that was killed or failed leaves its own folder, and perhaps a part of an older one that it removed.
        """
        ours = _being_saved(self._folder)
        for step in {*_steps(self._folder), *ours}:
            folder = self._folder / str(step)
            if (folder / _COMMIT).exists():
                continue
            try:
                _verified(folder)
            except Exception:  # damage raises almost any exception of Orbax, tensorstore or json
                if step in ours:
                    shutil.rmtree(folder, ignore_errors=True)
            else:
                (folder / _COMMIT).write_text("all digests are right")
        self._saving.unlink(missing_ok=True)

    def _move_away(self, step: int) -> None:
        """Rename what has the name of the next checkpoint and is not one: Orbax would delete it."""
        path = self._folder / str(step)
        if os.path.lexists(path):
            aside = _free(self._folder / f"not-a-checkpoint-{step}")
            path.rename(aside)
            logging.warning("%s is not a checkpoint of this run: it is now called %s", path, aside.name)


def restore(workdir: str | os.PathLike, template: Any) -> Restored | None:
    """Return the newest intact checkpoint under `workdir`; None if there is none. Nothing on disk changes.

    Args:
      workdir: the folder of the run.
      template: a state of the same structure, or the `jax.eval_shape` of one. Restored leaves have its shapes, dtypes
        and shardings.

    Raises:
      UserError: the newest intact checkpoint has another structure, or all checkpoints are damaged or lost.
    """
    folder = Path(workdir).absolute() / "checkpoints"
    with explained(folder, "read"):
        found, damaged = _newest_good(folder, template, but=_being_saved(folder))
    if found is None:
        _refuse_lost(Path(workdir))
    for step, reason in damaged.items():
        logging.warning("checkpoint %d in %s is damaged and was passed over: %s", step, folder, reason)
    return found


@contextlib.contextmanager
def _manager(folder: Path, keep: int) -> Iterator[Any]:
    import orbax.checkpoint as ocp  # takes seconds when cold

    with _quiet():
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
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


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that leaves nothing running behind it, and says nothing once it is closed.

    Orbax reads and writes all leaves at once, and closes its loop at the first error. The other leaves then end in
    threads of tensorstore, which call a closed loop: each prints a traceback, and may write into a folder that has been
    removed.
    """

    PATIENCE = 10.0
    """The most seconds to wait for the other leaves."""

    def close(self) -> None:
        try:
            if not self.is_closed() and (left := asyncio.all_tasks(self)):
                done, _ = self.run_until_complete(asyncio.wait(left, timeout=self.PATIENCE))
                for task in done:
                    if not task.cancelled():
                        task.exception()  # otherwise asyncio logs that nobody asked for it
        finally:
            super().close()

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().call_soon_threadsafe(*arguments, **keywords)
        except RuntimeError:
            if not self.is_closed():
                raise

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_closed():
            super().call_exception_handler(context)


_ORBAX_LOCK = threading.RLock()
"""Held while settings of the process are changed for Orbax: several threads may train."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Orbax and asyncio from printing tracebacks of errors that Orbax also raises."""
    with _ORBAX_LOCK:
        verbosity, new_loop = logging.get_verbosity(), asyncio.new_event_loop
        logging.set_verbosity(logging.FATAL)
        asyncio.new_event_loop = _Loop
        try:
            yield
        finally:
            asyncio.new_event_loop = new_loop
            logging.set_verbosity(verbosity)


class _DamagedError(Exception):
    """The contents of a checkpoint differ from what was saved."""


def _steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder, whole, damaged or unfinished; the newest first.

    A numbered folder without any file of Orbax is not one.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = [int(name) for name in names if name.isascii() and name.isdecimal() and str(int(name)) == name]
    return sorted((n for n in numbers if any((folder / str(n) / file).exists() for file in _ORBAX)), reverse=True)


def _refuse_lost(workdir: Path) -> None:
    """Raise UserError if a folder without checkpoints shows that there were some: training would start over it."""
    if (workdir / _FIRST).exists():
        evidence = f"{_FIRST} says that there were some"
    elif (read_json(workdir / "results.json") or {}).get("training"):
        evidence = "results.json is of a trained network"
    elif any(row["epoch"] > 1 for row in read_metrics(workdir)):  # the first epoch ends with a checkpoint
        evidence = "metrics.jsonl has lines of more than one epoch"
    else:
        return
    raise UserError(
        f"{workdir / 'checkpoints'} holds no checkpoint, but {evidence}. Restore that folder from a copy to continue; "
        "to train from the start, choose another --workdir"
    )


def _being_saved(folder: Path) -> list[int]:
    """Return the steps that a save may have left unfinished, or is writing now."""
    try:
        return [step for step in json.loads((folder / _SAVING).read_bytes()) if type(step) is int]
    except (OSError, ValueError, TypeError):  # there is no such file, or the disk was full when it was written
        return []


def _newest_good(folder: Path, template: Any, but: Sequence[int] = ()) -> tuple[Restored | None, dict[int, str]]:
    """Return the newest intact checkpoint, and for each newer one why it is damaged.

    Args:
      folder: the checkpoints.
      template: what they hold.
      but: steps that are passed over without a word as long as they have no commit file.
    """
    damaged = {}
    for step in _steps(folder):
        if step in but and not (folder / str(step) / _COMMIT).exists():
            continue
        try:
            arrays, meta = _verified(folder / str(step), template)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # damage raises almost any exception of Orbax, tensorstore or json
            damaged[step] = _reason(error)
            continue
        leaves, structure = jax.tree.flatten(template)
        placed = [
            jax.device_put(arrays[name], getattr(leaf, "sharding", None))
            for name, leaf in zip(_named(template), leaves, strict=True)
        ]
        return Restored(step, jax.tree.unflatten(structure, placed), meta), damaged
    if damaged:
        reasons = "; ".join(f"step {step}: {reason}" for step, reason in damaged.items())
        raise UserError(
            f"no checkpoint in {folder} is intact ({reasons}). Put back a copy of that folder if you have one; "
            "to train from the start, choose another --workdir"
        )
    return None, damaged


def _verified(folder: Path, template: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the leaves of a checkpoint by name, and its meta, both verified; UserError if it is of another template.

    Orbax's handler reads the arrays, and not its manager, which refuses a checkpoint without its commit file.
    """
    import orbax.checkpoint as ocp

    try:
        sealed = json.loads(read_bytes(folder / "meta" / "metadata", MOST_JSON))
    except UserError as error:  # an older checkpoint may do
        raise _DamagedError(str(error)) from error
    if sealed.pop("sha256") != _json_digest(sealed):
        raise _DamagedError("its meta differs from what was saved")
    stored = sealed["leaves"]
    if template is not None:
        _check_kinds(folder, stored, _named(template))
    blanks = {name: np.empty(leaf["shape"], jax.numpy.dtype(leaf["dtype"])) for name, leaf in stored.items()}
    with _quiet():
        arrays = ocp.StandardCheckpointHandler().restore(
            folder / "state",  # pyright: ignore[reportArgumentType]  # any path does
            args=ocp.args.StandardRestore(blanks),
        )
    for name, leaf in stored.items():
        if _digest(arrays[name]) != leaf["sha256"]:
            raise _DamagedError(f"{name} differs from what was saved")
    return arrays, sealed["meta"]


def _check_kinds(folder: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in [*wanted, *stored]:
        here = _kind(stored[name]["dtype"], stored[name]["shape"]) if name in stored else "missing"
        there = _kind(wanted[name].dtype, wanted[name].shape) if name in wanted else "absent"
        if here != there:
            raise UserError(
                f"checkpoint {folder.name} in {folder.parent} is of another network or optimizer: {name} is {here} in "
                f"it, but {there} in this experiment. Use the experiment it was trained with, or another --workdir"
            )


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


def _os_error(error: BaseException | None) -> int | None:
    """Return the system's number of an error of the disk; None for other errors. Tensorstore's are ValueErrors."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    found = re.search(r"os_error_code='(\d+)'", str(error))
    return int(found[1]) if found else None


def _reason(error: Exception) -> str:
    """Return one short line: the system's words for an error of the disk, otherwise the start of the error's text."""
    number = _os_error(error)
    return (str(error).splitlines() or [type(error).__name__])[0][:200] if number is None else os.strerror(number)


def _free(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    return next(p for p in itertools.chain([path], numbered) if not os.path.lexists(p))
