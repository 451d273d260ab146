"""What the lanes that are no worker of ours do for some events: the same calls to Redis, and a list for each user."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from model.catalogue import Catalogue
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from streams.reading.catalogue import CatalogueFeed
from streams.records.decoding import RawRecord, decode_batch
from streams.records.records import Withdrawal
from streams.redis.connection import connect, connect_to_read
from streams.registry.registry import Registry
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.settings import Settings
from streams.state.store import AppliedBatch, State, StoredList

__all__ = ["Recommending"]

CANNED = b'{"mode":"personalized","items":"' + b"x" * 1470 + b'"}'  # as long as a list of ten with reasons


@dataclass(slots=True)
class Recommending:
    """State and, where lists are made, the model that serves."""

    settings: Settings
    state: State
    recommender: Recommender | None = None
    serving: Serving | None = None

    @classmethod
    async def prepared(cls, settings: Settings, *, has_model: bool) -> "Recommending":
        """Return one that is ready for events."""
        state = State(connect(settings.redis, prefix=settings.prefix), kinds=settings.kinds)
        await state.install()
        await state.know_servers()
        made = cls(settings, state)
        if has_model:
            made.recommender = _recommender(settings, await _catalogue(settings))
            scoring = BudgetedScorer(10.0, Breaker(BreakerConfig(), time.monotonic))
            made.serving = Serving(ServingConfig(explain=0), scoring, state, lambda: time.time_ns() // 1_000_000)
        return made

    async def applied(self, records: Sequence[RawRecord]) -> AppliedBatch:
        """Decode and apply."""
        decoded = decode_batch(records, self.settings.prefix, self.settings.kinds)
        genres = (lambda _: ()) if self.recommender is None else self.recommender.genres_of
        return await self.state.apply(
            [
                (at, event, genres(event.item_id))
                for at, event in decoded.events
                if not isinstance(event, Withdrawal)  # none is sent
            ]
        )

    async def lists(self, applied: AppliedBatch) -> list[StoredList]:
        """Return a list for each user, to be published and kept; a canned one where there is no model."""
        if self.serving is None or self.recommender is None:
            found = applied.profiles.values()
            return [StoredList(one.user_id, one.sequence, "personalized", CANNED) for one in found]
        wanted = [
            (applied.profiles[user_id], Trigger.of_event(origin, event.event_id, event.ts))
            for user_id, (origin, event) in applied.latest.items()
        ]
        answers = await self.serving.answer(self.recommender, wanted)
        return [one.stored() for one in answers]


async def _catalogue(settings: Settings) -> Catalogue:
    feed = CatalogueFeed(settings, lambda _: None)
    await feed.start()
    found = feed.catalogue
    await feed.stop()
    return found


def _recommender(settings: Settings, catalogue: Catalogue) -> Recommender:
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        version = str(client.hget("model:current", "version"))
    snapshot, _ = Registry(settings.registry).load(version)
    ranker = Ranker(snapshot)
    empty = Recommender(catalogue, ContentIndex(catalogue), Trending(), ColdStart(), ModeConfig())
    return empty.with_model(ranker, version)
