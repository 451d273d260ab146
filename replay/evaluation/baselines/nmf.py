"""Non-negative matrix factorisation [1]_ of who touched what, untouched counted as zero.

References
----------
.. [1] Lee and Seung, "Learning the parts of objects by non-negative matrix factorization", Nature 1999.
"""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_matrix
from sklearn import decomposition
from sklearn.exceptions import ConvergenceWarning

from replay.evaluation.baselines.matrix import interactions
from replay.evaluation.scorers import FactorScorer
from replay.evaluation.split import Split

__all__ = ["NonNegative"]


@dataclass(frozen=True, slots=True)
class NonNegative:
    """Its constants.

    Parameters
    ----------
    factors : width of the vectors.
    iterations : at most so many passes of coordinate descent.
    tolerance : relative progress at which they end.
    """

    is_random: ClassVar[bool] = True
    factors: int = 64
    iterations: int = 60
    tolerance: float = 1.0e-3

    def fit(self, split: Split, generator: np.random.Generator) -> FactorScorer:
        """Factorise from the scaled singular vectors (``nndsvda``)."""
        touched = csr_matrix(interactions(split))
        solver = decomposition.NMF(
            min(self.factors, *touched.shape),
            init="nndsvda",
            tol=self.tolerance,
            max_iter=self.iterations,
            random_state=int(generator.integers(2**31)),
        )
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # an error of zero may come out just below it
            warnings.simplefilter("ignore", ConvergenceWarning)  # the bound on iterations is meant
            users = solver.fit_transform(touched)
        return FactorScorer(users[split.users].astype(np.float32), solver.components_.T.astype(np.float32))
