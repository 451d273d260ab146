"""Two rankings on the same events: by how many hits one of them leads, and how sure that is.

Events that both hit, or both miss, say nothing about the difference. On the others, D in all, each of two equal
rankings is as likely to be the one that hits, so the standard error of the lead is sqrt(D) (McNemar's test [1]_).
Leads on different events may be added.

References
----------
.. [1] McNemar, "Note on the sampling error of the difference between correlated proportions",
   Psychometrika 1947.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["PairedLead"]


@dataclass(frozen=True, slots=True)
class PairedLead:
    """By how much one ranking leads another one.

    Parameters
    ----------
    lead : its hits less those of the other one.
    apart : events on which just one of the two hits.
    """

    lead: int = 0
    apart: int = 0

    @classmethod
    def of(cls, hits: NDArray[np.bool_], other_hits: NDArray[np.bool_]) -> "PairedLead":
        """Compare two rankings; both arrays are bool (E,), True for an event that was hit."""
        return cls(int(hits.sum()) - int(other_hits.sum()), int(np.count_nonzero(hits != other_hits)))

    def __add__(self, other: "PairedLead") -> "PairedLead":
        return PairedLead(self.lead + other.lead, self.apart + other.apart)

    @property
    def z(self) -> float:
        """The lead in standard errors, 0 where the two hit the same events."""
        return self.lead / sqrt(self.apart) if self.apart else 0.0

    def is_ahead(self, sigmas: float) -> bool:
        """Tell whether the first leads by more than so many standard errors."""
        return self.lead > sigmas * sqrt(self.apart)

    def is_behind(self, sigmas: float) -> bool:
        """Tell whether the other one leads by more than so many standard errors."""
        return -self.lead > sigmas * sqrt(self.apart)
