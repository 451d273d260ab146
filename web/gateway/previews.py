"""A user's list as a stored version would make it now, by the same steps as a worker; nothing is published or kept.

It brings all of ranking, so it is imported where somebody asks. Hints about the user and queries in words are the
worker's alone, and no place is left to chance, so that two versions differ by nothing but what they have learnt.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis

from model.catalogue import Catalogue, Item
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.retrieval import build_ranker
from streams.metrics.caches import CacheLookups
from streams.records.codec import encode
from streams.registry.registry import Registry
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.settings import Settings
from streams.state.store import State

__all__ = ["Previews"]

_MAX_VERSIONS = 4  # held ready: as many as two people compare; each has all weights of a version
_TRENDING = 500  # items of the trending lists, all that Redis keeps
T = TypeVar("T")


class Previews:
    """Makes lists by versions that need not serve.

    Parameters
    ----------
    settings : where the registry is.
    client : an asynchronous client that returns bytes; closed by who opened it.
    lookups : counts which versions were held ready, as of the cache ``versions``.
    """

    def __init__(self, settings: Settings, client: Redis, lookups: CacheLookups) -> None:
        self._settings = settings
        self._lookups = lookups
        self._state = State(client, kinds=settings.kinds)
        self._serving = Serving(ServingConfig(), _AtLeisure(), self._state, lambda: time.time_ns() // 1_000_000)
        self._rankers: OrderedDict[str, Ranker] = OrderedDict()
        self._items: Sequence[Item] = ()
        self._index = ContentIndex(Catalogue())
        self._alone = asyncio.Lock()

    async def of(self, user_id: str, version: str, items: Sequence[Item]) -> dict[str, Any]:
        """Return the list as it would be published.

        Raises
        ------
        RegistryError
            If there is no such version, or it is not whole.
        StateError
            If Redis does not answer.
        """
        async with self._alone:  # of two who ask for one version, the second finds it there
            recommender = await self._recommender(version, items)
        profile = recommender.known.renames.of_profile((await self._state.profiles([user_id]))[user_id])
        trigger = Trigger.of_request(f"preview-{profile.sequence}", profile.last_ts)
        [answer] = await self._serving.answer(recommender, [(profile, trigger)])
        found: dict[str, Any] = orjson.loads(encode(answer.recommendation))
        return found

    async def _recommender(self, version: str, items: Sequence[Item]) -> Recommender:
        ranker = self._rankers.get(version)
        self._lookups.note("versions", hits=ranker is not None, misses=ranker is None)
        if ranker is None:
            ranker = await asyncio.to_thread(self._load, version)
        self._rankers[version] = ranker
        self._rankers.move_to_end(version)
        while len(self._rankers) > _MAX_VERSIONS:
            self._rankers.popitem(last=False)
        if items is not self._items:
            self._index = await asyncio.to_thread(lambda: ContentIndex(Catalogue.of(items).under_first_ids()))
            self._items = items
        found, newest = await self._state.trending(_TRENDING), await self._state.newcomers(_TRENDING)
        first_id = self._index.catalogue.renames.first_id
        trending, newcomers = (Trending.of((first_id(item), heat) for item, heat in one) for one in (found, newest))
        return Recommender(
            self._index.catalogue,
            self._index,
            trending,
            ColdStart(),
            ModeConfig(),
            ranker,
            version,
            newcomers=newcomers,
            repeats=self._settings.keep_repeats,
            known=self._index.catalogue,
        )

    def _load(self, version: str) -> Ranker:
        snapshot, _ = Registry(self._settings.registry).load(version)
        ranker = build_ranker(snapshot, self._settings.retrieval)
        ranker.warm_up()
        return ranker


class _AtLeisure:
    """Scores in a thread and for as long as it takes: a person looks, and nobody else waits."""

    async def within_budget(self, score: Callable[[], T], fallback: Callable[[], T], *, is_urgent: bool = True) -> T:  # noqa: ARG002 - a Scorer's signature
        """Return ``score()``."""
        return await asyncio.to_thread(score)
