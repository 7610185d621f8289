"""Pictures in folders or in a table, as a source of images: own images."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamese_jax.data.folder.listing import MAX_TABLE, SETS, Entry, Listing, list_pictures, write_table
from siamese_jax.data.folder.prepared import Prepared, prepare
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images, Words
from siamese_jax.results import plural
from siamese_jax.sampling import splits
from siamese_jax.specs import Folder
from siamese_jax.storage import home
from siamese_jax.storage.picture_files import FOREIGN, check_left, skipped_in_words

__all__ = ["MAX_TABLE", "Entry", "list_pictures", "load", "load_untested", "table_of"]

LEAST_READ = 0.5
"""Share of the files that must be readable; with less, the folder is not what the user thinks it is."""


def load(spec: Folder, data_dir: str | None = None, archives: str | None = None) -> Dataset:
    """Return the pictures of a folder or a table, split into sets; see `siamese_jax.data.load`."""
    del archives  # nothing was published
    words = _words(spec)
    listing = list_pictures(spec)
    pictures = prepare(listing, spec, _cache(data_dir))
    where = spec.table or spec.path
    refused = {Path(path): reason for path, reason in pictures.refused.items()}
    check_left(len(pictures.kept), refused, where, least=math.ceil(LEAST_READ * len(listing.entries)))
    entries = [listing.entries[number] for number in pictures.kept]
    images = _images(entries, pictures.images, words)
    sets = _sets(images, entries, spec)
    return Dataset(
        images, sets=sets, files=tuple(entry.path for entry in entries), notes=_notes(images, listing, pictures, sets)
    )


def table_of(dataset: Dataset) -> str:
    """Return a data set from files as a table, which `--data.table` reads. It has a digest of each picture, too."""
    images, sets = dataset.images, dataset.sets or {}
    set_of = dict.fromkeys(range(len(dataset.files)), "")
    for name, rows in sets.items():
        set_of |= dict.fromkeys(rows.tolist(), name)
    entries = [
        Entry(
            path,
            images.class_names[images.class_index[row]],
            images.group_names[images.group_index[row]],
            images.author_names[images.author[row]] if images.author[row] >= 0 else "",
            set_of[row],
        )
        for row, path in enumerate(dataset.files)
    ]
    digests = [hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest() for image in images.images]
    return write_table(entries, digests)


def load_untested(spec: Folder, data_dir: str | None = None, archives: str | None = None) -> Dataset:
    """Return the data set without the test pictures; see `siamese_jax.data.load_untested`."""
    whole = load(spec, data_dir, archives)
    assert whole.sets is not None
    rows = np.sort(np.concatenate([whole.sets[name] for name in ("train", "validation")]))
    kept = splits.take(whole.images, rows)._replace(rows=None)
    sets = {name: np.searchsorted(rows, whole.sets[name]) for name in ("train", "validation")}
    return Dataset(kept, sets=sets, files=tuple(whole.files[row] for row in rows), notes=whole.notes)


def _words(spec: Folder) -> Words:
    names = [name.strip() for name in spec.words.split(",")]
    if len(names) != len(Words._fields) or not all(names):
        raise UserError(f"data.words={spec.words} must be three words, for example group,class,author")
    return Words(*names)


def _cache(data_dir: str | None) -> Path:
    if data_dir:
        return home.expanded(data_dir) / "pictures"
    return home.cache() / "pictures"


def _images(entries: Sequence[Entry], pixels: np.ndarray, words: Words) -> Images:
    groups = sorted({entry.group for entry in entries})
    classes = sorted({(entry.group, entry.class_) for entry in entries})
    authors = sorted({entry.author for entry in entries} - {""})
    group_number, class_number = ({name: i for i, name in enumerate(names)} for names in (groups, classes))
    author_number = {"": -1} | {name: i for i, name in enumerate(authors)}
    return Images(
        images=pixels,
        class_index=np.array([class_number[entry.group, entry.class_] for entry in entries], np.int32),
        group_index=np.array([group_number[entry.group] for entry in entries], np.int32),
        author=np.array([author_number[entry.author] for entry in entries], np.int32),
        group_names=tuple(groups),
        class_names=tuple(name for _, name in classes),
        author_names=tuple(authors),
        words=words,
    )


def _sets(images: Images, entries: Sequence[Entry], spec: Folder) -> dict[str, np.ndarray]:
    """Return the rows of each set: as the table says, as the named groups say, or at random."""
    named = [entry.split for entry in entries]
    if any(named):
        part = np.array([SETS.index(name or "train") for name in named])
    elif spec.validation_groups or spec.test_groups:
        part = _part_of_groups(images, spec)
    else:
        part = splits.random_parts(images, spec.split, spec.split_seed)
    if spec.train_classes:
        classes = np.unique(images.class_index[part == 0])
        # A larger number has the classes of a smaller one, and more.
        kept = np.random.default_rng(spec.split_seed).permutation(classes)[: spec.train_classes]
        part = np.where((part == 0) & ~np.isin(images.class_index, kept), -1, part)
    return {name: np.flatnonzero(part == number) for number, name in enumerate(SETS)}


def _part_of_groups(images: Images, spec: Folder) -> np.ndarray:
    part = np.zeros(len(images.images), int)
    for number, field in ((1, "validation_groups"), (2, "test_groups")):
        names = [name.strip() for name in getattr(spec, field).split(",") if name.strip()]
        unknown = [name for name in names if name not in images.group_names]
        if unknown or not names:
            raise UserError(
                f"data.{field}={getattr(spec, field)} "
                f"{'names no group' if not names else f'has {unknown[0]}, which is not a group'}: take some of "
                f"{', '.join(images.group_names)}"
            )
        part[np.isin(images.group_index, [images.group_names.index(name) for name in names])] = number
    return part


def _notes(images: Images, listing: Listing, pictures: Prepared, sets: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Return what a user should know about the pictures before they are trained on."""
    words, sizes = images.words, np.bincount(images.class_index)
    notes = [
        f"{len(images.images):,} pictures of {len(sizes):,} {plural(words.class_)} in {len(images.group_names)} "
        f"{plural(words.group)}: "
        + ", ".join(f"{len(np.unique(images.class_index[rows])):,} for {name}" for name, rows in sets.items())
    ]
    skipped = {Path(path): f"{path} {FOREIGN}" for path in listing.foreign}
    skipped |= {Path(path): reason for path, reason in pictures.refused.items()}
    if skipped:
        notes.append(skipped_in_words(skipped))
    if alone := int((sizes == 1).sum()):
        notes.append(f"{alone:,} {plural(words.class_)} have one picture only: they are not trained or tested on")
    return tuple(notes)
