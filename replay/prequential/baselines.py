"""What a stream recommender must beat: methods that learn from each event the moment they were tested on it.

Each scores the whole catalogue. An item that has not occurred scores nothing, or with ISGD what its random first vector
gives. The rank of a tested item is among those its user does not know, and a tie counts half.
Row numbers, not ids: whoever replays numbers users and items in order of appearance.

References
----------
.. [1] Vinagre, Jorge and Gama, "Fast incremental matrix factorization for recommendation with positive-only feedback",
   UMAP 2014 (ISGD).
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "STREAM_BASELINES",
    "AllTimePopularity",
    "CoOccurrence",
    "DecayedPopularity",
    "Isgd",
    "StreamBaseline",
    "half_rank",
]

Scores = NDArray[np.float32] | NDArray[np.float64]
DAY_MS = 24 * 60 * 60 * 1000


class StreamBaseline(Protocol):
    """One method; its ``scores`` are valid until it learns the next event."""

    name: ClassVar[str]

    def scores(self, user: int, ts: int) -> Scores:
        """Return a score for each item, higher is better."""

    def learn(self, user: int, item: int, ts: int) -> None:
        """Take an event, ``ts`` in milliseconds."""


def half_rank(scores: Scores, item: int, known: NDArray[np.int64]) -> float:
    """Return the rank of an item among those that are not known: 1 + better + equal / 2."""
    score, others = scores[item], scores[known]
    better = np.count_nonzero(scores > score) - np.count_nonzero(others > score)
    equal = np.count_nonzero(scores == score) - 1 - np.count_nonzero(others == score)
    return 1.0 + better + equal / 2.0


class AllTimePopularity:
    """The items with most events."""

    name = "popularity"

    def __init__(self, n_items: int, seed: int = 0) -> None:  # noqa: ARG002 - nothing is random
        self._counts = np.zeros(n_items, dtype=np.float32)

    def scores(self, user: int, ts: int) -> Scores:  # noqa: ARG002 - the same for everybody
        """Return the counts."""
        return self._counts

    def learn(self, user: int, item: int, ts: int) -> None:  # noqa: ARG002 - the same for everybody
        """Count."""
        self._counts[item] += 1


class DecayedPopularity:
    """The items with most events of late: an event counts half after a week, as in trending."""

    name = "decayed popularity"
    half_life_ms = 7 * DAY_MS

    def __init__(self, n_items: int, seed: int = 0) -> None:  # noqa: ARG002 - nothing is random
        self._weights = np.zeros(n_items)
        self._landmark = 0

    def scores(self, user: int, ts: int) -> Scores:  # noqa: ARG002 - the same for everybody
        """Return the weights relative to a landmark, which orders them as those of now would."""
        return self._weights

    def learn(self, user: int, item: int, ts: int) -> None:  # noqa: ARG002 - the same for everybody
        """Add the event's weight."""
        exponent = (ts - self._landmark) / self.half_life_ms
        if exponent > 256.0:  # noqa: PLR2004 - doublings, far from overflow
            self._weights *= 2.0 ** -min(exponent, 1074.0)
            self._landmark, exponent = ts, 0.0
        self._weights[item] += 2.0**exponent


class CoOccurrence:
    """Items that followed the user's latest items, among all users: directed counts within 20 events.

    ``b`` after ``a`` by k events adds 1 / (1 + 0.1 (k - 1)); an item's counts are divided by their sum plus 20 and by
    the root of the other's popularity; the latest 20 items of a user count exp(-step / 8).
    """

    name = "co-occurrence"
    window, fading, shrinkage, reach = 20, 0.1, 20.0, 8.0

    def __init__(self, n_items: int, seed: int = 0) -> None:  # noqa: ARG002 - nothing is random
        self._counts = np.zeros((n_items, n_items), dtype=np.float32)
        self._followed = np.full(n_items, self.shrinkage, dtype=np.float32)
        self._touched = np.ones(n_items, dtype=np.float32)
        self._latest: dict[int, list[int]] = defaultdict(list)  # newest first
        steps = np.arange(self.window, dtype=np.float32)
        self._pair = np.float32(1.0) / (np.float32(1.0) + np.float32(self.fading) * steps)
        self._decay = np.exp(-steps / np.float32(self.reach))

    def scores(self, user: int, ts: int) -> Scores:  # noqa: ARG002 - steps, not time
        """Return the decayed sum over the user's latest items."""
        latest = self._latest[user]
        weights = self._decay[: len(latest)] / self._followed[latest]
        total: NDArray[np.float32] = weights @ self._counts[latest]
        total /= np.sqrt(self._touched)
        return total

    def learn(self, user: int, item: int, ts: int) -> None:  # noqa: ARG002 - steps, not time
        """Count the event after each of the latest ones."""
        latest, pair = self._latest[user], self._pair[: len(self._latest[user])]
        np.add.at(self._counts[:, item], latest, pair)
        np.add.at(self._followed, latest, pair)
        self._touched[item] += 1
        latest.insert(0, item)
        del latest[self.window :]


class Isgd:
    """Incremental matrix factorisation: one gradient step on each event, towards one [1]_."""

    name = "isgd"
    factors, rate, decay = 100, 0.05, 0.01

    def __init__(self, n_items: int, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)
        self._items = self._drawn(n_items)
        self._users: dict[int, NDArray[np.float32]] = {}

    def scores(self, user: int, ts: int) -> Scores:  # noqa: ARG002 - time plays no part
        """Return how near to one each product is; a stranger is near to nothing."""
        vector = self._users.get(user)
        products = np.zeros(len(self._items), dtype=np.float32) if vector is None else self._items @ vector
        nearness: NDArray[np.float32] = -np.abs(np.float32(1.0) - products)
        return nearness

    def learn(self, user: int, item: int, ts: int) -> None:  # noqa: ARG002 - time plays no part
        """Take a step; the item's is computed from the user's new vector, as published."""
        if user not in self._users:
            self._users[user] = self._drawn(1)[0]
        vector = self._users[user]
        row = self._items[item]
        error = np.float32(1.0) - vector @ row
        vector += np.float32(self.rate) * (error * row - np.float32(self.decay) * vector)
        row += np.float32(self.rate) * (error * vector - np.float32(self.decay) * row)

    def _drawn(self, n: int) -> NDArray[np.float32]:
        return self._generator.normal(0.0, 0.1, (n, self.factors)).astype(np.float32)


STREAM_BASELINES: Mapping[str, type[AllTimePopularity] | type[DecayedPopularity] | type[CoOccurrence] | type[Isgd]] = {
    baseline.name: baseline for baseline in (AllTimePopularity, DecayedPopularity, CoOccurrence, Isgd)
}
