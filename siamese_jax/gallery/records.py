"""What a gallery takes, keeps and answers."""

from typing import NamedTuple

import numpy as np


class Enrolment(NamedTuple):
    """One picture to enrol.

    Attributes:
      class_name: The class that it shows, 1 to 200 printable characters.
      image: uint8 [side, side, C] as `Model.read` returns it: 0 for paper, 255 for full ink.
      thumbnail: A PNG file for people, at most 64 KiB. If it is empty, the image itself is shown to them.
      source: The path of the picture's file, or other words that say where it is from.
    """

    class_name: str
    image: np.ndarray
    thumbnail: bytes = b""
    source: str = ""


class Picture(NamedTuple):
    """One enrolled picture. `enrolled` is a time in UTC, for example "2026-11-26T09:30:00Z"."""

    id: int
    class_name: str
    source: str
    enrolled: str


class Match(NamedTuple):
    """A class that a query may be of.

    Attributes:
      class_name: The class.
      score: The logit of "same". Several pictures of a class are combined as `evaluation.combine` says.
      probability: That the query is of this class, given that its class is enrolled. None if the network has no
        measured decisions.
      picture: The id of the picture of this class with the highest score.
    """

    class_name: str
    score: float
    probability: float | None
    picture: int


class Answer(NamedTuple):
    """What a gallery says about one query.

    Attributes:
      matches: The most likely classes, best first.
      unknown: Whether the query is of none of the enrolled classes. None if that cannot be decided.
      threshold: A query is unknown if its best score is below it. It depends on the number of enrolled classes.
      why: Why there is no decision, one sentence; "" if there is one.
    """

    matches: tuple[Match, ...]
    unknown: bool | None
    threshold: float | None
    why: str


class Findings(NamedTuple):
    """What `Gallery.check` found. Each problem is a sentence; there are none if all is well."""

    pictures: int
    classes: int
    problems: tuple[str, ...]


class About(NamedTuple):
    """The network whose embeddings a gallery keeps.

    Attributes:
      network: Its name, for people.
      fingerprint: `Model.fingerprint`, 64 hexadecimal digits.
      embedding_size: Numbers in an embedding, D.
    """

    network: str
    fingerprint: str
    embedding_size: int


class Row(NamedTuple):
    """A picture as it is stored.

    Attributes:
      class_name: The class.
      source: Where it is from.
      digest: Of the pixels of `image`; equal pictures have equal digests.
      embedding: float32 [D].
      image: What the network saw, a PNG file of dark ink on light paper.
      thumbnail: A PNG file, or nothing.
    """

    class_name: str
    source: str
    digest: bytes
    embedding: np.ndarray
    image: bytes
    thumbnail: bytes


class Embeddings(NamedTuple):
    """Embeddings of enrolled pictures: ids int64 [N], names of their classes, and float32 [N, D]."""

    ids: np.ndarray
    names: list[str]
    values: np.ndarray
