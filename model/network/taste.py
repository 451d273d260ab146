"""Long-term taste: what a history as a whole is for, by low-rank factors of who touched what.

The items' factors are part of a version (``model.trainable.taste`` has how they come about, and the reference). A
user's vector is solved for when it is asked for, from the items of the history, so that a new user has one after the
first event.
"""

import numpy as np
from numpy.typing import NDArray

from model.vocabulary import Rows

__all__ = ["UNTOUCHED", "TasteReader"]

UNTOUCHED = 0.3  # what a cell counts that nobody touched; a touched one counts one more


class TasteReader:
    """Reads the factors of a version.

    Parameters
    ----------
    factors : float32 (N, D), of the items, zero for those without.
    strength : of the regularisation that they were made with.
    """

    def __init__(self, factors: NDArray[np.float32], strength: float) -> None:
        self.factors = factors
        self._gram = np.float32(UNTOUCHED) * (factors.T @ factors)
        self._strength, self._others = strength, int(factors.any(axis=1).sum())

    def scores(self, items: Rows) -> NDArray[np.float32]:
        """Return how much each user's taste is for each item, about 0 to 1: float32 (B, N).

        items : int64 (B, L), the distinct items of each history in any order, -1 for none.
        """
        return self.vectors(items) @ self.factors.T

    def scores_of(self, items: Rows, rows: Rows) -> NDArray[np.float32]:
        """Return the same for given items alone, float32 (B, C).

        rows : int64 (B, C), item rows.
        """
        return np.asarray(np.matmul(self.factors[rows], self.vectors(items)[:, :, None])[:, :, 0])

    def vectors(self, items: Rows) -> NDArray[np.float32]:
        """Return the vectors of users, float32 (B, D), from their histories as in :meth:`scores`.

        Their products with what was met are nearest to one, and small otherwise.
        """
        known = items >= 0
        met = self._met(items, known)
        normal = self._normal(met, known.sum(axis=1))
        return np.asarray(np.linalg.solve(normal, met.sum(axis=1)[:, :, None])[:, :, 0])

    def vectors_without(self, items: Rows, left_out: Rows) -> NDArray[np.float32]:
        """Return each user's vector without the item at some places of the history, and last with all: (B, M + 1, D).

        One item less takes one rank off the normal equations, so that their one inverse serves all places
        (Sherman and Morrison).

        left_out : int64 (B, M), places that hold an item; what is said of others means nothing.
        """
        known = items >= 0
        met = self._met(items, known)
        gone = np.take_along_axis(met, left_out[:, :, None], axis=1)  # (B, M, D)
        normal = self._normal(met, np.maximum(known.sum(axis=1) - 1, 0))
        asked = np.concatenate([met.sum(axis=1, keepdims=True), gone], axis=1).transpose(0, 2, 1)  # (B, D, 1 + M)
        solved = np.linalg.solve(normal, asked).transpose(0, 2, 1)
        whole, each = solved[:, :1], solved[:, 1:]  # (B, 1, D), (B, M, D)
        base = whole - each
        left = (gone * base).sum(axis=2, keepdims=True) / (1.0 - (gone * each).sum(axis=2, keepdims=True))
        return np.concatenate([base + left * each, self.vectors(items)[:, None]], axis=1)

    def _met(self, items: Rows, known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the vectors of what was met, float32 (B, L, D), zeros for none."""
        return np.asarray(self.factors[np.maximum(items, 0)] * known[:, :, None].astype(np.float32))

    def _normal(self, met: NDArray[np.float32], lengths: Rows) -> NDArray[np.float32]:
        """Return the normal equations of users, float32 (B, D, D), with regularisation for so many items met."""
        normal = np.matmul(met.transpose(0, 2, 1), met) + self._gram
        place = np.arange(len(self._gram))
        held = self._strength * np.sqrt(UNTOUCHED * self._others + lengths + 1.0)
        normal[:, place, place] += held[:, None].astype(np.float32)
        return np.asarray(normal)
