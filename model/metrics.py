"""Hit rate and NDCG of held-out events that have one right item each.

The rank of the right item is ``1 + (number scored better) + (number scored equal) / 2``: a scorer that
gives everything the same score is placed in the middle and gains nothing from ties. A rank beyond K
counts zero. An event whose item cannot be ranked at all has rank infinity, a miss.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 4.1 (HR@K and NDCG@K, one relevant item).
.. [2] Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002 (NDCG).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["full_ranks", "half_ranks", "hit_rate", "ndcg"]


def half_ranks(target: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return each target's rank among the others, float64 (B,), 1 at best; a tie costs half a place.

    Parameters
    ----------
    target : (B,), the right item's score.
    others : (B, C), the scores of the items it competes with, itself not among them.

    Raises
    ------
    ValueError
        If a score is not a number, for it would compare as neither better nor equal.
    """
    scores = np.asarray(target)[:, None]
    competitors = np.asarray(others)
    if np.isnan(scores).any() or np.isnan(competitors).any():
        raise ValueError("half_ranks: scores that can be compared are required, got nan among them")
    better = (competitors > scores).sum(axis=1)
    equal = (competitors == scores).sum(axis=1)
    return np.asarray(1.0 + better + 0.5 * equal, dtype=np.float64)


def full_ranks(
    scores: NDArray[np.float32], targets: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return each target's rank among all items that the user does not know, float64 (B,).

    Parameters
    ----------
    scores : float32 (B, N).
    targets : int64 (B,), the right item's row; -1 for an item without a row, which ranks at infinity.
    known : bool (B, N), True where an item is out of the competition; the target never is.
    """
    row = np.arange(len(targets))
    target = scores[row, targets]  # -1 reads the last column and is overwritten below
    others = np.where(known, -np.inf, scores)
    others[row, targets] = -np.inf
    return np.where(targets >= 0, half_ranks(target, others), np.inf)


def hit_rate(ranks: ArrayLike, k: int = 10) -> float:
    """Return the share of ranks within the first ``k``; 0.0 for no ranks."""
    array = np.asarray(ranks, dtype=np.float64)
    return float(np.mean(array <= k)) if array.size else 0.0


def ndcg(ranks: ArrayLike, k: int = 10) -> float:
    """Return the mean of ``1 / log2(1 + rank)`` over ranks, zero beyond ``k``; 0.0 for no ranks.

    With one right item the ideal gain is 1 / log2(2) = 1, so nothing is left to normalise.
    """
    array = np.asarray(ranks, dtype=np.float64)
    gains = np.where(array <= k, 1.0 / np.log2(1.0 + array), 0.0)
    return float(np.mean(gains)) if array.size else 0.0
