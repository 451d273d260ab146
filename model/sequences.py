"""Histories as arrays: what training cuts its windows from.

All users' events lie in one block, ordered by user, then time. A user's later events with an item they
already touched are left out, unless repeats are asked for: such an item is never recommended again, so it is nothing to
predict.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.vocabulary import Rows

__all__ = ["Sequences", "Spans", "Windows"]

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces of histories with what came next, oldest first, padded at the end.

    Parameters
    ----------
    users : int64 (B,), user rows.
    items, times : int64 (B, L), item rows (0 as padding) and milliseconds.
    weights : float32 (B, L), how much each interaction counts, 0..1.
    targets : int64 (B, L), the row of the item that came next (0 as padding).
    is_event : bool (B, L), True where ``targets`` holds an event to learn from.
    wanted : float32 (B, L), how much that event counts as one that the user wanted, 0..1.
    at : int64 (B, L), the position of each item in the sequences.
    """

    users: Rows
    items: Rows
    times: Rows
    weights: NDArray[np.float32]
    targets: Rows
    is_event: NDArray[np.bool_]
    wanted: NDArray[np.float32]
    at: Rows


@dataclass(frozen=True, slots=True)
class Sequences:
    """Events of many users, ordered by user row, then time.

    Parameters
    ----------
    users, items : int64 (E,), rows; ``users`` ascends.
    times : int64 (E,), milliseconds; ascends within a user.
    weights : float32 (E,), 0..1.
    places : int64 (E,), where each event stands before any shuffling.
    fresh : bool (E,), whether an event is new to whoever learns from them.
    wanted : float32 (E,), how much an event counts as one that the user wanted: 1 if it is positive, less if not.
    """

    users: Rows
    items: Rows
    times: Rows
    weights: NDArray[np.float32]
    places: Rows
    fresh: NDArray[np.bool_]
    wanted: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        times: ArrayLike,
        weights: ArrayLike,
        fresh: ArrayLike | None = None,
        wanted: ArrayLike | None = None,
        *,
        repeats: bool = False,
    ) -> "Sequences":
        """Order events by user and time, keeping the given order of ties, and drop repeated items.

        All events are new where ``fresh`` does not say otherwise, and positive where ``wanted`` does not. With
        ``repeats`` none is dropped.

        Raises
        ------
        ValueError
            If the arrays differ in length or a row is negative.
        """
        user_rows, item_rows = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int64)
        stamps, shares = np.asarray(times, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        is_fresh = np.ones(len(user_rows), dtype=np.bool_) if fresh is None else np.asarray(fresh, dtype=np.bool_)
        wishes = np.ones(len(user_rows), np.float32) if wanted is None else np.asarray(wanted, dtype=np.float32)
        lengths = {len(user_rows), len(item_rows), len(stamps), len(shares), len(is_fresh), len(wishes)}
        if len(lengths) != 1:
            raise ValueError(f"Sequences.of: arrays of one length are required, got {sorted(lengths)!r}")
        if len(user_rows) and min(user_rows.min(), item_rows.min()) < 0:
            raise ValueError("Sequences.of: rows from 0 are required, got a negative one; admit ids first")
        columns: tuple[Any, ...] = (user_rows, item_rows, stamps, shares, is_fresh, wishes)
        if not _are_in_order(user_rows, stamps):
            order = np.lexsort((stamps, user_rows))  # stable: ties stay as given
            columns = tuple(column[order] for column in columns)
        rest = np.arange(len(user_rows)), *columns[4:]
        found = cls(*columns[:4], *rest)
        return found if repeats else found.without_repeats()

    def __len__(self) -> int:
        return len(self.users)

    def positive(self) -> NDArray[np.bool_]:
        """Return which events say that the user liked the item, bool (E,)."""
        return self.wanted >= 1.0

    def bounds(self) -> tuple[Rows, Rows]:
        """Return where each user's events start and how many there are: two int64 (U,)."""
        starts = np.flatnonzero(np.diff(self.users, prepend=-1))
        return starts, np.diff(starts, append=len(self.users))

    def ordinals(self) -> Rows:
        """Return the number of each event among its user's, from 0: int64 (E,)."""
        starts, counts = self.bounds()
        return np.arange(len(self)) - np.repeat(starts, counts)

    def without_repeats(self) -> "Sequences":
        """Return each user's first event with each item; the same sequences where there are no others."""
        pairs = self.users * (self.items.max(initial=0) + 1) + self.items
        ascending = np.sort(pairs)
        if not (ascending[1:] == ascending[:-1]).any():  # numbers are sorted much faster than their places
            return self
        del ascending
        kept = np.zeros(len(self), dtype=np.bool_)
        kept[np.unique(pairs, return_index=True)[1]] = True
        return self.taken(kept)

    def taken(self, kept: NDArray[np.bool_]) -> "Sequences":
        """Return some of the events, kept: bool (E,), as sequences of their own."""
        n = int(kept.sum())
        columns = (self.users[kept], self.items[kept], self.times[kept], self.weights[kept])
        return Sequences(*columns, np.arange(n), self.fresh[kept], self.wanted[kept])

    def shuffled_ties(self, generator: np.random.Generator) -> "Sequences":
        """Return the same events with those of one user at one time in a new random order."""
        drawn = generator.random(len(self))
        follows = np.zeros(len(self) + 1, dtype=np.bool_)  # whether an event is of the user and time of the one before
        np.equal(self.users[1:], self.users[:-1], out=follows[1:-1])
        follows[1:-1] &= self.times[1:] == self.times[:-1]
        tied = np.flatnonzero(follows[:-1] | follows[1:])
        order = tied[np.lexsort((drawn[tied], np.cumsum(~follows[tied])))]

        def shuffled(column: NDArray[_Value]) -> NDArray[_Value]:
            moved = column.copy()
            moved[tied] = column[order]
            return moved

        return Sequences(
            self.users,
            shuffled(self.items),
            self.times,
            shuffled(self.weights),
            shuffled(self.places),
            shuffled(self.fresh),
            shuffled(self.wanted),
        )

    def phased_spans(self, length: int, generator: np.random.Generator) -> "Spans":
        """Cut every history into pieces of ``length`` events to predict, at a random phase per user.

        Every event but a user's first is predicted exactly once.
        """
        starts, counts = self.bounds()
        phase = generator.integers(0, length, len(starts))
        phase = np.where(counts - 1 > length, phase, 0)  # a history that fits stays whole
        user, piece = _spread(-(-(counts - 1 + phase) // length))
        begin = starts[user] + piece * length - phase[user]
        last = starts[user] + counts[user] - 1
        return Spans(np.maximum(begin, starts[user]), np.minimum(begin + length, last))

    def latest_spans(self, length: int, events: ArrayLike) -> "Spans":
        """Cut pieces of ``length`` that end at each user's newest event and cover the latest ``events``.

        events : int64 (U,), how many of each user's latest events must be predicted, users in row order.
        """
        starts, counts = self.bounds()
        wanted = np.minimum(np.asarray(events, dtype=np.int64), counts - 1)
        user, piece = _spread(-(-wanted // length))
        end = starts[user] + counts[user] - 1 - piece * length
        return Spans(np.maximum(end - length, starts[user]), end)

    def windows(self, spans: "Spans") -> Windows:
        """Return the windows of these spans, as wide as the longest of them."""
        width = int((spans.ends - spans.begins).max(initial=1))
        at = spans.begins[:, None] + np.arange(width)  # (B, L)
        is_event = at < spans.ends[:, None]
        at = np.where(is_event, at, spans.ends[:, None] - 1)
        following = np.minimum(at + 1, len(self) - 1)
        return Windows(
            self.users[spans.begins],
            np.where(is_event, self.items[at], 0),
            self.times[at],
            np.where(is_event, self.weights[at], np.float32(0.0)),
            np.where(is_event, self.items[following], 0),
            is_event,
            self.wanted[following],
            at,
        )


@dataclass(frozen=True, slots=True)
class Spans:
    """Pieces of histories by position: events ``begin .. end - 1`` are read, ``begin + 1 .. end`` predicted.

    Parameters
    ----------
    begins, ends : int64 (W,), positions in :class:`Sequences`, both within one user; ``begin < end``.
    """

    begins: Rows
    ends: Rows

    def __len__(self) -> int:
        return len(self.begins)

    def taken(self, chosen: Rows) -> "Spans":
        """Return the spans at these places, int64 (B,)."""
        return Spans(self.begins[chosen], self.ends[chosen])

    def cover(self, n: int) -> NDArray[np.bool_]:
        """Return which of ``n`` positions are read or predicted, bool (n,)."""
        changes = np.zeros(n + 1, dtype=np.int64)
        np.add.at(changes, self.begins, 1)
        np.add.at(changes, self.ends + 1, -1)
        return np.cumsum(changes[:-1]) > 0

    def within(self, most: int, least: int = 0) -> "Spans":
        """Return the first spans that together predict at most ``most`` events, but at least ``least`` spans."""
        n = int(np.searchsorted(np.cumsum(self.ends - self.begins), most, side="right"))
        return self.taken(np.arange(min(len(self), max(least, n))))

    def share(self, most: int) -> float:
        """Return the share of the spans that predicts ``most`` events; all where that is 0 or there are no more."""
        predicted = int((self.ends - self.begins).sum())
        return 1.0 if not 0 < most < predicted else most / predicted

    def joined(self, others: "Spans") -> "Spans":
        """Return these spans followed by others."""
        return Spans(np.concatenate([self.begins, others.begins]), np.concatenate([self.ends, others.ends]))


def _are_in_order(users: Rows, times: Rows) -> bool:
    """Tell whether events are ordered by user, then time."""
    later = users[1:] > users[:-1]
    later |= (users[1:] == users[:-1]) & (times[1:] >= times[:-1])
    return bool(later.all())


def _spread(pieces: Rows) -> tuple[Rows, Rows]:
    """Return owner and number of every piece, given how many each owner has: two int64 (sum,)."""
    owner = np.repeat(np.arange(len(pieces)), pieces)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
