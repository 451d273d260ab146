"""How good recommendations are: of held-out events that have one right item each, and of whole lists.

The rank of the right item is ``1 + (number scored better) + (number scored equal) / 2``: a scorer that
gives everything the same score is placed in the middle and gains nothing from ties. A rank beyond K
counts zero. An event whose item cannot be ranked at all has rank infinity, a miss.

With one right item, recall@K is either 0 or 1 and is the hit rate by another name, and precision@K is the hit rate
divided by K. They are printed because others print them, and say nothing that the hit rate does not.

Coverage and novelty look at the lists alone, whether anybody likes them or not.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 4.1 (HR@K and NDCG@K, one relevant item).
.. [2] Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002 (NDCG).
.. [3] Vargas and Castells, "Rank and relevance in novelty and diversity metrics for recommender systems",
   RecSys 2011 (novelty as self-information).
.. [4] Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010
   (p(item) as the share of users who have it).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["coverage", "full_ranks", "half_ranks", "hit_rate", "listed", "ndcg", "novelty", "precision", "recall"]


def half_ranks(target: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return each target's rank among the others, float64 (B,), 1 at best; a tie costs half a place.

    That is the mean rank over all orders of a tie, but what is computed from it is no mean over these orders: a hit
    rate takes the whole tie in or leaves it out. Where nearly all items tie the two lie far apart. With 99 equal
    competitors the rank is 50.5 and the hit rate at 10 is 0, while random orders hit 1 time in 10; with 18 the rank is
    10 and the hit rate 1, while random orders hit 10 times in 19.

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


def recall(ranks: ArrayLike, k: int = 10) -> float:
    """Return the share of right items found within the first ``k``: with one each, the hit rate."""
    return hit_rate(ranks, k)


def precision(ranks: ArrayLike, k: int = 10) -> float:
    """Return the share of right items among the first ``k``: with one each, the hit rate / k."""
    return hit_rate(ranks, k) / k


def listed(scores: NDArray[np.float32], k: int = 10) -> NDArray[np.bool_]:
    """Return which items are on each user's list of the ``k`` best, bool (B, N); ties go to the lower row.

    Parameters
    ----------
    scores : float32 (B, N), -inf where an item must not be listed; a list may be shorter for it.
    k : length of the lists.
    """
    k = min(k, scores.shape[1])
    last = np.partition(scores, -k, axis=1)[:, -k, None]  # (B, 1): the k-th best score
    found = scores >= last
    too_long = np.flatnonzero(np.count_nonzero(found, axis=1) > k)  # few lists end in a tie, and counting it is dear
    found[too_long] = _without_ties(scores[too_long], last[too_long], k)
    return np.asarray(found & ~np.isneginf(scores))


def _without_ties(scores: NDArray[np.float32], last: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Return which items are better than the last place, and the lowest rows that tie with it: bool (B, N)."""
    better, equal = scores > last, scores == last
    free = k - better.sum(axis=1, keepdims=True)
    return np.asarray(better | (equal & (np.cumsum(equal, axis=1) <= free)))


def coverage(recommended: NDArray[np.int64]) -> float:
    """Return the share of the catalogue that is on at least one list.

    recommended : int64 (N,), on how many lists each item is.
    """
    return float(np.mean(recommended > 0)) if len(recommended) else 0.0


def novelty(recommended: NDArray[np.int64], owners: NDArray[np.int64], n_users: int) -> float:
    """Return the mean self-information of what is on the lists, -log2 p(item) bits [3]_; 0.0 for no lists.

    p is the share of users who have the item [4]_. Departs from [4]_ where nobody has it: it counts as if one user
    had, for else a single such item would make the mean infinite.

    Parameters
    ----------
    recommended : int64 (N,), on how many lists each item is.
    owners : int64 (N,), how many users have each item.
    n_users : how many users there are.
    """
    total = int(recommended.sum())
    information = -np.log2(np.maximum(owners, 1) / n_users)  # (N,)
    return float(recommended @ information / total) if total else 0.0
