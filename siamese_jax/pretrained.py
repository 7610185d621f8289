"""Trained networks to use: those that come with the package, any folder that `write` made, and the folder of a run.

A packaged network holds experiment.json, params.npz, card.json and README.md. The card says what the network was
trained on, with which seed and commit, under which licence, and what it reaches. README.md is the card for people.
A run that was trained and evaluated can be used in the same way.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax import Array

from siamese_jax.data import source_of
from siamese_jax.devices import can_run, check_process, keep_compiled
from siamese_jax.errors import UserError
from siamese_jax.network.siamese import Params, build, init_params
from siamese_jax.report.model_card import card_text
from siamese_jax.results import ModelCard, from_json, to_json
from siamese_jax.specs import Experiment, NetSpec, to_nested
from siamese_jax.statistics.rules import DecisionRules
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import read_experiment, write_experiment
from siamese_jax.storage.image_files import Source, read_image
from siamese_jax.storage.parameters import read_params, write_params
from siamese_jax.storage.results_file import read_results
from siamese_jax.training.fit import read_fitted

FOLDER = Path(__file__).parent / "weights"

FEW, MANY = 4, 32
"""Images in a batch: FEW where there are no more, else MANY. So each network is compiled at most twice.

On a CPU, batches of 32 need the least time per image, and larger ones do not fit its cache: for the network `best` on
2 cores 0.9 ms, with batches of 4 it is 1.6 ms, with 256 it is 1.4 ms.
"""
QUERIES = 8
"""Queries that are compared at a time; one query alone takes no room for others."""
AT_ONCE = 1 << 24
"""Numbers in the differences of embeddings that are compared at a time: 64 MiB."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network to use: read images, embed them, compare the embeddings.

    It can be pickled and copied. It is compiled when it is first used.

    Attributes:
      experiment: What was trained, on which data.
      params: The parameters, nested dicts of arrays.
      card: The model card: data, licence and results.
    """

    experiment: Experiment
    params: Params
    card: ModelCard

    def __repr__(self) -> str:
        return f"Model({self.card.name!r}, side={self.side}, channels={self.channels})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled. Arrays of JAX would start JAX when they are restored, even where it cannot run."""
        return self.__dict__ | {"params": jax.tree.map(np.asarray, self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled model. Where JAX cannot run, the model still reads images."""
        self.__dict__.update(state)
        if can_run():
            self.__dict__["params"] = jax.tree.map(jnp.asarray, self.params)

    @property
    def side(self) -> int:
        """Height and width of its images in pixels."""
        return self.experiment.data.image_shape[0]

    @property
    def channels(self) -> int:
        """Channels of its images: 1 is grey."""
        return self.experiment.data.image_shape[2]

    @property
    def fit(self) -> str:
        """How pictures became square in training, as in `read_image`; "pad" for the built-in sources."""
        return getattr(self.experiment.data, "fit", "pad")

    @property
    def polarity(self) -> str:
        """How ink was told from paper in training, as in `read_image`; "auto" for the built-in sources."""
        return getattr(self.experiment.data, "polarity", "auto")

    @property
    def threshold(self) -> float:
        """Score from which two images are called same, a logit. It is the best one on validation pairs."""
        assert self.card.results.verification is not None  # `read` has checked it
        return self.card.results.verification.test.threshold

    @functools.cached_property
    def decisions(self) -> DecisionRules | None:
        """Calibrated probabilities, "unknown", sets of classes, and a warning; None if the card holds none."""
        measured = self.card.results.decisions
        return DecisionRules(measured) if measured else None

    @functools.cached_property
    def embedding_size(self) -> int:
        """Numbers in an embedding, D."""
        image = jax.ShapeDtypeStruct((1, self.side, self.side, self.channels), jnp.uint8)
        return jax.eval_shape(functools.partial(_embed, self.experiment.network), self.params, image).shape[1]

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what determines an embedding and its score: the network, its images' size and its parameters.

        64 hexadecimal digits. Networks with different fingerprints must not share embeddings.
        """
        described = to_nested(self.experiment.network) | {"side": self.side, "channels": self.channels}
        found = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        for name, array in sorted(flatten_dict(self.params, sep="/").items()):
            values = np.asarray(array)
            found.update(f"{name} {values.dtype.str} {values.shape}".encode())
            found.update(values.tobytes())
        return found.hexdigest()

    def read(self, source: Source, fit: str | None = None, polarity: str | None = None) -> np.ndarray:
        """Read one image as `embed` takes it, uint8 [side, side, channels]; see `siamese_jax.read_image`.

        None for `fit` or `polarity` reads as training did.
        """
        return read_image(source, self.side, self.channels, fit or self.fit, polarity or self.polarity)

    def embed(self, images: np.ndarray, batch: int | None = None) -> np.ndarray:
        """Embed images. Any number takes bounded memory and compiles at most two programs.

        Args:
          images: uint8 [N, side, side, channels], 0 for paper and 255 for full ink. With one channel,
            [N, side, side] is accepted, too.
          batch: Images that are embedded at a time, rounded up to a power of two, so that few programs are compiled.
            None: FEW or MANY.

        Returns:
          float32 [N, D].

        Raises:
          UserError: The images have another shape or dtype, or JAX cannot run in this process.
        """
        check_process()
        images = self._checked(images)
        if not len(images):
            return np.zeros((0, self.embedding_size), np.float32)
        size = 1 << (batch - 1).bit_length() if batch else FEW if len(images) <= FEW else MANY
        embed = functools.partial(_embed, self.experiment.network, self.params)
        return np.concatenate([np.asarray(embed(batch)) for batch in _batches(images, size)])[: len(images)]

    def scores(self, queries: np.ndarray, supports: np.ndarray) -> np.ndarray:
        """Compare every query with every support.

        A score is a logit of "same": the higher, the more likely the same class. It is for ranking, and for comparison
        with `threshold`. Its sigmoid is not a calibrated probability; `decisions` gives probabilities.

        Args:
          queries: Embeddings [Q, D].
          supports: Embeddings [N, D], or [N, k, D] with k examples of each class. These are combined as the field
            `evaluation.combine` of the experiment says.

        Returns:
          float32 [Q, N].

        Raises:
          UserError: The embeddings have other shapes, or JAX cannot run in this process.
        """
        check_process()
        queries, supports = np.asarray(queries, np.float32), np.asarray(supports, np.float32)
        length = self.embedding_size
        if (
            queries.ndim != 2
            or supports.ndim not in (2, 3)
            or {queries.shape[-1], supports.shape[-1]} != {length}
            or supports.shape[1] == 0
        ):
            raise UserError(
                f"scores cannot compare queries {list(queries.shape)} with supports {list(supports.shape)}: "
                f"give queries [Q, {length}] and supports [N, {length}] or [N, k, {length}]"
            )
        shape, combine = (len(queries), len(supports)), self.experiment.evaluation.combine
        if 0 in shape:
            return np.zeros(shape, np.float32)
        if supports.ndim == 3 and combine == "mean_embedding":
            supports = supports.mean(axis=1)
        supports = supports.reshape(-1, length)
        size = _support_batch(len(supports), length)
        score = functools.partial(_score, self.experiment.network, self.params)
        found = []
        for some in _batches(queries, 1 if len(queries) == 1 else QUERIES):
            parts = [np.asarray(score(part[:, None], some)) for part in _batches(supports, size)]
            # Scores are combined here, so that no program is compiled for each number of examples.
            of_examples = np.concatenate(parts, axis=1)[:, : len(supports)].reshape(len(some), shape[1], -1)
            found.append(of_examples.max(axis=2) if combine == "best_score" else of_examples.mean(axis=2))
        return np.concatenate(found)[: shape[0]]

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """Return images as [N, side, side, channels]; UserError if they have another shape or dtype."""
        given, one = np.asarray(images), self.experiment.data.image_shape
        batch = given[..., None] if given.ndim == 3 and self.channels == 1 else given
        if batch.dtype == np.uint8 and batch.shape[1:] == one:
            return batch
        hint = "; this is one image: give images[None], or stack several with np.stack"
        raise UserError(
            f"embed takes uint8 [N, {', '.join(map(str, one))}], 0 for paper and 255 for full ink, not {given.dtype} "
            f"{list(given.shape)}{hint if given.shape in (one, one[:2]) else ''}"
        )


@functools.partial(jax.jit, static_argnums=0)
def _embed(spec: NetSpec, params: Params, images: Array) -> Array:
    return build(spec).embed_images(params, images)


@functools.partial(jax.jit, static_argnums=0)
def _score(spec: NetSpec, params: Params, supports: Array, queries: Array) -> Array:
    return build(spec).trial_logits(params, supports, queries)


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield rows `size` at a time, the last ones filled up with zeros."""
    for first in range(0, len(rows), size):
        batch = rows[first : first + size]
        missing = size - len(batch)
        yield np.concatenate([batch, np.zeros((missing, *rows.shape[1:]), rows.dtype)]) if missing else batch


def _support_batch(count: int, numbers: int) -> int:
    """Return how many supports are compared at a time: a power of two, so that few programs are compiled.

    Args:
      count: Supports in all.
      numbers: Numbers in one embedding.
    """
    most = max(1, AT_ONCE // (QUERIES * numbers))
    return 1 << min((count - 1).bit_length(), most.bit_length() - 1)


def load_pretrained(name: str | os.PathLike[str]) -> Model:
    """Load a trained network to use.

    JAX then keeps the compiled programs of this process on disk, so that the next process starts faster. With
    JAX_ENABLE_COMPILATION_CACHE=false in the environment it does not; see `siamese_jax.devices.keep_compiled`.

    Args:
      name: "best", which comes with the package; a folder with a model card; or the workdir of a run that was trained
        and evaluated.

    Raises:
      UserError: There is no such network, or its files are damaged. The message names them.
    """
    keep_compiled()
    return read(name)


def folder_of(name: str | os.PathLike[str]) -> Path:
    """Return the folder of a network; UserError if there is none.

    A bare name means a packaged network; write `./best` for a folder of that name.
    """
    name = os.fspath(name)
    packaged = [] if os.sep in name else [FOLDER / name]
    for folder in (*packaged, Path(name)):
        if os.path.exists(folder / "card.json") or os.path.exists(folder / "experiment.json"):
            return folder
    there = [path.parent.name for path in sorted(FOLDER.glob("*/card.json"))]
    raise UserError(f"{name!r} is not a trained network: use {', '.join(there)}, or the folder of a run")


def read(name: str | os.PathLike[str]) -> Model:
    """Read a network that is named as in `folder_of`; UserError if a file is missing or damaged."""
    check_process()
    folder = folder_of(name)
    experiment, path = read_experiment(folder), folder / "card.json"
    if not os.path.lexists(path):
        fitted = read_fitted(experiment, folder)
        if fitted is None:
            raise UserError(f"{folder} holds no checkpoint yet: train the run first")
        return of_run(experiment, fitted.params, folder)
    card = from_json(ModelCard, files.read_json(path), str(path), "restore it")
    if card.results.training is None or card.results.verification is None:
        raise UserError(f"{path} describes no trained network, its training or verification is null: restore it")
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), experiment.network, experiment.data.image_shape))
    params = jax.tree.map(jnp.asarray, read_params(folder / "params.npz", shapes))
    return Model(experiment, params, card)


def of_run(experiment: Experiment, params: Params, workdir: Path) -> Model:
    """Return the network of a run that was evaluated.

    Args:
      experiment: As it was trained.
      params: Its parameters.
      workdir: Where the results of its evaluation are.

    Raises:
      UserError: The run was not evaluated.
    """
    results = read_results(workdir)
    if results.training is None or results.verification is None:
        raise UserError(f"{workdir} holds no trained network: give the folder of a training run")
    licence = source_of(experiment.data.name).licence or "That of the training images."
    card = ModelCard(name=workdir.name, summary=experiment.summary, licence=licence, commit="", results=results)
    return Model(experiment, params, card)


def write(folder: Path, experiment: Experiment, params: Params, card: ModelCard) -> None:
    """Write a folder that `read` reads; `card` as `make_card` returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_experiment(folder, experiment)
    write_params(folder / "params.npz", params)
    write_card(folder, card, experiment.data.image_shape[2])


def write_card(folder: Path, card: ModelCard, channels: int) -> None:
    """Write the card of a network whose images have so many channels, for programs and for people."""
    files.write_json(folder / "card.json", to_json(card))
    files.write_text(folder / "README.md", card_text(card, channels))
