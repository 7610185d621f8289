"""What was exported, as functions, whatever the format: so that all formats are compared with JAX in one way."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Exported(NamedTuple):
    """A network that was read back from its files.

    Attributes:
      embed: As `Model.embed`: uint8 [N, H, W, C] -> float32 [N, D].
      scores: As `Model.scores`: float32 [Q, D] and [N, k, D] -> float32 [Q, N].
      runtime: What computes it, with its version.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    scores: Callable[[np.ndarray, np.ndarray], np.ndarray]
    runtime: str
