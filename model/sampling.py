"""Items that a user did not touch, drawn at random: the negatives of implicit feedback."""

import numpy as np
from numpy.typing import NDArray

from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["NegativeSampler"]

MOST_BITS = 2**29  # pairs of user and item up to which each has a bit: 64 MiB
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
        keys = np.sort(sequences.users * self._stride + sequences.items)
        self._touched = _Bits(keys) if int(keys.max(initial=0)) < MOST_BITS else _Keys(keys)

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
        return self._touched.hold(users * self._stride + items)


class _Bits:
    """A set of numbers from 0 as one bit each: a look-up takes the same time however many there are."""

    __slots__ = ("_bytes",)

    def __init__(self, ascending: Rows) -> None:
        self._bytes = np.zeros(int(ascending.max(initial=0)) // 8 + 2, dtype=np.uint8)  # the last one stays zero
        place, first = np.unique(ascending >> 3, return_index=True)
        if len(first):
            bits = np.left_shift(1, ascending & 7).astype(np.uint8)
            self._bytes[place] = np.bitwise_or.reduceat(bits, first)

    def hold(self, keys: Rows) -> NDArray[np.bool_]:
        """Return whether each number is in the set: bool (P,)."""
        place = np.minimum(keys >> 3, len(self._bytes) - 1)
        return np.asarray((self._bytes[place] >> (keys & 7).astype(np.uint8)) & 1, dtype=np.bool_)


class _Keys:
    """The same set as a sorted list: 64 bits a number, wherever the numbers lie."""

    __slots__ = ("_keys",)

    def __init__(self, ascending: Rows) -> None:
        self._keys = ascending

    def hold(self, keys: Rows) -> NDArray[np.bool_]:
        """Return whether each number is in the set: bool (P,)."""
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray(self._keys[at] == keys)
