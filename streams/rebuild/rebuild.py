"""The whole event state once more, from the first event on, in another database, through the same functions.

Positions are part of the state, so a rebuild that was interrupted goes on where it was, and an event that is read twice
changes nothing. Batches are large and lanes of partitions overlap: while Redis applies one lane's events, another's are
decoded. ``target`` finds the database, ``copy`` copies what is not made of events, and ``switch`` puts the result in
the live database's place.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TypeVar

from redis.asyncio import Redis

from model.catalogue import Catalogue
from streams.archive.parquet import EventArchive
from streams.connected import connected
from streams.errors import StateAway, TopicError
from streams.people.forgetting import StateForgetter
from streams.people.merging import GuestMerger
from streams.reading.catalogue import CatalogueFeed
from streams.rebuild.source import ArchiveLane, KafkaLane, PartitionOffsets, event_topic_partitions, missing_offsets
from streams.records.positions import TopicPartition
from streams.records.records import EventRecord, Origin, Withdrawal
from streams.settings import Settings
from streams.state.store import State, StateConfig
from streams.withdrawals.originals import OriginalEvents

__all__ = ["Rebuild", "RebuildConfig", "ReplayTotals"]

logger = logging.getLogger(__name__)
T = TypeVar("T")
ReplayProgress = Callable[[int, int], None]
_CAUGHT_UP = 2000  # events: a tenth of a second's work
_AWAY_S = 60.0  # Redis may be away while events are applied, as for a restart: a rebuild of hours need not end for it
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class RebuildConfig:
    """Sizes of a rebuild.

    Parameters
    ----------
    batch : most events of one call: the more, the more events of a user share one function call, and the longer the
        server is busy with one partition's counters, at about 5 us an event.
    lanes : groups of partitions that are read and applied beside each other; two keep Redis busy.
    state : as the workers have it.
    """

    batch: int = 8000
    lanes: int = 2
    state: StateConfig = field(default_factory=StateConfig)


@dataclass(frozen=True, slots=True)
class ReplayTotals:
    """What was read: ``records`` of the topics, ``archived`` events of the archive, in how many seconds."""

    records: int
    archived: int
    seconds: float


class Rebuild:
    """One rebuild into one database; ``start`` before, ``stop`` after.

    Parameters
    ----------
    settings : where the topics are.
    target : the database, empty or an unfinished rebuild.
    config : sizes.
    archive : holds the events that the topics no longer hold.
    progress : called now and then with the records read and the records to read.
    """

    def __init__(
        self,
        settings: Settings,
        target: Redis,
        config: RebuildConfig | None = None,
        archive: EventArchive | None = None,
        progress: ReplayProgress | None = None,
    ) -> None:
        self._settings = settings
        self._config = config or RebuildConfig()
        self._archive = archive
        self._progress = progress
        self._state = State(
            target, replace(self._config.state, recent_returned=1), settings.kinds
        )  # profiles are for nobody here
        self._originals = OriginalEvents(settings, self._state, self._genres_of, "rebuild", archive)
        self._feed = CatalogueFeed(settings, lambda _: None)
        self._forgetter = StateForgetter(settings, self._state)
        self._merger = GuestMerger(self._forgetter.feed.merges, self._state)
        self._all_partitions = range(settings.partitions)
        n = min(self._config.lanes, settings.partitions)
        self._groups = [frozenset(range(lane, settings.partitions, n)) for lane in range(n)]
        self._lanes = [KafkaLane(settings, group) for group in self._groups]
        self._done = self._total = 0
        self._touched: set[str] | None = None
        self._connections = AsyncExitStack()
        self.catalogue = Catalogue()

    async def start(self) -> None:
        """Connect, prepare the database, and read the catalogue, whose genres belong to the events."""
        await self._state.install()
        await self._state.know_servers()
        await self._connections.enter_async_context(connected(*self._lanes, self._feed, self._forgetter.feed))
        self.catalogue = self._feed.catalogue

    async def stop(self) -> None:
        """Disconnect from Kafka."""
        await self._connections.aclose()

    async def replay(self) -> ReplayTotals:
        """Apply everything from where the database stands to the end of the topics.

        Raises
        ------
        TopicError
            If the topics no longer hold what is wanted next, and no archive does.
        StateError
            If Redis does not answer for a minute, or was started again meanwhile; running once more goes on.
        """
        began = time.monotonic()
        begin = await self._next_wanted()
        kept, ends = await self.bounds()
        archived_to = await self._archived_to(begin)
        self._require_all(archived_to, kept)
        below = {
            topic_partition: min(archived_to[topic_partition], ends[topic_partition])
            if offset < kept[topic_partition]
            else offset
            for topic_partition, offset in begin.items()
        }
        await self._forgetter.set_apart(self._all_partitions)
        archived = await self._replay_archive(begin, below)
        self.seek(below)
        records = await self.catch_up()
        return ReplayTotals(records, archived, time.monotonic() - began)

    async def catch_up(self) -> int:
        """Apply from where the reading stands until next to nothing is left; return how many records were read."""
        records, left = 0, _CAUGHT_UP
        while left >= _CAUGHT_UP:
            left = await self.replay_to((await self.bounds())[1])
            records += left
        return records

    async def replay_to(self, ends: PartitionOffsets) -> int:
        """Apply from where the reading stands up to these offsets; return how many records were read.

        Users who were forgotten, by now, are counted and deleted; guests are linked with their accounts.
        """
        before = self._done
        await self._forgetter.feed.catch_up()
        await self._forgetter.set_apart(self._all_partitions)
        self._total = self._done + sum(lane.left(ends) for lane in self._lanes)
        await _all(self._run(lane, ends) for lane in self._lanes)
        await self._forgetter.clear(self._all_partitions, ends)
        await self._merger.link(self._all_partitions)
        return self._done - before

    async def bounds(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Return the first offset that each partition still keeps, and the one after its last record."""
        found: list[tuple[dict[TopicPartition, int], dict[TopicPartition, int]]] = await _all(
            lane.bounds() for lane in self._lanes
        )
        return _merged(kept for kept, _ in found), _merged(ends for _, ends in found)

    def seek(self, offsets: PartitionOffsets) -> None:
        """Read on from these offsets; what is applied already changes nothing."""
        for lane in self._lanes:
            lane.seek(offsets)

    def note_touched(self) -> set[str]:
        """From now on collect the users whose events are read, in the set that is returned."""
        self._touched = set()
        return self._touched

    async def positions(self) -> dict[TopicPartition, int]:
        """Return the last applied offset of each partition in the database; -1 where nothing is."""
        found = await self._state.positions(event_topic_partitions(self._settings))
        return {topic_partition: position.applied for topic_partition, position in found.items()}

    async def _next_wanted(self) -> dict[TopicPartition, int]:
        found = await self._state.positions(event_topic_partitions(self._settings))
        return {topic_partition: position.certain + 1 for topic_partition, position in found.items()}

    async def _archived_to(self, begin: PartitionOffsets) -> dict[TopicPartition, int]:
        """Return how far the archive goes on without a gap from where the database stands."""
        if self._archive is None:
            return dict(begin)
        return await asyncio.to_thread(self._archive.unbroken, begin)

    def _require_all(self, wanted: PartitionOffsets, kept: PartitionOffsets) -> None:
        missing = missing_offsets(wanted, kept)
        if not missing:
            return
        told = ", ".join(f"{topic}[{partition}] {n:,}" for (topic, partition), n in missing.items())
        source = "the topics" if self._archive is None else f"the topics and the archive {self._archive.url}"
        raise TopicError(
            f"rebuild: every event from the first on is required, got {source} without these offsets: {told}; "
            "their retention has passed: give --from-archive URL of an archive that holds them"
        )

    async def _replay_archive(self, begin: PartitionOffsets, below: PartitionOffsets) -> int:
        if self._archive is None or begin == below:
            return 0
        self._total = self._done + sum(below[topic_partition] - begin[topic_partition] for topic_partition in below)
        lanes = [
            ArchiveLane(self._archive, group, begin, below, self._config.batch, self._settings.kinds)
            for group in self._groups
        ]
        return sum(await _all(self._run_archive(lane) for lane in lanes))

    async def _run(self, lane: KafkaLane, ends: PartitionOffsets) -> None:
        async for events, records in _ahead(lambda: lane.read(ends, self._config.batch)):
            await self._apply(events)
            self._tell(records)

    async def _run_archive(self, lane: ArchiveLane) -> int:
        applied = 0
        async for events in _ahead(lane.read):
            await self._apply(events)
            applied += len(events)
            self._tell(len(events))
        return applied

    async def _apply(self, events: Sequence[tuple[Origin, EventRecord]]) -> None:
        if not events:
            return
        if self._touched is not None:
            self._touched.update(event.user_id for _, event in events)
        sourced = self._forgetter.relabelled([(origin, event, self._genres(event)) for origin, event in events])
        began = time.monotonic()
        while True:
            try:
                await self._originals.apply(sourced)  # what was applied before the answer was lost changes nothing
            except StateAway as error:
                if time.monotonic() - began > _AWAY_S:
                    raise
                logger.warning("rebuild.waits %s", error)
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _genres(self, event: EventRecord) -> tuple[str, ...]:
        return () if isinstance(event, Withdrawal) else self._genres_of(event.item_id)

    def _genres_of(self, item_id: str) -> tuple[str, ...]:
        item = self.catalogue.find(self.catalogue.renames.first_id(item_id))
        return () if item is None else item.genres

    def _tell(self, records: int) -> None:
        self._done += records
        if self._progress:
            self._progress(self._done, self._total)


async def _ahead(read: Callable[[], Awaitable[T | None]]) -> AsyncIterator[T]:
    """Give what ``read`` returns until it returns None; the next is read while the caller works on one."""
    pending = asyncio.ensure_future(read())
    try:
        while (found := await pending) is not None:
            pending = asyncio.ensure_future(read())
            yield found
    finally:
        pending.cancel()


async def _all(works: Iterable[Awaitable[T]]) -> list[T]:
    """Run side by side; the first failure ends all."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _merged(parts: Iterable[PartitionOffsets]) -> dict[TopicPartition, int]:
    merged: dict[TopicPartition, int] = {}
    for part in parts:
        merged.update(part)
    return merged
