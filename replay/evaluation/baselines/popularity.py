"""The most popular first, for everybody: what any personalised method must beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from model.metrics.ranking import half_ranks
from replay.evaluation.scorers import FixedScorer
from replay.evaluation.split import Split

__all__ = ["MostPopular", "ranks_with_ties_won"]


@dataclass(frozen=True, slots=True)
class MostPopular:
    """Scores an item by its number of users."""

    is_random: ClassVar[bool] = False

    def fit(self, split: Split, generator: np.random.Generator) -> FixedScorer:  # noqa: ARG002 - the method's contract
        """Count."""
        return FixedScorer(split.owners().astype(np.float32))


def ranks_with_ties_won(split: Split) -> NDArray[np.float64]:
    """Return the ranks among the negatives with the held-out item before its equals: float64 (U,).

    The published 0.454 / 0.254 places it so; half-rank ties cost popularity 0.002, and a network, which has no ties,
    nothing.
    """
    counts = split.owners()[split.candidates]
    return half_ranks(counts[:, 0] + 0.5, np.where(split.is_own_negative(), 0, counts[:, 1:]))
