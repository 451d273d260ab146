"""Items that a user did not touch, drawn at random: the negatives of implicit feedback.

Most uniform draws are items that nobody wants, and the network learns little from them. A share of the draws goes by
popularity and shows it harder ones. That shifts the logits by a known amount, which is subtracted again [1]_, so that
they mean the same as after uniform draws.

References
----------
.. [1] Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["NegativeSampler"]

MAX_BITS = 2**29  # pairs of user and item up to which each has a bit: 64 MiB
MAX_MARKS = 2**29  # 64 MiB as well
MARKS_PER_KEY = 16  # one look-up in 16 meets the mark of another number, and is searched for in vain
SPREADING = np.uint64(0x9E3779B97F4A7C15)  # an odd number whose product spreads keys (Knuth, TAOCP 6.4)
MAX_DRAWS = 16  # a user who touched half of all items keeps a touched one once in 2^17 draws


class NegativeSampler:
    """Draws from the items that occur in the sequences, without those the user touched.

    A draw that hits a touched item is repeated, up to 16 times, and then stands: only a user who touched
    nearly everything notices, and training survives a few wrong labels where it would not survive a
    loop that cannot end.

    Parameters
    ----------
    sequences : what the users touched.
    popular : share drawn in proportion to the number of events of an item; the others are uniform.
    pool : int64, the items that are drawn at all, each of which occurs; all that occur if None.
    """

    __slots__ = ("_bias", "_events", "_pool", "_popular", "_stride", "_touched")

    def __init__(self, sequences: Sequences, popular: float = 0.0, pool: Rows | None = None) -> None:
        self._events = sequences.items if pool is None else sequences.items[np.isin(sequences.items, pool)]
        counts = np.bincount(self._events)
        self._pool = np.flatnonzero(counts)
        counts = counts[self._pool]
        self._popular = popular
        self._stride = int(sequences.items.max(initial=0)) + 1
        self._bias = np.zeros(self._stride, dtype=np.float32)
        self._bias[self._pool] = np.log1p(popular * (counts * (len(self._pool) / max(1, len(self._events))) - 1.0))
        keys = sequences.users * self._stride + sequences.items
        keys.sort()
        self._touched = _Bits(keys) if int(keys.max(initial=0)) < MAX_BITS else _Keys(keys)

    def draw(self, users: Rows, n: int, generator: np.random.Generator) -> Rows:
        """Return ``n`` item rows for each user, none of which the user touched: int64 (P, n).

        Parameters
        ----------
        users : int64 (P,), user rows.
        n : negatives per row.
        generator : of the draws.
        """
        owners = np.repeat(users, n)
        return self._without(lambda flat, at: self.is_touched(owners[at], flat), len(owners), generator).reshape(-1, n)

    def draw_others(self, items: Rows, n: int, generator: np.random.Generator) -> Rows:
        """Return ``n`` other item rows for each item: int64 (P, n); its user may have touched them.

        items : int64 (P,), what came next.
        """
        wanted = np.repeat(items, n)
        return self._without(lambda flat, at: flat == wanted[at], len(wanted), generator).reshape(-1, n)

    def _without(
        self, is_wrong: Callable[[Rows, Rows], NDArray[np.bool_]], n: int, generator: np.random.Generator
    ) -> Rows:
        """Return ``n`` draws, those that are wrong for their places drawn anew as often as is allowed."""
        flat = self._drawn(n, generator)
        wrong = np.arange(n)
        for _ in range(MAX_DRAWS):
            wrong = wrong[is_wrong(flat[wrong], wrong)]
            if not len(wrong):
                break
            flat[wrong] = self._drawn(len(wrong), generator)
        return flat

    def bias(self, rows: Rows) -> NDArray[np.float32]:
        """Return what the draws take off the logits of items, float32 of the shape of ``rows``.

        log(N q) for an item that makes a share q of the draws, of N items in all; zero where draws are uniform.
        """
        return self._bias[rows]

    def _drawn(self, n: int, generator: np.random.Generator) -> Rows:
        """Return ``n`` rows, touched or not: int64 (n,)."""
        uniform = self._pool[generator.integers(0, len(self._pool), n)]
        if self._popular == 0.0:
            return uniform
        popular = self._events[generator.integers(0, len(self._events), n)]
        return np.where(generator.random(n) < self._popular, popular, uniform)

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
    """The same set as a sorted list: 64 bits a number, wherever the numbers lie.

    A search in a long list waits for memory at every step. So each number has a mark as well, and only numbers that
    meet a mark, their own or by chance another's, are searched for.
    """

    __slots__ = ("_keys", "_marks", "_shift")

    def __init__(self, ascending: Rows) -> None:
        self._keys = ascending
        self._shift = 65 - min(MAX_MARKS, MARKS_PER_KEY * max(1, len(ascending))).bit_length()
        marks = self._mark(ascending)
        marks.sort()
        self._marks = _Bits(marks)

    def hold(self, keys: Rows) -> NDArray[np.bool_]:
        """Return whether each number is in the set: bool (P,)."""
        found = self._marks.hold(self._mark(keys))
        asked = np.flatnonzero(found)
        at = np.minimum(np.searchsorted(self._keys, keys[asked]), len(self._keys) - 1)
        found[asked] = self._keys[at] == keys[asked]
        return found

    def _mark(self, keys: Rows) -> Rows:
        """Return the place of each number's mark: the upper bits of its product with a number that spreads them."""
        spread = keys.astype(np.uint64) * SPREADING
        return (spread >> np.uint64(self._shift)).astype(np.int64)
