r"""Calibration: a list should hold the genres in about the shares in which the user likes them [1]_.

With the user's shares :math:`p` and the list's :math:`q`, both an even split of each item over its genres, the
distance is :math:`KL(p\,\|\,\tilde q) = \sum_g p_g \log (p_g / \tilde q_g)`, where :math:`\tilde q = (1 - a) q + a p`
keeps it finite. The next item is the one that brings the list nearest.

References
----------
.. [1] Steck, "Calibrated recommendations", RecSys 2018.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["distances_with_each", "shares_of"]

_Floats = NDArray[np.float32]
SMOOTHING = 0.01  # a, as in the paper


def shares_of(genres: _Floats, weights: _Floats) -> _Floats:
    """Return the shares of genres among weighted items, float32 (B, G); zeros where no item has a genre.

    Parameters
    ----------
    genres : float32 (B, L, G), each item's split over its genres.
    weights : float32 (B, L), 0 for an item that does not count.
    """
    sums = np.einsum("bl,blg->bg", weights, genres)
    total = sums.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.zeros_like(sums), where=total > 0.0))


def distances_with_each(wanted: _Floats, listed: _Floats, genres: _Floats) -> _Floats:
    """Return how far each list would be from its user with one more candidate on it, float32 (B, C).

    Parameters
    ----------
    wanted : float32 (B, G), the users' shares; zeros for a user of whom none are known, whose distances are 0.
    listed : float32 (B, G), sums over the items of the list so far.
    genres : float32 (B, C, G), each candidate's split over its genres.
    """
    after = listed[:, None, :] + genres
    after /= np.maximum(after.sum(axis=2, keepdims=True), np.float32(1.0e-9))
    target = wanted[:, None, :]
    smooth = (1.0 - SMOOTHING) * after + SMOOTHING * target
    ratio = np.where(target > 0.0, target / np.maximum(smooth, np.float32(1.0e-9)), np.float32(1.0))
    return np.asarray((target * np.log(ratio)).sum(axis=2), dtype=np.float32)
