"""EASE [1]_: the linear item-to-item model that predicts each history from itself, in closed form.

With the Gram matrix ``G = X'X`` of histories and ``P = inv(G + ridge I)``, the weights are ``B = -P / diag(P)``, each
column divided by its own diagonal entry, and zero on the diagonal.

References
----------
.. [1] Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, equation 8.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import linalg

from replay.evaluation.baselines.matrix import histories, overlaps
from replay.evaluation.scorers import HistoryScorer
from replay.evaluation.split import Split

__all__ = ["Ease"]


@dataclass(frozen=True, slots=True)
class Ease:
    """Its one constant.

    Parameters
    ----------
    ridge : strength of the L2 penalty, in users.
    """

    is_random: ClassVar[bool] = False
    ridge: float = 1000.0

    def fit(self, split: Split, generator: np.random.Generator) -> HistoryScorer:  # noqa: ARG002 - the method's contract
        """Invert one matrix of all items by all items."""
        gram = overlaps(split).astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.ridge
        inverse = linalg.inv(gram, overwrite_a=True, assume_a="pos")
        weights = (-inverse / inverse.diagonal()).astype(np.float32)
        np.fill_diagonal(weights, 0.0)
        return HistoryScorer(histories(split), weights)
