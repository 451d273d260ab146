"""Places for new items: what nobody is shown is never touched, and never trends, however good it is.

An item is new until so many events have touched it. How often new items were shown, and how often they were then
touched, says how promising each of them is: the upper confidence bound of its hit rate [1]_. In some lists the last
place goes to one of the most promising. It is drawn with a probability in proportion to its bound, so how likely each
item was to be there is known exactly. Thompson sampling [2]_ would need an integral for that.

References
----------
.. [1] Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine Learning 2002;
   departs from it: the bound is the posterior's mean and standard deviations, and it is drawn from, not maximised.
.. [2] Chapelle and Li, "An empirical evaluation of Thompson sampling", NIPS 2011.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import sqrt
from random import Random
from types import MappingProxyType
from typing import Any

from model.because import AS_NEW
from model.catalogue import Catalogue
from model.ranking.cold_start import ScoredItem

__all__ = [
    "ExposedList",
    "ExposureConfig",
    "ExposureEvidence",
    "NewItem",
    "Showings",
    "expose",
    "most_promising",
    "newest_first",
]

REASON = "New here"


@dataclass(frozen=True, slots=True)
class ExposureConfig:
    """Which items are new, and how they are judged.

    Parameters
    ----------
    until : events from which on an item is not new; by then trending and the model know it.
    candidates : newest items of the catalogue that are looked at.
    pool : most promising ones that are drawn from.
    prior : showings that what is known of all items counts for.
    optimism : standard deviations above the mean.

    Raises
    ------
    ValueError
        If a field is out of its range.
    """

    until: int = 50
    candidates: int = 1000
    pool: int = 10
    prior: float = 20.0
    optimism: float = 1.0

    def __post_init__(self) -> None:
        for name in ("until", "candidates", "pool"):
            if getattr(self, name) < 1:
                raise ValueError(f"ExposureConfig: {name} must be at least 1, got {getattr(self, name)!r}")
        if not 0.0 < self.prior < float("inf"):
            raise ValueError(f"ExposureConfig: prior must be positive, got {self.prior!r}")
        if not 0.0 <= self.optimism < float("inf"):
            raise ValueError(f"ExposureConfig: optimism must not be negative, got {self.optimism!r}")


@dataclass(frozen=True, slots=True)
class Showings:
    """Tests of lists that held an item at the place for new ones, and how many of these events touched it."""

    shown: int = 0
    hits: int = 0

    def tested(self, *, is_hit: bool) -> "Showings":
        """Return the same with one test more."""
        return Showings(self.shown + 1, self.hits + is_hit)


@dataclass(frozen=True, slots=True)
class ExposureEvidence:
    """What is known of items that may be new.

    Parameters
    ----------
    touches : item -> events that have touched it; absent for none.
    showings : item -> what came of showing it; absent where it was not shown.
    hit_rate : how often the last place of a list is right where an item has it by its score, 0..1.
    """

    touches: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    showings: Mapping[str, Showings] = field(default_factory=lambda: MappingProxyType({}))
    hit_rate: float = 0.01

    @classmethod
    def of(cls, touches: Mapping[str, int], tally: Mapping[str, Any]) -> "ExposureEvidence":
        """Return what touches and the description of a ``model.metrics.exposure.ExposureTally`` say.

        One hit of a hundred is taken for granted of the last place, so that it has a rate from the first test on.
        """
        showings = {item_id: Showings(*counts) for item_id, counts in tally["items"].items()}
        return cls(touches, showings, (1.0 + tally["hits"]) / (100.0 + tally["shown"]))


@dataclass(frozen=True, slots=True)
class NewItem:
    """A new item: the mean of its hit rate, and the bound in proportion to which it is drawn."""

    item_id: str
    mean: float
    bound: float


@dataclass(frozen=True, slots=True)
class ExposedList:
    """A list of which the last place may have gone to a new item.

    Parameters
    ----------
    items : best first; the new item, of source ``exposure``, last.
    propensity : how likely the last item was to be there.
    """

    items: tuple[ScoredItem, ...]
    propensity: float


def newest_first(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the ids of all items: without a year first, then by year, and of one year the last to come first."""
    rows = list(enumerate(catalogue))
    rows.sort(key=lambda row: (row[1].year is None, row[1].year or 0, row[0]), reverse=True)
    return tuple(item.item_id for _, item in rows)


def most_promising(
    newest: Sequence[str], evidence: ExposureEvidence, config: ExposureConfig | None = None
) -> tuple[NewItem, ...]:
    """Return the newest items that may yet be as good as a place of any list, newest first.

    With ``s`` showings and ``h`` hits the hit rate is Beta(prior * rate + h, prior * (1 - rate) + s - h). An item
    whose bound is below ``rate`` has been judged.

    Parameters
    ----------
    newest : item ids, newest first.
    evidence : what is known of them.
    config : sizes.
    """
    config = config or ExposureConfig()
    judged = (
        _judged(item_id, evidence, config)
        for item_id in newest[: config.candidates]
        if evidence.touches.get(item_id, 0) < config.until
    )
    return tuple(islice((item for item in judged if item.bound >= evidence.hit_rate), config.pool))


def expose(items: Sequence[ScoredItem], k: int, new: Sequence[NewItem], share: float, draw: Random) -> ExposedList:
    """Give the last place of a list to a new item with probability ``share``.

    Of the new items that are not among the first ``k`` anyway each is drawn in proportion to its bound b: it is in the
    list with probability ``share * b / sum of b``, and the item that has the place by its score with ``1 - share``.
    A list of fewer than ``k`` items, which leaves nothing out, stays as it is.

    Parameters
    ----------
    items : candidates, best first.
    k : length of the list.
    new : new items that this user has not touched.
    share : of the lists, 0..1.
    draw : decides.
    """
    ranked = tuple(items[:k])
    listed = {item.item_id for item in ranked}
    eligible = [item for item in new if item.item_id not in listed]
    if share == 0.0 or not eligible or len(ranked) < k:
        return ExposedList(ranked, 1.0)
    if draw.random() >= share:
        return ExposedList(ranked, 1.0 - share)
    bounds = [item.bound for item in eligible]
    [chosen] = draw.choices(eligible, bounds)
    shown = ScoredItem(chosen.item_id, chosen.mean, "exposure", REASON, AS_NEW)
    return ExposedList((*ranked[:-1], shown), share * chosen.bound / sum(bounds))


def _judged(item_id: str, evidence: ExposureEvidence, config: ExposureConfig) -> NewItem:
    seen = evidence.showings.get(item_id, Showings())
    n = config.prior + seen.shown
    mean = (config.prior * evidence.hit_rate + seen.hits) / n
    return NewItem(item_id, mean, mean + config.optimism * sqrt(mean * (1.0 - mean) / (n + 1.0)))
