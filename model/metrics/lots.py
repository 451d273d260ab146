"""Chance as it was: the lot that put users into two arms is drawn again and again.

Which arm a user is in is a hash, so a lot. If both arms serve equally well, every user would have had the same tests
and hits in the other arm, and another lot would have made another difference. How large such differences are is
counted, not assumed: whatever users are like, however few they are and however much a few of them do, at most 5 in 100
experiments between equal arms are beyond the limit. It takes every user's tests and hits; ``model.metrics.intervals``
needs their sums only, and makes an interval with the limit found here.

References
----------
.. [1] Chung and Romano, "Exact and asymptotically robust permutation tests", Annals of Statistics 2013 (divided by its
   standard error, a difference is judged rightly also where the arms spread differently).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.metrics.intervals import MISSED, Z95

__all__ = ["DRAWS", "limit_by_lot"]

DRAWS = 1999  # the limit's own chance makes 5 in 100 to 4 to 6
_AT_ONCE = 4_000_000  # users times draws that are in memory at a time, 32 MB


def limit_by_lot(
    first: Sequence[tuple[int, int]],
    other: Sequence[tuple[int, int]],
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> float:
    """Return how many standard errors apart 95 % of redrawn arms are at most.

    With R the rate of both arms together and e = h - R t the residual of a user, an arm that is drawn anew is off by
    ``sum(e)`` over its users. The standard error is that of ``model.metrics.intervals.difference``.

    Parameters
    ----------
    first, other : tests and hits of each user of the two arms.
    draws : how often the lot is drawn again.
    generator : draws; a fixed one by default, so that one set of figures has one limit.

    Raises
    ------
    ValueError
        If an arm has no user, or there is no test.
    """
    counts = np.array([*first, *other], dtype=np.float64).reshape(-1, 2)  # (N, 2): tests, hits
    tests, hits = counts.T
    if not (first and other and tests.sum() > 0):
        raise ValueError(f"limit_by_lot: users with tests in both arms are required, got {len(first)} and {len(other)}")
    residuals = hits - hits.sum() / tests.sum() * tests  # (N,)
    if not residuals.any():
        return Z95
    share = len(first) / len(tests)
    both = np.stack([residuals, residuals * residuals], axis=1)
    both = (both / np.sqrt(both[:, 1].sum()) ** np.array([1, 2])).astype(np.float32)  # (N, 2)
    drawn = _drawn(both, share, draws, generator or np.random.default_rng(0))  # (draws, 2)
    variance = (1.0 - share) ** 2 * drawn[:, 1] + share**2 * (1.0 - drawn[:, 1])
    apart = np.sort(np.abs(drawn[:, 0]) / np.sqrt(np.maximum(variance, np.finfo(np.float32).tiny)))
    return float(apart[min(draws, int(np.ceil((1.0 - MISSED) * (draws + 1)))) - 1])


def _drawn(
    of: npt.NDArray[np.float32], share: float, draws: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return sums over the users who are drawn, each with this probability: (draws, columns)."""
    found = np.empty((draws, of.shape[1]))
    step = max(1, _AT_ONCE // len(of))
    for start in range(0, draws, step):
        n = min(step, draws - start)
        lots = generator.random((n, len(of)), dtype=np.float32) < share
        found[start : start + n] = lots.astype(np.float32) @ of
    return found
