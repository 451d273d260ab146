"""Intra-list diversity: how unlike each other the items of one list are [1]_.

References
----------
.. [1] Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005 (intra-list similarity,
   of which this is one less the mean).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["intra_list_diversity"]


def intra_list_diversity(vectors: NDArray[np.float32], lists: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of 1 - cosine over all pairs of each list, float64 (L,); nan for a list of fewer than two.

    Parameters
    ----------
    vectors : float32 (N, D), what the items are like, of length 1 or 0; an item of length 0 is like no other.
    lists : int64 (L, k), item rows, -1 where a list is shorter.
    """
    is_there = lists >= 0
    chosen = vectors[np.maximum(lists, 0)] * is_there[:, :, None]  # (L, k, D)
    total = chosen.sum(axis=1, dtype=np.float64)  # the cosines of all pairs are in the square of the sum
    own = np.square(chosen, dtype=np.float64).sum(axis=(1, 2))
    n = is_there.sum(axis=1).astype(np.float64)
    pairs = n * (n - 1.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(1.0 - (np.square(total).sum(axis=1) - own) / np.where(pairs > 0.0, pairs, np.nan))
