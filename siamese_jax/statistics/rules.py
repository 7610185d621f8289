"""Decisions by rules that were fitted on validation: probabilities, "unknown", sets of classes, and a warning."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.results import FPIR, Decisions, GalleryDecisions
from siamese_jax.statistics import open_set
from siamese_jax.statistics.calibration import Platt, choice_probabilities
from siamese_jax.statistics.familiarity import Familiar


@dataclass(frozen=True)
class DecisionRules:
    """What a trained network's scores and images mean.

    Scores are those of `Model.scores`. The rules were measured with one image per enrolled class. With several, whose
    scores are averaged, they are on the safe side: fewer unknown queries are accepted, sets hold the right class more
    often, and probabilities are too small (tried with the packaged network, on validation).

    Attributes:
      measured: the numbers that the rules apply, with what they reached on test.
    """

    measured: Decisions

    def p_same(self, scores: np.ndarray, prior: float = 0.5) -> np.ndarray:
        """Return the probability that pairs show one class.

        Args:
          scores: of any shape.
          prior: the share of pairs that are "same" before they are seen, in (0, 1).

        Returns:
          float64 of the shape of `scores`.

        Raises:
          UserError: the prior is out of range.
        """
        return self._platt.probability(scores, prior)

    def same_threshold(self, prior: float = 0.5) -> float:
        """Return the score from which p(same) is ½ or more; `prior` as in `p_same`."""
        return self._platt.threshold(prior)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of each class, if the query is of one of them.

        Args:
          scores: [Q, N], N enrolled classes, 1 or more.

        Returns:
          float64 [Q, N], whose rows add up to 1.
        """
        log_temperature = self._at_size(np.shape(scores)[1], lambda one: math.log(one.temperature))
        # Far beyond the sizes that were measured, the line through them leaves the range of numbers.
        return choice_probabilities(scores, math.exp(min(max(log_temperature, -700.0), 700.0)))

    def threshold(self, classes: int, fpir: float = FPIR) -> float:
        """Return the score from which the best class of a query is accepted; below it the answer is "unknown".

        Args:
          classes: N, the number of enrolled classes, 1 or more.
          fpir: the false-positive identification rate: how often a query is accepted whose class is not enrolled.
            Between the rates that were measured, thresholds are interpolated in log(fpir).

        Raises:
          UserError: `classes` or `fpir` is out of range.
        """
        rates = [one.fpir for one in self.measured.galleries[0].open_set]
        if not min(rates) <= fpir <= max(rates):
            raise UserError(
                f"fpir={fpir} is out of range: thresholds were measured from {min(rates)} to {max(rates)}; give a rate "
                f"between them, for example {max(rates)}"
            )
        thresholds = [self._at_size(classes, lambda one, i=i: one.open_set[i].threshold) for i in range(len(rates))]
        if fpir in rates:
            return thresholds[rates.index(fpir)]
        if not np.isfinite(thresholds).all():
            return math.inf
        return float(np.interp(math.log(fpir), np.log(rates), thresholds))

    def accepted(self, scores: np.ndarray, fpir: float = FPIR) -> np.ndarray:
        """Return whether the best class of each query is accepted, bool [Q].

        Args:
          scores: [Q, N], N enrolled classes, 1 or more.
          fpir: as in `threshold`.
        """
        return np.asarray(scores).max(axis=1) >= self.threshold(np.shape(scores)[1], fpir)

    def prediction_set(self, scores: np.ndarray, coverage: float = 0.95) -> np.ndarray:
        """Return sets of classes that hold the right one, if it is enrolled, as often as asked. No set is empty.

        Args:
          scores: [Q, N], N enrolled classes, 1 or more.
          coverage: one of those that were measured.

        Returns:
          bool [Q, N].

        Raises:
          UserError: that coverage was not measured.
        """
        measured = [one.coverage for one in self.measured.galleries[0].prediction_sets]
        if coverage not in measured:
            raise UserError(
                f"coverage={coverage} was not measured: give {' or '.join(map(str, measured))}, or measure the network "
                "again with others"
            )
        place = measured.index(coverage)
        gap = self._at_size(np.shape(scores)[1], lambda one: one.prediction_sets[place].gap)
        return open_set.prediction_set(scores, max(0.0, gap))

    def unfamiliarity(self, images: np.ndarray) -> np.ndarray:
        """Return how far images, uint8 [N, H, W, C], are from those of validation: float64 [N], 0 or more."""
        known = self.measured.familiarity
        return Familiar(np.asarray(known.mean), np.asarray(known.precision)).distance(images)

    def unfamiliar(self, images: np.ndarray) -> np.ndarray:
        """Return which images, uint8 [N, H, W, C], are unlike what the network has seen: bool [N]."""
        threshold = self.measured.familiarity.threshold
        return self.unfamiliarity(images) > (math.inf if threshold is None else threshold)

    @property
    def _platt(self) -> Platt:
        return Platt(self.measured.pairs.slope, self.measured.pairs.intercept)

    def _at_size(self, classes: int, value: Callable[[GalleryDecisions], float | None]) -> float:
        """Return a measured value for galleries of N classes; infinity if it is None (no finite one) for all sizes."""
        if classes < 1:
            raise UserError(f"a gallery of {classes} classes has nothing to choose from: enrol one class or more")
        found = [(one.classes, number) for one in self.measured.galleries if (number := value(one)) is not None]
        return open_set.at_size(classes, *zip(*found, strict=True)) if found else math.inf
