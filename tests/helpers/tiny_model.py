"""A tiny network to use, as `load_pretrained` returns it, that nobody has trained, and pictures for it."""

import dataclasses

import numpy as np
from example_run import with_data
from tiny import SIDE, make_dataset, make_experiment, make_params

from siamese_jax.gallery import Enrolment
from siamese_jax.pretrained import Model
from siamese_jax.report.model_card import make_card
from siamese_jax.results import ModelCard
from siamese_jax.specs import Experiment, WeightedL1, with_value

EXPERIMENT = with_value(make_experiment(), "data.side", SIDE)
IMAGES = make_dataset().images.images
"""[600, 12, 12, 1]; 20 of each class."""


def card(name: str = "tiny", side: int = SIDE) -> ModelCard:
    """A card without decisions."""
    results = dataclasses.replace(with_data(image_side=side), decisions=None)
    return make_card(name, EXPERIMENT, results, "0123456789")


def make_model(seed: int = 0, experiment: Experiment = EXPERIMENT, decisions: object = None, side: int = SIDE) -> Model:
    """A network whose parameters depend on the seed. All its α are negative: different images have low scores."""
    params = make_params(experiment.network, (side, side, 1), seed)
    if isinstance(experiment.network.energy, WeightedL1):
        params["out"]["weight"] = -abs(params["out"]["weight"])
    model = Model(experiment, params, card(f"tiny{seed}", side))
    return dataclasses.replace(model) if decisions is None else _WithDecisions(decisions, model)


class _WithDecisions(Model):
    """A model whose decisions are given."""

    def __init__(self, decisions: object, model: Model):
        super().__init__(model.experiment, model.params, model.card)
        object.__setattr__(self, "_decisions", decisions)

    @property
    def decisions(self):
        """The given rules."""
        return self._decisions


def picture(index: int, class_name: str | None = None, source: str = "") -> Enrolment:
    """The image with an index, of the class "c0", "c1", … unless another is given."""
    return Enrolment(class_name or f"c{index // 20}", IMAGES[index], b"", source or f"folder/{index}.png")


def embedded(model: Model, *indices: int) -> np.ndarray:
    """Embeddings [Q, D] of the images with these indices."""
    return model.embed(IMAGES[list(indices)])


WRITER = """
import sys
import numpy as np
from tiny_model import make_model
from siamese_jax.gallery import Enrolment, Gallery
rng = np.random.default_rng(ord(sys.argv[2]))
with Gallery.open(sys.argv[1], make_model(), create=True) as gallery:
    for number in range(100_000):
        images = rng.integers(0, 256, (40, 12, 12, 1), np.uint8)
        added = gallery.enrol([Enrolment(f"{sys.argv[2]}-{number}", image) for image in images])
        print(*(one.id for one in added), flush=True)
"""
"""A program that enrols 40 pictures at a time into the gallery argv[1], and prints the ids that were acknowledged."""
