"""Maximal marginal relevance [1]_: the next item is the best one that is not like what is listed already.

Departs from [1]_ in that an item is compared with all that is listed, by the mean, and not with the nearest of it
alone. The diversity of a list is a mean over pairs [2]_, and for the same of it the nearest item costs half as many
hits again.

References
----------
.. [1] Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
   summaries", SIGIR 1998.
.. [2] Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCORE_EPSILON", "likeness_to_listed", "relevance_of"]

_Floats = NDArray[np.float32]
SCORE_EPSILON = 1.0e-6  # beyond which a float32 no longer tells a score from 0 or 1


def relevance_of(scores: _Floats, k: int) -> _Floats:
    """Return how likely each candidate is the one that comes next, times the length of the list: float32 (B, C).

    It is the softmax of the logits that the scores are sigmoids of. So the first places, which most hits are of, stand
    firm, and a list whose candidates are all about as good gives way easily. On a scale from the last candidate to the
    best, the same diversity costs twice the hits.

    Parameters
    ----------
    scores : float32 (B, C), 0..1, minus infinity where there is no candidate, which stays so.
    k : length of the list.
    """
    is_there = ~np.isneginf(scores)
    bounded = np.clip(scores, SCORE_EPSILON, 1.0 - SCORE_EPSILON)
    odds = np.where(is_there, bounded / (1.0 - bounded), np.float32(0.0))
    total = np.maximum(odds.sum(axis=1, keepdims=True), np.float32(1.0e-30))
    return np.where(is_there, k * odds / total, np.float32("-inf")).astype(np.float32)


def likeness_to_listed(vectors: _Floats, listed: _Floats, n: int) -> _Floats:
    """Return each candidate's mean cosine with the items of its list, float32 (B, C); zeros for an empty list.

    Parameters
    ----------
    vectors : float32 (B, C, D), of length 1 or 0.
    listed : float32 (B, D), the sum of the vectors of the n items that are listed.
    """
    found: _Floats = np.matmul(vectors, listed[:, :, None])[:, :, 0] / np.float32(max(1, n))
    return found
