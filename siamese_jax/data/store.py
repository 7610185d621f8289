"""Prepare the records of a TFDS builder and read them back, quietly; every failure is one sentence."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core import constants

from siamese_jax.data.download import disk_problem
from siamese_jax.errors import UserError
from siamese_jax.storage import home
from siamese_jax.storage.locks import exclusive

Builder = tfds.core.GeneratorBasedBuilder


def prepared(
    cls: type[Builder],
    data_dir: str | None,
    locate: Callable[[Path], Path] | None = None,
    configs: Sequence[str | None] = (None,),
) -> list[Builder]:
    """Return builders with records on disk; write the records if they are missing.

    TFDS writes into a temporary folder and renames it, so that an interrupted preparation leaves nothing that counts as
    prepared. A lock makes other processes wait.

    Args:
      cls: the class of the builders.
      data_dir: where records are kept; None is TFDS's own default.
      locate: takes the folder for downloads and returns the folder of the archives. It is called only if records are
        missing. None: the builder needs no archives.
      configs: one builder is made for each; None stands for a class without configs.

    Raises:
      UserError: the disk is full or read-only, the records are damaged, or `locate` raises it.
    """
    root = (home.expanded(data_dir) if data_dir else _default(cls.name)).absolute()
    with _quiet():
        builders = [_open(cls, root, config) for config in configs]
        if all(builder.is_prepared() for builder in builders):
            return builders
        with _disk_explained(cls.name, root), _lock(root, cls.name):
            builders = [_open(cls, root, config) for config in configs]
            if all(builder.is_prepared() for builder in builders):
                return builders  # another process was faster
            archives = locate(root / "downloads") if locate else None
            print(f"Preparing {cls.name} in {root} ...", file=sys.stderr)
            download_config = tfds.download.DownloadConfig(manual_dir=archives, try_download_gcs=False)
            for builder in builders:
                builder.download_and_prepare(download_config=download_config)
    return builders


def read(builder: Builder, split: str) -> list[dict[str, Any]]:
    """Return all records of a prepared split; UserError if one is damaged or missing."""
    try:
        source = builder.as_data_source(split=split)  # pyright: ignore[reportCallIssue]  # a decorator hides its parameters
        return source.__getitems__(range(len(source)))  # several times faster than one by one
    except Exception as error:  # JSON, protobuf, array_record and the file system raise their own
        raise damaged(builder, error) from error


def damaged(builder: Builder, problem: object) -> UserError:
    """Return the error for prepared data that are not what was published."""
    return _damaged(Path(builder.data_dir), problem)


def _default(name: str) -> Path:
    """Return TFDS's own folder; one for temporary files if that cannot be written and does not hold the records."""
    folder = constants.get_default_data_dir()
    return home.kept(None if folder.startswith("~") else Path(folder), "data", holds=name)  # ~: there is no home


def _open(cls: type[Builder], root: Path, config: str | None) -> Builder:
    try:
        builder = cls(data_dir=root, config=config, file_format="array_record")
        if builder.data_path.exists() and not builder.is_prepared():
            raise FileNotFoundError("dataset_info.json is missing")
    except Exception as error:  # parsing a damaged description raises many kinds
        raise _damaged(root / cls.name, error) from error
    return builder


def _damaged(folder: Path, problem: object) -> UserError:
    reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
    return UserError(f"the prepared data in {folder} is damaged ({reason}): delete that folder and run again")


@contextlib.contextmanager
def _lock(root: Path, name: str) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with exclusive(root / f".{name}.lock", wait=True):
        yield


@contextlib.contextmanager
def _disk_explained(name: str, root: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the writers raise their own errors
        problem = disk_problem(error)
        if problem is None:
            raise
        raise UserError(
            f"cannot prepare {name} in {root}: {problem}; make room or choose another --data_dir"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress TFDS's progress bars, prints and log lines."""
    tfds.disable_progress_bar()  # permanently: TFDS cannot say whether they were on
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)
