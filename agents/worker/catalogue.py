"""The catalogue in a worker: items in time for events and dates, titles for look-ups, bad records to dead letters."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from itertools import islice

from agents.retry import Retry
from agents.worker.refresh import Current, RefreshConfig
from agents.worker.rejections import Rejections
from model.catalogue import Catalogue
from model.ranking.content import ContentIndex
from model.ranking.neighbours import similar_items
from model.ranking.recommender import Recommender
from model.similar import SimilarItems
from streams.errors import StateError
from streams.kafka.publisher import Publisher
from streams.reading.catalogue import CatalogueFeed
from streams.reading.compacted import MAX_REJECTED, CompactedFeed
from streams.records.decoding import Rejected
from streams.settings import Settings
from streams.state.store import State

__all__ = ["CatalogueFollower", "CataloguePublisher", "FeedLetters"]

logger = logging.getLogger(__name__)
SIMILAR_TOGETHER = 512  # items: one to three seconds of one core where there are 100,000
CATCH_UP_S = 1.0  # an item that nobody describes must not make every batch wait for the catalogue


class CatalogueFollower:
    """Lets the catalogue that serves be what may be listed now of that of the topic.

    Parameters
    ----------
    settings : where the topic is.
    current : the recommender whose catalogue is replaced.
    retry : waits for Kafka.
    config : how often to look at the clock.
    clock : milliseconds since the epoch, by which items are released and expire.
    """

    is_needed_to_serve = False

    def __init__(
        self,
        settings: Settings,
        current: Current,
        retry: Retry,
        config: RefreshConfig,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._current = current
        self._retry = retry
        self._clock = clock
        self._caught_up_at = 0.0
        self._changes_at: int | None = None
        self.period_s = config.clock_s
        self.feed = CatalogueFeed(settings, self._take_over)

    async def know(self, item_ids: Iterable[str]) -> None:
        """Read the catalogue to its end where one of these items is not in it yet."""
        first_id = self.feed.catalogue.renames.first_id
        is_known = all(first_id(item_id) in self.feed.catalogue for item_id in item_ids)
        if not is_known and time.monotonic() - self._caught_up_at > CATCH_UP_S:
            await self._retry.until_available(self.feed.catch_up)
            self._caught_up_at = time.monotonic()

    def keep_up(self) -> None:
        """List what is released by now, and no more what has expired; whoever makes lists calls it before."""
        if self._changes_at is not None and self._clock() >= self._changes_at:
            self._take_over(self.feed.catalogue)

    async def refresh(self) -> None:
        """Keep up while no list is made, for trending and look-ups."""
        self.keep_up()

    def _take_over(self, catalogue: Catalogue) -> None:
        now_ms = self._clock()
        listed = catalogue.listed(now_ms)
        self._changes_at = catalogue.changes_after(now_ms)
        self._current.recommender = self._current.recommender.with_catalogue(listed, ContentIndex(listed), catalogue)


class CataloguePublisher:
    """Writes titles and similar items for look-ups when the catalogue has changed, or Redis has lost them.

    What a new version says is similar is written too, but not with every version: a round makes one in seconds, and
    similar items hardly change with it. What has left the catalogue, or is listed no more, leaves the stored lists too,
    and what was renamed is there by its id of now.

    Parameters
    ----------
    state : Redis.
    config : how often, and how many neighbours.
    leads : whether this worker does now what only one should do.
    current : the recommender whose catalogue is written.
    thread : where similar items are computed.
    """

    is_needed_to_serve = False

    def __init__(
        self, state: State, config: RefreshConfig, leads: Callable[[], bool], current: Current, thread: Executor
    ) -> None:
        self._state = state
        self._n_similar = config.similar
        self._settle_s = config.settle_s
        self._leads = leads
        self._current = current
        self._thread = thread
        self._similar_s = config.similar_s
        self._published: Catalogue | None = None
        self._published_version: str | None = None
        self._published_at = 0.0
        self.period_s = config.trending_s

    def publish_again(self) -> None:
        """Publish the catalogue once more, for a Redis that may have lost what was written last."""
        self._published = None

    async def refresh(self) -> None:
        """Write what look-ups do not know."""
        recommender = self._current.recommender
        catalogue = recommender.catalogue
        if not self._leads():
            return
        is_there = catalogue is self._published and (not catalogue.items or await self._state.has_catalogue())
        if is_there and not self._is_due(recommender):
            return
        before, self._published = self._published, catalogue  # now: whoever wants it again meanwhile is heard
        self._published_version, self._published_at = recommender.version, time.monotonic()
        renames = recommender.known.renames
        known, listed = ((one.under_ids_of_today()) for one in (recommender.known or catalogue, catalogue))
        try:
            if not is_there:
                gone = await self._state.catalogue_ids() - known.items.keys()
                listed_before = (known if before is None else before.under_ids_of_today()).items.keys()
                unlisted = (listed_before & known.items.keys()) - listed.items.keys()
                await self._state.put_catalogue(known)
                await self._state.put_renames(renames.today)
                if gone or unlisted:
                    await self._drop(
                        gone, unlisted, {one: name for one, name in renames.today.items() if name in listed}
                    )
            await self._put_similar(recommender)
        except StateError:
            self.publish_again()
            raise

    def _is_due(self, recommender: Recommender) -> bool:
        """Tell whether another version serves than the one that said what is similar, the first one at once."""
        if recommender.version == self._published_version:
            return False
        is_first = self._published_version is None
        return is_first or time.monotonic() - self._published_at > self._similar_s

    async def _drop(self, gone: AbstractSet[str], unlisted: AbstractSet[str], renamed: Mapping[str, str]) -> None:
        """Take what left the catalogue, or is not listed, out of stored lists, once no worker makes such lists.

        What has another id now keeps its place there under that one.
        """
        await asyncio.sleep(self._settle_s)
        items = (gone | unlisted) - renamed.keys()
        dropped = await self._state.drop_from_lists(items, renamed)
        logger.info("worker.items_dropped %d from %d of %d stored lists", len(items), dropped.changed, dropped.lists)
        await self._state.put_catalogue((), gone)  # last: whoever goes on for this worker still finds what is gone

    async def _put_similar(self, recommender: Recommender) -> None:
        """Write what is similar part by part: no version waits for more than one, and memory holds no more."""
        found = similar_items(recommender.index, recommender.ranker, self._n_similar)
        named = recommender.known.renames.id_of_today

        def some() -> dict[str, SimilarItems]:
            return {named(item): near.named_by(named) for item, near in islice(found, SIMILAR_TOGETHER)}

        loop = asyncio.get_running_loop()
        while part := await loop.run_in_executor(self._thread, some):
            await self._state.put_similar(part)


class FeedLetters:
    """Sends bad records of a compacted topic to the dead letters; every worker reads them, one reports each once.

    Parameters
    ----------
    state : Redis, which knows those that were reported.
    config : how often.
    leads : whether this worker does now what only one should do.
    feed : read the records.
    noted : the key under which Redis knows those that were reported.
    publisher : returns where dead letters go.
    rejections : the account of dead letters.
    """

    is_needed_to_serve = False

    def __init__(
        self,
        state: State,
        config: RefreshConfig,
        leads: Callable[[], bool],
        feed: CompactedFeed,
        noted: str,
        publisher: Callable[[], Publisher],
        rejections: Rejections,
    ) -> None:
        self._state = state
        self._leads = leads
        self._feed = feed
        self._noted = noted
        self._publisher = publisher
        self._rejections = rejections
        self._waiting: tuple[Rejected, ...] = ()  # taken, and not known to be out
        self.period_s = config.trending_s

    async def refresh(self) -> None:
        """Send those that were read since the last time and nobody has reported; where that fails, the next time."""
        if not self._leads():
            return
        self._waiting = rejected = (*self._waiting, *self._feed.take_rejected())[-MAX_REJECTED:]
        reported = await self._state.rejected(self._noted) if rejected else {}
        news = [one for one in rejected if one.record.origin.offset > reported.get(one.record.origin.partition, -1)]
        if news:
            await self._publisher().publish(rejected=news)
            self._rejections.note(news)
            await self._state.note_rejected(
                self._noted,
                {one.record.origin.partition: one.record.origin.offset for one in news},  # ascending: the last wins
            )
        self._waiting = ()
