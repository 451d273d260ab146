"""Items that a user did not touch, drawn at random: the negatives of implicit feedback."""

import numpy as np
from numpy.typing import NDArray

from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["NegativeSampler"]

ROUNDS = 16  # a user who touched half of all items keeps a touched one once in 2^17 draws


class NegativeSampler:
    """Uniform draws from the items that occur in the sequences, without those the user touched.

    A draw that hits a touched item is repeated, up to 16 times, and then stands: only a user who touched
    nearly everything notices, and training survives a few wrong labels where it would not survive a
    loop that cannot end.

    Parameters
    ----------
    sequences : what the users touched.
    """

    __slots__ = ("_pool", "_stride", "_touched")

    def __init__(self, sequences: Sequences) -> None:
        self._pool = np.unique(sequences.items)
        self._stride = int(self._pool.max(initial=0)) + 1
        self._touched = np.sort(sequences.users * self._stride + sequences.items)

    def draw(self, users: Rows, n: int, generator: np.random.Generator) -> Rows:
        """Return ``n`` item rows for each user: int64 (P, n).

        Parameters
        ----------
        users : int64 (P,), user rows.
        n : negatives per row.
        generator : of the draws.
        """
        drawn = self._pool[generator.integers(0, len(self._pool), (len(users), n))]
        flat, owners = drawn.reshape(-1), np.repeat(users, n)
        wrong = np.flatnonzero(self.is_touched(owners, flat))
        for _ in range(ROUNDS):
            if not len(wrong):
                break
            flat[wrong] = self._pool[generator.integers(0, len(self._pool), len(wrong))]
            wrong = wrong[self.is_touched(owners[wrong], flat[wrong])]
        return drawn

    def is_touched(self, users: Rows, items: Rows) -> NDArray[np.bool_]:
        """Return whether each user touched each item, pairwise: bool (P,)."""
        keys = users * self._stride + items
        at = np.searchsorted(self._touched, keys)
        return np.asarray(self._touched[np.minimum(at, len(self._touched) - 1)] == keys)
