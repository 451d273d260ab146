"""Item-based nearest neighbours [1]_ with cosine similarity and shrinkage.

``similarity(i, j) = both(i, j) / (sqrt(n_i n_j) + shrinkage)``, where ``n`` counts users; an item is scored by the sum
of its similarities to those of its ``neighbours`` that are in the user's history.

References
----------
.. [1] Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001.
.. [2] Ferrari Dacrema et al., "Are we really making much progress?", RecSys 2019 (shrinkage, and 0.660 / 0.390 tuned
   on the NCF split).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from replay.evaluation.baselines.matrix import histories, overlaps
from replay.evaluation.scorers import HistoryScorer
from replay.evaluation.split import Split

__all__ = ["ItemKNN"]


@dataclass(frozen=True, slots=True)
class ItemKNN:
    """Its constants.

    Parameters
    ----------
    neighbours : items that each item is compared with.
    shrinkage : added to the denominator, so that a few common users do not make two items alike.
    """

    is_random: ClassVar[bool] = False
    neighbours: int = 50
    shrinkage: float = 10.0

    def fit(self, split: Split, generator: np.random.Generator) -> HistoryScorer:  # noqa: ARG002 - the method's contract
        """Compare all pairs of items."""
        both = overlaps(split)  # (N, N)
        norms = np.sqrt(both.diagonal())
        alike = both / (np.outer(norms, norms) + np.float32(self.shrinkage)).clip(min=1.0e-12)
        np.fill_diagonal(alike, 0.0)
        if self.neighbours < len(alike):
            least = np.partition(alike, -self.neighbours, axis=1)[:, -self.neighbours]
            alike[alike < least[:, None]] = 0.0  # row i keeps the neighbours of item i
        return HistoryScorer(histories(split), np.ascontiguousarray(alike.T))
