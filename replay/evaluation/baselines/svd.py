"""Truncated singular value decomposition of who touched what, untouched counted as zero: PureSVD [1]_.

References
----------
.. [1] Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-N recommendation tasks", RecSys 2010.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_matrix
from sklearn import decomposition

from replay.evaluation.baselines.matrix import interactions
from replay.evaluation.scorers import FactorScorer
from replay.evaluation.split import Split

__all__ = ["TruncatedSVD"]


@dataclass(frozen=True, slots=True)
class TruncatedSVD:
    """Its one constant.

    Parameters
    ----------
    factors : singular values that are kept, at most one less than there are items.
    """

    is_random: ClassVar[bool] = True
    factors: int = 64

    def fit(self, split: Split, generator: np.random.Generator) -> FactorScorer:
        """Decompose."""
        touched = csr_matrix(interactions(split))
        solver = decomposition.TruncatedSVD(
            min(self.factors, min(touched.shape) - 1), random_state=int(generator.integers(2**31))
        )
        with np.errstate(divide="ignore", invalid="ignore"):  # by a variance of zero, where all users are alike
            solver.fit(touched)
        return FactorScorer(
            solver.transform(touched[split.users]).astype(np.float32), solver.components_.T.astype(np.float32)
        )
