"""Verbs that use pictures: a function for each request returns the answer for programs, and the same in words."""

import fnmatch
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax import extras
from siamese_jax.command.picture_verbs import (
    CheckGallery,
    Enrol,
    Identify,
    ListGallery,
    RemoveFromGallery,
    Unpack,
    Verify,
)
from siamese_jax.command.verb import Reading, VerbRequest
from siamese_jax.data.unpack import unpack
from siamese_jax.errors import UserError
from siamese_jax.gallery import Answer, Enrolment, Gallery, answers
from siamese_jax.pretrained import Model, load_pretrained
from siamese_jax.printable import printable
from siamese_jax.storage.files import explained
from siamese_jax.storage.image_files import Picture, read_picture
from siamese_jax.storage.picture_files import check_left, read_pictures, skipped_in_words

SHOWN = 5
"""Files that are named for each remark."""


def unpack_data(request: Unpack) -> tuple[dict[str, Any], str]:
    """Write a built-in data set as a folder of pictures."""
    extras.require("data")
    written = unpack(request.source, request.folder, request.data_dir, request.archives)
    answer = {"folder": str(request.folder), **written._asdict()}
    return answer, (
        f"{request.folder}: {_count(written.pictures, 'picture')} of {_count(written.classes, 'class', 'classes')} in "
        f"{_count(written.groups, 'group')}, as GROUP/CLASS/AUTHOR.png"
    )


def enrol(request: Enrol) -> tuple[dict[str, Any], str]:
    """Put pictures into a gallery; files that cannot be used are skipped and named."""
    named = dict(_class_of_each(request))
    model = load_pretrained(request.checkpoint)
    pictures, skipped = _read_some(named, model, request.reading)
    check_left(len(pictures), skipped, " ".join(map(str, request.paths)))
    enrolments = [
        Enrolment(named[path], picture.pixels, picture.thumbnail(), str(path)) for path, picture in pictures.items()
    ]
    with Gallery.open(request.gallery, model, create=True) as gallery:
        added = gallery.enrol(enrolments)
        classes = gallery.classes()
    total = sum(classes.values())
    remarks = _remarks(pictures, model)
    answer = {
        "gallery": request.gallery,
        "enrolled": len(added),
        "already_enrolled": len(enrolments) - len(added),
        "pictures": total,
        "classes": len(classes),
        "skipped": {str(path): reason for path, reason in skipped.items()},
        "remarks": remarks,
    }
    lines = [
        f"{request.gallery}: {_count(len(added), 'picture')} enrolled; it has {_count(total, 'picture')} of "
        f"{_count(len(classes), 'class', 'classes')}"
    ]
    if len(added) < len(enrolments):
        lines.append(f"{_count(len(enrolments) - len(added), 'picture')} had been enrolled before")
    lines += [skipped_in_words(skipped)] if skipped else []
    return answer, "\n".join([*lines, *_in_words(remarks)])


def identify(request: Identify) -> tuple[dict[str, Any], str]:
    """Say which enrolled class each picture shows; a picture that cannot be used has a reason in place of an answer."""
    model = load_pretrained(request.checkpoint)
    with Gallery.open(request.gallery, model) as gallery:
        pictures, skipped = _read_some(request.paths, model, request.reading)
        if not pictures:
            raise UserError(skipped_in_words(skipped))
        embeddings = model.embed(np.stack([picture.pixels for picture in pictures.values()]))
        found = dict(zip(pictures, gallery.identify(embeddings, request.top, request.fpir), strict=True))
        search = gallery.search
    remarks = _remarks(pictures, model)
    answer = {
        "gallery": request.gallery,
        "search": search,
        "fpir": request.fpir,
        "pictures": [answers.identified(str(path), given) for path, given in found.items()],
        "skipped": {str(path): reason for path, reason in skipped.items()},
        "remarks": remarks,
    }
    lines = [line for path, given in found.items() for line in _answer_in_words(path, given)]
    if why := next((given.why for given in found.values() if given.why), ""):
        lines.append(why)
    if any(given.unknown for given in found.values()):
        lines.append(
            f"unknown: the best class is not near enough for --fpir={request.fpir:g}, the share of pictures of other "
            "classes that may be accepted"
        )
    lines += [skipped_in_words(skipped)] if skipped else []
    return answer, "\n".join([*lines, *_in_words(remarks)])


def verify(request: Verify) -> tuple[dict[str, Any], str]:
    """Say whether two pictures show the same class."""
    answers.check_prior(request.prior)
    model = load_pretrained(request.checkpoint)
    paths, reading = (request.first, request.second), _reading(request.reading, model)
    pictures = [read_picture(path, model.side, model.channels, *reading) for path in paths]
    first, second = model.embed(np.stack([picture.pixels for picture in pictures]))
    remarks = _remarks(dict(zip(paths, pictures, strict=True)), model)
    answer = {**answers.verified(model, first, second, request.prior), "remarks": remarks}
    rules, probability = model.decisions, answer["probability"]
    verdict = "same" if answer["same"] else "different"
    chance = "" if probability is None else f", p(same) = {probability:.1%}"
    side = "at or above" if answer["same"] else "below"
    lines = [f"{verdict}{chance}", f"the score {answer['score']:.2f} is {side} the threshold {answer['threshold']:.2f}"]
    if rules is None:
        lines.append(
            f"the network {model.card.name!r} has no calibrated probabilities: its threshold fits validation pairs"
        )
    elif request.prior == 0.5:
        pairs = rules.measured.pairs
        lines.append(
            f"on {pairs.pairs:,} test pairs {pairs.false_match_rate:.1%} of different ones were called same, and "
            f"{pairs.false_non_match_rate:.1%} of same ones different"
        )
    return answer, "\n".join([*lines, *_in_words(remarks)])


def list_gallery(request: ListGallery) -> tuple[dict[str, Any], str]:
    """Show the classes of a gallery; for programs every picture, too."""
    with Gallery.open(request.gallery, None) as gallery:
        classes, pictures, network = gallery.classes(), gallery.pictures(), gallery.about.network
    answer = {
        "gallery": request.gallery,
        "network": network,
        "classes": classes,
        "pictures": [picture._asdict() for picture in pictures],
    }
    shown = {printable(name): count for name, count in classes.items()}
    width = max(map(len, shown), default=0)
    lines = [f"{name:<{width}}  {count}" for name, count in shown.items()]
    total = (
        f"{_count(len(pictures), 'picture')} of {_count(len(classes), 'class', 'classes')}, for the network {network!r}"
    )
    return answer, "\n".join([*lines, total])


def remove_from_gallery(request: RemoveFromGallery) -> tuple[dict[str, Any], str]:
    """Remove a class or a picture."""
    with Gallery.open(request.gallery, None) as gallery:
        removed, left = gallery.remove(class_name=request.class_name, picture=request.picture), len(gallery)
    answer = {"gallery": request.gallery, "removed": removed, "pictures": left}
    return answer, f"{_count(removed, 'picture')} removed; {request.gallery} has {_count(left, 'picture')}"


def check_gallery(request: CheckGallery) -> tuple[dict[str, Any], str]:
    """Look for damage."""
    model = None if request.checkpoint is None else load_pretrained(request.checkpoint)
    with Gallery.open(request.gallery, model) as gallery:
        findings = gallery.check()
    answer = {"gallery": request.gallery, **findings._asdict()}
    found = f"{_count(len(findings.problems), 'problem')}" if findings.problems else "no problems"
    looked = (
        f"{_count(findings.pictures, 'picture')} of {_count(findings.classes, 'class', 'classes')} checked: {found}"
    )
    return answer, "\n".join([*map(printable, findings.problems), looked])


PICTURE_JOBS: Mapping[type[VerbRequest], Any] = {
    Unpack: unpack_data,
    Enrol: enrol,
    Identify: identify,
    Verify: verify,
    ListGallery: list_gallery,
    RemoveFromGallery: remove_from_gallery,
    CheckGallery: check_gallery,
}
"""The function that does what a request asks."""


def _class_of_each(request: Enrol) -> Iterator[tuple[Path, str]]:
    """Yield the files to enrol, and their classes: the given one, else that of their folder."""
    for root in request.paths:
        if root.is_dir():
            for path in _files(root):
                if fnmatch.fnmatch(path.name, request.only):
                    folder = path.parent.relative_to(root).as_posix()
                    yield path, request.class_name or (path.stem if folder == "." else folder)
        elif request.class_name is None:
            raise UserError(
                f"{root} is not a folder, so its class is not known: add --class=NAME, or give a folder of classes"
            )
        else:
            yield root, request.class_name


def _files(root: Path) -> Iterator[Path]:
    """Yield the files of a folder and its folders, in order; hidden folders are left out."""

    def refuse(error: OSError) -> None:
        raise error

    with explained(root, "read"):
        for folder, folders, files in os.walk(root, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(files))


def _read_some(
    paths: Sequence[Path] | Mapping[Path, str], model: Model, reading: Reading
) -> tuple[dict[Path, Picture], dict[Path, str]]:
    """Return the pictures that could be read, and the reasons for the others."""
    pictures, skipped = {}, {}
    for path, found in read_pictures(paths, model.side, model.channels, *_reading(reading, model)):
        if isinstance(found, str):
            skipped[path] = found
        else:
            pictures[path] = found
    return pictures, skipped


def _reading(reading: Reading, model: Model) -> tuple[str, str]:
    """Return `fit` and `polarity` of `read_image`: those of the flags, else those of training."""
    return reading.fit or model.fit, reading.polarity or model.polarity


def _remarks(pictures: Mapping[Path, Picture], model: Model) -> dict[str, list[str]]:
    """Return the remarks on each picture, by its path; pictures without remarks are left out."""
    found = zip(pictures, answers.remarks(list(pictures.values()), model), strict=True)
    return {str(path): said for path, said in found if said}


def _in_words(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each remark: the pictures that it is on, or how many there are."""
    counts = Counter(remark for said in remarks.values() for remark in said)
    lines = []
    for remark, count in counts.most_common():
        on = [path for path, said in remarks.items() if remark in said]
        lines.append(f"{', '.join(map(printable, on)) if count <= SHOWN else _count(count, 'picture')}: {remark}")
    return lines


def _answer_in_words(path: Path, answer: Answer) -> Iterator[str]:
    """Yield the lines for one picture: the class, or "unknown", then the classes that it is most like."""
    names = [printable(match.class_name) for match in answer.matches]
    yield f"{printable(str(path))}: {'unknown; if it is one of these classes:' if answer.unknown else names[0]}"
    width = max(map(len, names))
    for name, match in zip(names, answer.matches, strict=True):
        probable = f"score {match.score:.2f}" if match.probability is None else f"{match.probability:.1%}"
        yield f"    {name:<{width}}  {probable:>6}"


def _count(number: int, one: str, many: str = "") -> str:
    """Return a number of things in words."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
