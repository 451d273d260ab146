"""What trends in the events that a learner has seen, for the blend to learn from: as workers merge it, in memory.

What an event adds, and whose events are a newcomer's, is one rule for both (``KindTable.heat`` and ``source_of`` in
``model.kinds``). A worker keeps a clock for each topic of each partition, and a learner one for all.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from model.columns.events import EventColumns
from model.feedback import NEWCOMER_EVENTS
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, RATE, KindTable
from model.own_time import OwnTime
from model.ranking.cold_start import Trending
from model.ranking.signals import Signals
from model.vocabulary import Rows, Vocabulary

__all__ = ["Heat", "HeatConfig", "TrendingLists"]

MAX_ITEMS = 100_000  # of one list; at twice as many the colder half is forgotten
DAY_MS = 86_400_000
ROUNDING = 1e-9  # of what is taken back; what is left of an item below that is no event's


@dataclass(frozen=True, slots=True)
class HeatConfig:
    """How long events count.

    Parameters
    ----------
    trending_half_life_ms, newcomers_half_life_ms : of both lists; those of the state by default.
    kept : items of a list.
    kinds : of events that there are.
    """

    trending_half_life_ms: int = 7 * DAY_MS
    newcomers_half_life_ms: int = 14 * DAY_MS
    kept: int = 500
    kinds: KindTable = DEFAULT_KINDS


@dataclass(frozen=True, slots=True)
class TrendingLists:
    """What trends at one moment, for everybody and among newcomers."""

    everybody: Trending = field(default_factory=Trending)
    newcomers: Trending = field(default_factory=Trending)

    def signals(self, items: Vocabulary) -> Signals:
        """Return them on the rows of a version's items."""
        return Signals.of(self.everybody, self.newcomers, items)


@dataclass(slots=True)
class Heat:
    """Decayed weights of items, of everybody and of newcomers."""

    config: HeatConfig = field(default_factory=HeatConfig)
    _clock: OwnTime | None = None
    _landmark: int = 0
    _trending: dict[str, float] = field(default_factory=dict)
    _newcomers: dict[str, float] = field(default_factory=dict)

    def copy(self) -> "Heat":
        """Return an independent twin."""
        return Heat(self.config, copy(self._clock), self._landmark, dict(self._trending), dict(self._newcomers))

    def add_all(self, events: Sequence[tuple[Interaction, int]]) -> None:
        """Take the next events, each with its number among its user's events of the same source, from 0."""
        interactions = [one for one, _ in events]
        ordinals = np.fromiter((ordinal for _, ordinal in events), np.int64, len(events))
        self.add_columns(EventColumns.of(repeat("", len(events)), interactions), ordinals)

    def add_columns(self, events: EventColumns, ordinals: Rows) -> None:
        """Take the next events as columns, whoever they are of; ``ordinals`` int64 (E,), as for :meth:`add_all`."""
        if not len(events):
            return
        if self._clock is None:
            self._clock = OwnTime.beginning(int(events.times[0]), self.config.trending_half_life_ms)
            self._landmark = int(events.times[0])
        own = self._clock.take_all(events.times)
        self._move_landmark()
        liked = events.positive
        items = Vocabulary()
        rows = items.admit(events.items.taken(liked))
        is_rating = np.array([kind == RATE for kind in events.kinds.ids], dtype=np.bool_)
        rated = self.config.kinds.of_kind(RATE).weight
        heats = np.where(is_rating[events.kinds.codes], rated, events.weights)[liked]
        ordinals = ordinals[liked]
        passed = own[liked] - self._landmark
        trending = heats * np.exp2(passed / self.config.trending_half_life_ms)
        self._add_sums(self._trending, items.ids, rows, trending)
        is_first = ordinals < NEWCOMER_EVENTS
        newcomers = heats[is_first] * np.exp2(passed[is_first] / self.config.newcomers_half_life_ms)
        self._add_sums(self._newcomers, items.ids, rows[is_first], newcomers)

    def take_back(self, event: Interaction, ordinal: int) -> None:
        """Take an event out that was taken before, by the present hand of the clock; the clock stays."""
        if self._clock is None or not event.is_positive:
            return
        age = self._clock.own + min(0, event.ts - self._clock.newest) - self._landmark
        heat = self.config.kinds.heat(event.kind, event.weight)
        for weights, half_life_ms, counts in (
            (self._trending, self.config.trending_half_life_ms, True),
            (self._newcomers, self.config.newcomers_half_life_ms, ordinal < NEWCOMER_EVENTS),
        ):
            taken = heat * 2.0 ** (age / half_life_ms)
            left = weights.get(event.item_id, 0.0) - taken
            if counts and left > taken * ROUNDING:
                weights[event.item_id] = left
            elif counts:
                weights.pop(event.item_id, None)

    def lists(self) -> TrendingLists:
        """Return the hottest items."""
        return TrendingLists(self._hottest(self._trending), self._hottest(self._newcomers))

    def _add_sums(self, weights: dict[str, float], ids: Iterable[str], rows: Rows, heats: NDArray[np.float64]) -> None:
        """Add what many events have added up to; of an item without an event there is none to add."""
        sums, events = np.bincount(rows, weights=heats).tolist(), np.bincount(rows).tolist()
        for item_id, more, n in zip(ids, sums, events, strict=False):  # ids beyond the last row have no event
            if n:
                weights[item_id] = weights.get(item_id, 0.0) + more
        self._bound(weights)

    def _bound(self, weights: dict[str, float]) -> None:
        if len(weights) > 2 * MAX_ITEMS:
            kept = sorted(weights.items(), key=lambda pair: pair[1])[-MAX_ITEMS:]
            weights.clear()
            weights.update(kept)

    def _move_landmark(self) -> None:
        assert self._clock is not None, "a landmark moves with an event"
        passed = self._clock.own - self._landmark
        for weights, half_life_ms in (
            (self._trending, self.config.trending_half_life_ms),
            (self._newcomers, self.config.newcomers_half_life_ms),
        ):
            factor = 2.0 ** (-passed / half_life_ms)
            for item_id in weights:
                weights[item_id] *= factor
        self._landmark = self._clock.own

    def _hottest(self, weights: dict[str, float]) -> Trending:
        hottest = nsmallest(self.config.kept, weights.items(), key=lambda pair: (-pair[1], pair[0]))
        highest = hottest[0][1] if hottest else 1.0
        return Trending.of((item_id, weight / highest) for item_id, weight in hottest if weight > 0.0)
