"""What trends in the events that a learner has seen, for the blend to learn from: as workers merge it, in memory.

What an event adds, and whose events are a newcomer's, is one rule for both (``KindTable.heat`` and ``source_of`` in
``model.kinds``). A worker keeps a clock for each topic of each partition, and a learner one for all.
"""

from dataclasses import dataclass, field

from model.feedback import NEWCOMER_EVENTS
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, KindTable
from model.own_time import OwnTime
from model.ranking.cold_start import Trending
from model.ranking.signals import Signals
from model.vocabulary import Vocabulary

__all__ = ["Heat", "HeatConfig", "TrendingLists"]

MAX_DOUBLINGS = 200.0  # after which weights are written relative to a new landmark
MAX_ITEMS = 100_000  # of one list; at twice as many the colder half is forgotten
DAY_MS = 86_400_000


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

    def add(self, one: Interaction, ordinal: int) -> None:
        """Take the next event; ``ordinal`` is its number among its user's events of the same source, from 0."""
        if self._clock is None:
            self._clock = OwnTime.beginning(one.ts, self.config.trending_half_life_ms)
            self._landmark = one.ts
        own = self._clock.take(one.ts)
        if not one.is_positive:
            return
        shortest = min(self.config.trending_half_life_ms, self.config.newcomers_half_life_ms)
        if self._clock.own - self._landmark > MAX_DOUBLINGS * shortest:
            self._move_landmark()
        heat = self.config.kinds.heat(one.kind, one.weight)
        self._add(self._trending, self.config.trending_half_life_ms, one.item_id, heat, own)
        if ordinal < NEWCOMER_EVENTS:
            self._add(self._newcomers, self.config.newcomers_half_life_ms, one.item_id, heat, own)

    def lists(self) -> TrendingLists:
        """Return the hottest items."""
        return TrendingLists(self._hottest(self._trending), self._hottest(self._newcomers))

    def _add(self, weights: dict[str, float], half_life_ms: int, item_id: str, heat: float, own: int) -> None:
        weights[item_id] = weights.get(item_id, 0.0) + heat * 2.0 ** ((own - self._landmark) / half_life_ms)
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
        hottest = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[: self.config.kept]
        highest = hottest[0][1] if hottest else 1.0
        return Trending.of((item_id, weight / highest) for item_id, weight in hottest if weight > 0.0)
