"""What a worker keeps current between events, and how: parts that are refreshed again and again.

Each refresher looks after one part, such as the model or trending, and has a period of its own. What several workers
would do alike (merging trending, publishing titles and similar items) is done by the one that owns partition 0.
"""

import asyncio
from dataclasses import dataclass
from math import inf
from typing import NoReturn, Protocol

from model.catalogue import Catalogue
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from streams.availability import Availability
from streams.errors import StateError

__all__ = ["Current", "RefreshConfig", "Refresher", "keep_refreshing"]


@dataclass(frozen=True, slots=True)
class RefreshConfig:
    """How often to look.

    Parameters
    ----------
    model_s : seconds between looks at the model pointer; a new version serves at most this late plus loading.
    overrides_s : seconds between looks at the experiment and at the modes set by hand.
    retry_s : seconds before a version that could not be loaded is tried again; its store may have been away.
    trending_s : seconds between merges of trending, and between looks at what look-ups know of the catalogue.
    trending : items of trending that are kept in memory.
    hints_s : seconds between looks at what hints tell; it changes with a round of training.
    new_items_s : seconds between looks at which new items are promising.
    similar : neighbours of each kind that are published for each item.
    queries_s : seconds between looks whether what reads queries is for the catalogue that serves.
    clock_s : seconds between looks whether an item was released, or has expired.
    similar_s : seconds for which what one version says is similar stays published, at least.
    settle_s : seconds after which no worker makes lists of an earlier catalogue any more; each reads it at once, and a
        batch takes less than that.
    threads : between how many an exact ranking is divided.
    census_s : seconds between two counts of all users, at least.
    """

    model_s: float = 0.2
    overrides_s: float = 0.5
    retry_s: float = 10.0
    trending_s: float = 1.0
    trending: int = 500
    hints_s: float = 10.0
    new_items_s: float = 5.0
    similar: int = 20
    queries_s: float = 1.0
    clock_s: float = 0.2
    similar_s: float = 600.0
    settle_s: float = 2.0
    threads: int = 1
    census_s: float = 30.0


@dataclass(eq=False, slots=True)
class Current:
    """The recommender that serves now: each refresher puts another in its place, with its own part changed.

    Whoever replaces it must not wait between reading the old one and writing the new one.
    """

    recommender: Recommender

    @classmethod
    def empty(cls, modes: ModeConfig, *, repeats: bool = False) -> "Current":
        """Return one that knows neither items nor a model."""
        nothing = Catalogue()
        return cls(Recommender(nothing, ContentIndex(nothing), Trending(), ColdStart(), modes, repeats=repeats))


class Refresher(Protocol):
    """Keeps one part current.

    Attributes
    ----------
    period_s : seconds between two refreshes.
    is_needed_to_serve : whether it is refreshed once before the worker takes its first event.
    """

    period_s: float
    is_needed_to_serve: bool

    async def refresh(self) -> None:
        """Look once, and take over what has changed; raise StateError where Redis cannot tell."""


async def keep_refreshing(refresher: Refresher) -> NoReturn:
    """Refresh again and again, until cancelled; Redis may be away for a while, and what is in memory keeps serving."""
    redis = Availability("redis", "worker", again_s=inf)  # the sign of life says again that it lasts
    while True:
        try:
            await refresher.refresh()
        except StateError as error:
            redis.lost(error)
        else:
            redis.found()
        await asyncio.sleep(refresher.period_s)
