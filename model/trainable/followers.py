"""What recent items say of many other items, found from the side of what was read.

In a large catalogue few neighbours of an item are kept, and hardly any pair of a recent and another item has a count:
to look all pairs up is to ask in vain for nearly all of them. Here the neighbours that are kept of each recent item
are joined with the items that its readers ask about. Events of one user that follow each other have read the same
items, and so share what is joined.
"""

import numpy as np
from numpy.typing import NDArray

from model.sequences import Sequences
from model.trainable.evidence import Evidence
from model.vocabulary import Rows

__all__ = ["MAX_WIDTH", "Followers"]

MAX_WIDTH = 128  # neighbours of an item from which on pairs are looked up faster than joined: below 31,000 items


class Followers:
    """The neighbours that are kept of each item, with normalised counts.

    Parameters
    ----------
    evidence : read once; later changes are not seen.
    """

    def __init__(self, evidence: Evidence) -> None:
        counts = evidence.as_counts()
        of_first, of_second = counts.normalisers()
        is_kept = counts.neighbours >= 0
        self._n = len(counts.neighbours)
        self._values = counts.counts * of_first[:, None] * of_second[np.maximum(counts.neighbours, 0)] * is_kept
        self._rows = np.where(is_kept, counts.neighbours, np.int32(self._n))  # of none: the row behind the last

    def read(self, sequences: Sequences) -> None:
        """Take the events that positions speak of from now on."""
        starts, counts = sequences.bounds()
        self._items = sequences.items
        self._begins, self._ends = np.repeat(starts, counts), np.repeat(starts + counts, counts)

    def sums(self, at: Rows, rows: Rows, decays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the decayed sums of what was read before events says of items, float32 (P, C, F).

        Parameters
        ----------
        at : int64 (P,), the position of the newest event that was read.
        rows : int64 (P, C), items.
        decays : float32 (P, J, F), what the J newest events count in each sum, the newest first.
        """
        (n, width), depth = rows.shape, decays.shape[1]
        order = np.argsort(at, kind="stable")
        at = at[order]
        places = self._places(at, depth)  # (R,), each once
        first = np.searchsorted(at, places)  # of the events that read each place, they follow each other
        last = np.searchsorted(at, np.minimum(places + depth, self._ends[places]))
        read = self._items[places]
        followers = self._rows[read]  # (R, W)
        owner, column = np.nonzero(self._are_asked(at, rows[order], first, followers))
        keys = (rows[order] * n + np.arange(n)[:, None]).reshape(-1)  # by item, then by event
        by_key = np.argsort(keys)
        wanted = followers[owner, column].astype(np.int64) * n
        begin, end = (np.searchsorted(keys[by_key], wanted + one[owner]) for one in (first, last))
        found = np.repeat(np.arange(len(owner)), end - begin)
        which = by_key[np.arange(len(found)) + (end - np.cumsum(end - begin))[found]]
        event, place = which // width, owner[found]
        said = self._values[read[place], column[found]][:, None] * decays[order[event], at[event] - places[place]]
        target = order[event] * width + which % width
        sums = [np.bincount(target, one, n * width).reshape(n, width) for one in said.T]
        return np.stack(sums, axis=2).astype(np.float32)

    def _are_asked(self, at: Rows, rows: Rows, first: Rows, followers: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which followers of what was read an event of the same user asks about, bool (R, W).

        at, rows : of events, in ascending order.   first : int64 (R,), an event that read each place.
        """
        user = np.cumsum(np.diff(self._begins[at], prepend=-1) != 0) - 1  # (P,)
        place = np.zeros(self._n + 1, dtype=np.int64)
        place[rows] = 1
        asked = np.flatnonzero(place)
        place[asked] = np.arange(1, len(asked) + 1)  # 0 is what nobody asks about
        is_asked = np.zeros((user[-1] + 1, len(asked) + 1), dtype=np.bool_)
        is_asked[user[:, None], place[rows]] = True
        at_begin = (user[first] * is_asked.shape[1])[:, None]
        return np.asarray(is_asked.reshape(-1)[place[followers] + at_begin])

    def _places(self, at: Rows, depth: int) -> Rows:
        """Return the positions of the ``depth`` latest events up to each of some ascending ones, each once."""
        begin = np.maximum(self._begins[at], at - depth + 1)
        begin[1:] = np.maximum(begin[1:], at[:-1] + 1)
        lengths = at - begin + 1  # none of an event that is there twice
        return np.repeat(at + 1 - np.cumsum(lengths), lengths) + np.arange(lengths.sum())
