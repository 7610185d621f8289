"""reading.json: how a picture becomes what the network takes, and how its scores become decisions."""

from typing import Any

from siamese_jax.pretrained import Model
from siamese_jax.results import Decisions

FORMAT = 1
"""Version of reading.json."""
FITS = {
    "pad": "a picture that is not square is centred on white paper",
    "crop": "of a picture that is not square the square in the middle is taken",
    "squash": "a picture that is not square is stretched",
}
"""How a page becomes a square, by the field `data.fit`. Drawings of the built-in sources are square."""


def reading(model: Model) -> dict[str, Any]:
    """Return what a program needs to know, beside the files of the network, in order to use it."""
    height, width, channels = model.experiment.data.image_shape
    measured, fit = model.card.results.decisions, model.fit
    return {
        "format": FORMAT,
        "name": model.card.name,
        "fingerprint": model.fingerprint,
        "picture": {
            "height": height,
            "width": width,
            "channels": channels,
            "layout": "NHWC",
            "dtype": "uint8",
            "polarity": "0 is white paper, 255 is full ink",
            "value": "255 - lightness, where lightness is (19595 R + 38470 G + 7471 B + 32768) >> 16"
            if channels == 1
            else "255 - R, 255 - G, 255 - B",
            "fit": fit,
            "resize": f"{FITS[fit]}; then each new pixel is the mean of the area that it covers",
            "read_image": {"fit": fit, "polarity": model.polarity},
        },
        "embedding_size": model.embedding_size,
        "scores": {
            "meaning": "logits of 'same', for ranking; a sigmoid of them is not a probability",
            "combine": model.experiment.evaluation.combine,
            "same_from": model.threshold,
        },
        "decisions": None if measured is None else decisions(measured),
    }


def decisions(measured: Decisions) -> dict[str, Any]:
    """Return the rules that were fitted on validation; between two sizes of galleries they are linear in the logarithm.

    A number that is None is infinite.
    """
    known = measured.familiarity
    return {
        "same": {
            "probability": "1 / (1 + exp(-(slope * score + intercept + log(prior / (1 - prior)))))",
            "slope": measured.pairs.slope,
            "intercept": measured.pairs.intercept,
            "threshold_at_prior_half": measured.pairs.threshold,
        },
        "galleries": [
            {
                "classes": one.classes,
                "temperature": one.temperature,
                "thresholds_by_fpir": {f"{rule.fpir:g}": rule.threshold for rule in one.open_set},
                "gaps_by_coverage": {f"{rule.coverage:g}": rule.gap for rule in one.prediction_sets},
            }
            for one in measured.galleries
        ],
        "familiarity": {"mean": known.mean, "precision": known.precision, "threshold": known.threshold},
    }
