"""Intra-list diversity: how unlike each other the items of one list are [1]_.

References
----------
.. [1] Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005 (intra-list similarity,
   of which this is one less the mean).
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["genre_vectors", "intra_list_diversity", "mean_diversity"]


def genre_vectors(genres: Sequence[Collection[str]]) -> NDArray[np.float32]:
    """Return items by their genres, float32 (N, G), of length 1, or 0 for an item without any.

    genres : of each item; upper and lower case are the same.
    """
    names = sorted({name.casefold() for some in genres for name in some})
    columns = {name: column for column, name in enumerate(names)}
    members = np.zeros((len(genres), len(names)), dtype=np.float32)
    for row, some in enumerate(genres):
        members[row, [columns[name.casefold()] for name in some]] = 1.0
    return np.asarray(members / np.maximum(np.linalg.norm(members, axis=1, keepdims=True), np.float32(1.0)))


def mean_diversity(vectors: NDArray[np.float32], lists: NDArray[np.int64]) -> float:
    """Return the mean intra-list diversity of all lists that have a pair; nan without one, or if no item has a vector.

    Parameters are those of :func:`intra_list_diversity`.
    """
    values = intra_list_diversity(vectors, lists) if vectors.any() else np.empty(0)
    is_there = ~np.isnan(values)
    return float(values[is_there].mean()) if is_there.any() else float("nan")


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
