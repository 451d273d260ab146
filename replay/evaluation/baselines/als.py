"""Matrix factorisation of implicit feedback by alternating least squares [1]_, as ``implicit`` does it.

References
----------
.. [1] Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
.. [2] Rendle et al., "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022 (how much
   its constants matter).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits
from torch import get_num_threads

from replay.evaluation.baselines.matrix import interactions
from replay.evaluation.scorers import FactorScorer
from replay.evaluation.split import Split

__all__ = ["ImplicitALS"]


@dataclass(frozen=True, slots=True)
class ImplicitALS:
    """Its constants.

    Parameters
    ----------
    factors : width of the vectors.
    regularisation : of the vectors.
    confidence : what a touched item counts; an untouched one counts 1.
    iterations : passes over both sides.
    """

    is_random: ClassVar[bool] = True
    factors: int = 64
    regularisation: float = 50.0
    confidence: float = 10.0
    iterations: int = 15

    def fit(self, split: Split, generator: np.random.Generator) -> FactorScorer:
        """Factorise on as many threads as PyTorch may use; BLAS gets one, because the library warns of more."""
        with threadpool_limits(1, "blas"):
            solver = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularisation,
                alpha=self.confidence,
                iterations=self.iterations,
                num_threads=get_num_threads(),
                random_state=int(generator.integers(2**31)),
            )
            solver.fit(csr_matrix(interactions(split)), show_progress=False)
        return FactorScorer(solver.user_factors[split.users], solver.item_factors)
