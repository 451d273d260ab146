"""The baselines over a stream: each is tested on the events that the lists are tested on, and then learns."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from replay.prequential.baselines import STREAM_BASELINES, half_rank
from replay.prequential.stream import Stream

__all__ = ["MAX_ITEMS", "baseline_ranks"]

MAX_ITEMS = 20_000  # co-occurrence holds a count for each pair of items: 1.6 GB
EVENTS_PER_CALL = 1000


def baseline_ranks(
    stream: Stream, name: str, seed: int, progress: Callable[[int], None] | None = None
) -> NDArray[np.float64]:
    """Return the rank of each tested item, float64 (T,), infinite for an item that nobody had touched.

    Parameters
    ----------
    stream : what happens.
    name : a key of ``STREAM_BASELINES``.
    seed : of what is random.
    progress : called now and then with the number of events that are done.
    """
    n_items = max(int(stream.items.max()) + 1, len(stream.catalogue))
    baseline = STREAM_BASELINES[name](n_items, seed)
    ranks = np.full(len(stream.tests), np.inf)
    owned, nothing = _UserItems(stream.users, stream.items), np.empty(0, dtype=np.int64)
    tested = dict(zip(stream.tests.tolist(), range(len(stream.tests)), strict=True))
    for number, (user, item, ts) in enumerate(_rows(stream.users, stream.items, stream.ts)):
        place = tested.get(number)
        if place is not None and not stream.is_novel[place]:
            excluded = nothing if stream.repeats else owned.before(user, int(stream.history[place]))
            ranks[place] = half_rank(baseline.scores(user, ts), item, excluded)
        baseline.learn(user, item, ts)
        if progress is not None and number % EVENTS_PER_CALL == 0:
            progress(number)
    return ranks


def _rows(*columns: NDArray[np.int64]) -> Sequence[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


class _UserItems:
    """Each user's items in order, as slices of one array."""

    def __init__(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> None:
        self._items = items[np.argsort(users, kind="stable")]
        counts = np.bincount(users)
        self._starts = (np.cumsum(counts) - counts).tolist()

    def before(self, user: int, events: int) -> NDArray[np.int64]:
        """Return the distinct items of a user's first so many events."""
        start = self._starts[user]
        found: NDArray[np.int64] = np.unique(self._items[start : start + events])
        return found
