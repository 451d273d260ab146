"""The archiver process: accepted events of both topics into Parquet files, each once.

A process of its own with its own consumer group; several share the partitions. The group only shares out: where a
partition goes on is read from the files that it has (``streams.archive.parquet``), so a crash between reading and
writing costs nothing, and what an archiver that was declared dead still writes does no harm.
"""

import asyncio
import logging
import math
import os
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from streams.archive.parquet import ArchiveAway, EventArchive, Scan
from streams.archive.scanning import LastIds, Scanner
from streams.availability import Availability
from streams.errors import DataError, StateError, TopicError
from streams.kafka import topics
from streams.kafka.clients import consumer
from streams.kafka.cluster_watch import ClusterWatch, ClusterWatchConfig
from streams.kafka.kafka_errors import cluster_required
from streams.reading.lost_offsets import log_lost_offsets
from streams.reading.unreadable import get_many
from streams.records.decoding import RawRecord
from streams.redis.connection import connect
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.settings import Settings

__all__ = ["ARCHIVER_GROUP", "Archiver", "ArchiverConfig", "ArchiverReport"]

ARCHIVER_GROUP = "reelstream-archiver"
READ = 5000  # records taken at once; decoding them holds the event loop for about 50 ms
REVOKED_S = 5.0  # for writing what is given away; the group waits 10 s for it
FINISH_S = 3.0  # for the step that runs when the end is asked for
LAST_S = 4.0  # for the last files
COMMIT_S = 5.0
POSITION_S = 1.0  # it is known at once, unless Kafka must say where to go on
FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArchiverConfig:
    """When a file is written.

    Parameters
    ----------
    every_events : records of a partition that fill a file; 50,000 take 1 to 3 MB in it and 5 MB in memory.
    every_s : seconds after which a file is written with fewer; an event is archived at most this late.
    most_pending : records in memory, of all partitions; beyond it the fullest ones are written.
    remembered : newest events of a partition among which a producer's duplicates are found, 300 to 600 bytes each.
    seed : of the jitter between attempts to reach the store.
    watch : how often to look at the cluster.
    """

    every_events: int = 50_000
    every_s: float = 60.0
    most_pending: int = 400_000
    remembered: int = 50_000
    seed: int | None = None
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)


@dataclass(slots=True)
class ArchiverReport:
    """What an archiver tells about itself; counters since its start.

    ``lost`` counts offsets that left the topics unarchived. ``kafka_away_s`` are the seconds for which Kafka has not
    answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    records: int = 0
    archived: int = 0
    files: int = 0
    rejected: int = 0
    duplicates: int = 0
    pending: int = 0
    partitions: int = 0
    store_away: bool = False
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)


class Archiver:
    """One archiver; ``run`` returns after ``stop``.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    url : where the archive is, see ``EventArchive``.
    config : when a file is written.
    """

    def __init__(self, settings: Settings, url: str, config: ArchiverConfig | None = None) -> None:
        self._settings = settings
        self._config = config or ArchiverConfig()
        self._archive = EventArchive(url)
        self._cluster = ClusterWatch(
            settings, "archiver", self._config.watch, are_counts_fixed=False, told=self._kafka_is_away
        )
        self._told: dict[TopicPartition, int] = {}  # how far the group was told that a partition is archived
        self._random = random.Random(self._config.seed)
        self._stopping = asyncio.Event()
        self._lock = asyncio.Lock()  # scanning and giving partitions away exclude each other
        self._writing = asyncio.Lock()  # the end and a rebalance may want the same files written
        self._scanners: dict[TopicPartition, Scanner] = {}
        self._since: dict[TopicPartition, float] = {}  # when the oldest record that is not in a file came
        self._unplaced: set[TopicPartition] = set()
        self._failures = 0  # of the store, in a row
        self._retry_at = 0.0
        self.report = ArchiverReport()

    def stop(self) -> None:
        """Ask ``run`` to write what is pending and return; it takes at most nine seconds."""
        self._stopping.set()

    async def run(self) -> None:
        """Archive until ``stop``.

        Steps: 1 join the group; 2 read and write; 3 asked to stop, finish the running step, or leave it where the
        store hangs; 4 write what is pending; what cannot be written is read again by the next archiver; 5 leave.

        Raises
        ------
        TopicError
            If Kafka cannot be reached at the start, an event topic was made anew since, or a batch cannot be read.
        DataError
            If the archive does not belong to these topics, or its newest files are torn.
        """
        # Step 1
        await self._join()
        life = asyncio.create_task(self._show_life())
        stopping = asyncio.create_task(self._stopping.wait())
        working = asyncio.create_task(self._work())
        watching = asyncio.create_task(self._cluster.run())
        try:
            # Step 2
            await asyncio.wait((working, stopping, watching), return_when=asyncio.FIRST_COMPLETED)
            # Step 3
            if not working.done():
                await asyncio.wait((working,), timeout=FINISH_S)
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            # Step 4
            await self._hand_over(self._scanners, LAST_S)
            if watching.done():
                watching.result()  # a topic that was made anew
        finally:
            # Step 5
            life.cancel()
            stopping.cancel()
            working.cancel()
            watching.cancel()
            with suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self._consumer.stop(), 1.0)

    async def revoked(self, gone: Iterable[TopicPartition]) -> None:
        """Write what is pending of partitions that others will own, or leave it to them to read again."""
        async with self._lock:
            given = {at: self._scanners[at] for at in gone if at in self._scanners}
            await self._hand_over(given, REVOKED_S)
            for at in given:
                del self._scanners[at]
                self._told.pop(at, None)
                self._since.pop(at, None)
            self._unplaced -= set(gone)

    def assigned(self, given: Iterable[TopicPartition]) -> None:
        """Take note of partitions that are ours now; the next step finds out where they go on."""
        self._unplaced |= set(given)

    async def _join(self) -> None:
        self._consumer = consumer(self._settings, group_id=self._settings.prefix + ARCHIVER_GROUP)
        with cluster_required("archiver", self._settings):
            try:
                await self._consumer.start()
            except KafkaError:
                await self._consumer.stop()
                raise
        try:
            await self._cluster.look()
        except TopicError:
            await self._consumer.stop()
            raise
        self._consumer.subscribe([self._settings.prefix + topic for topic in topics.EVENTS], listener=_Shares(self))
        logger.info("archiver.ready %s", self._archive.url)

    async def _work(self) -> None:
        """Read and write in turn, so that a slow store slows the reading and memory stays bounded.

        Waiting for records happens without the lock: during a rebalance aiokafka lets nobody read until it is over.
        """
        while not self._stopping.is_set():
            async with self._lock:
                try:
                    if time.monotonic() >= self._retry_at:
                        await self._place()
                        await self._write_due()
                        self._store_answers()
                except ArchiveAway as error:
                    self._store_fails(error)
                except KafkaError as error:  # asked where a partition begins; the next step asks again
                    logger.info("archive.not_placed %r", error)
                if self._failures:
                    self._consumer.pause(*self._consumer.assignment())
            found = await get_many("archiver", self._consumer, timeout_ms=250, max_records=READ)
            async with self._lock:
                await self._take_in(found)
                await self._pass_markers()

    async def _place(self) -> None:
        """Go on after the newest file of each partition that is newly ours.

        Steps: 1 see which files there are, and what Kafka holds; 2 remember the newest events; 3 stand there.
        """
        wanted = sorted(self._unplaced)
        if not wanted:
            return
        # Step 1
        files = await asyncio.to_thread(self._archive.partitions)
        kept = await self._consumer.beginning_offsets(wanted)
        ends = await self._consumer.end_offsets(wanted)
        for at in wanted:
            there = files.get((at.topic, at.partition), ())
            position = max((file.last + 1 for file in there), default=0)
            if position > ends[at]:
                raise self._other_topic(at, position, ends[at])
            topic_id = self._cluster.ids.get(at.topic)
            archived_id = await asyncio.to_thread(self._archive.topic_id, there)
            if None not in (topic_id, archived_id) and topic_id != archived_id:
                raise self._other_topic(at, position, f"a topic of another id ({topic_id}, not {archived_id})")
            # Step 2
            ids = LastIds(in_all=self._config.remembered)
            for user_id, event_id in await asyncio.to_thread(self._archive.newest, there, self._config.remembered):
                ids.is_new(user_id, event_id)
            # Step 3
            scanner = Scanner(at.topic, at.partition, position, self._settings.prefix, ids, topic_id)
            self._skip_lost(at, scanner, kept[at])
            try:
                self._consumer.seek(at, scanner.position)
            except IllegalStateError:
                continue  # given away meanwhile; the group tells us as soon as the lock is free
            self._scanners[at] = scanner
        logger.info("archiver.placed %s partitions", len(wanted))
        self._unplaced -= set(wanted)

    async def _take_in(self, found: dict[TopicPartition, list[Any]]) -> None:
        """Scan what has come; what is no longer or not yet placed is read again from where its files end."""
        now = time.monotonic()
        for at, batch in found.items():
            scanner = self._scanners.get(at)
            if scanner is None:
                continue
            if batch[0].offset != scanner.position and not await self._is_explained(at, scanner, batch[0].offset):
                self._consumer.seek(at, scanner.position)
                continue
            self._since.setdefault(at, now)
            scanner.add([RawRecord.of(record) for record in batch])
            self.report.records += len(batch)
        self.report.pending = sum(scanner.pending for scanner in self._scanners.values())
        self.report.partitions = len(self._scanners)

    async def _pass_markers(self) -> None:
        """Go past markers of transactions and aborted records behind the last record, and tell the group of the rest.

        The files need not know: what is not in one is scanned again by whoever comes next, and holds nothing.
        """
        marks = {}
        for at, scanner in self._scanners.items():
            with suppress(IllegalStateError, TimeoutError):  # given away, or not placed by Kafka just now
                position = await asyncio.wait_for(self._consumer.position(at), POSITION_S)
                if position > scanner.position and await self._is_explained(at, scanner, position):
                    scanner.pass_to(position)
                if not scanner.pending and not scanner.closed and self._told.get(at, -1) < scanner.position:
                    marks[at] = scanner.position
        if marks:
            await self._tell(marks)

    async def _tell(self, marks: dict[TopicPartition, int]) -> None:
        """Commit how far partitions are archived: a hint for who watches the lag, as the files are what counts."""
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(self._consumer.commit(marks), COMMIT_S)
            self._told.update(marks)

    async def _is_explained(self, at: TopicPartition, scanner: Scanner, offset: int) -> bool:
        """Tell an offset that Kafka leaves out by itself from records that were deleted before they were archived.

        Returns False if Kafka does not answer just now.
        """
        if offset < scanner.position:
            raise self._other_topic(at, scanner.position, offset)
        try:
            kept = await self._consumer.beginning_offsets([at])
        except KafkaError as error:
            logger.info("archive.not_asked %r", error)
            return False
        self._skip_lost(at, scanner, kept[at])
        return True

    def _skip_lost(self, at: TopicPartition, scanner: Scanner, kept: int) -> None:
        if scanner.position < kept:
            cure = "they are in no file, which `archive verify` tells as a gap"
            self.report.lost += log_lost_offsets("archiver", (at.topic, at.partition), scanner.position, kept, cure)
            scanner.skip_to(kept)

    async def _write_due(self) -> None:
        """Write the partitions that are full or have waited long enough, and the fullest where all hold too much."""
        config, now = self._config, time.monotonic()
        fullest = sorted(self._scanners.items(), key=lambda pair: pair[1].pending, reverse=True)
        pending = sum(scanner.pending for scanner in self._scanners.values())
        for at, scanner in fullest:
            waited = now - self._since.get(at, now)
            if pending > config.most_pending or scanner.pending >= config.every_events or waited >= config.every_s:
                pending -= scanner.pending
                scanner.close()
        await self._write(self._scanners)

    async def _write(self, scanners: dict[TopicPartition, Scanner]) -> None:
        """Write every closed file of these partitions, in order, and tell the group how far they are."""
        marks = {}
        async with self._writing:
            for at, scanner in list(scanners.items()):  # a rebalance may take some meanwhile
                while scanner.closed:
                    scan = scanner.closed[0]
                    await asyncio.to_thread(self._archive.write, scan)
                    scanner.closed.popleft()
                    marks[at] = scan.last + 1
                    self._count(scan)
                if not scanner.pending:
                    self._since.pop(at, None)
        if marks:
            await self._tell(marks)

    def _count(self, scan: Scan) -> None:
        self.report.files += 1
        self.report.archived += sum(rows.num_rows for rows in scan.rows)
        self.report.rejected += scan.rejected
        self.report.duplicates += scan.duplicates

    async def _hand_over(self, scanners: dict[TopicPartition, Scanner], within_s: float) -> None:
        """Write everything that is pending of these partitions, in one attempt of limited time."""
        for scanner in scanners.values():
            scanner.close()
        try:
            await asyncio.wait_for(self._write(scanners), within_s)
        except (ArchiveAway, TimeoutError) as error:
            left = sum(len(scanner.closed) for scanner in scanners.values())
            logger.warning("archive.left %s files are not written and will be read again: %r", left, error)

    def _store_fails(self, error: ArchiveAway) -> None:
        self._failures += 1
        longest = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        wait_s = self._random.uniform(longest / 2, longest)
        self._retry_at = time.monotonic() + wait_s
        self.report.store_away = True
        logger.warning("archive.away %s; reading waits, next attempt in %.1f s", error, wait_s)

    def _store_answers(self) -> None:
        if self._failures:
            self._failures = 0
            self.report.store_away = False
            self._consumer.resume(*self._consumer.assignment())
            logger.info("archive.back")

    def _other_topic(self, at: TopicPartition, position: int, got: int | str) -> DataError:
        return DataError(
            f"archiver: {at.topic}/{at.partition} must go on at offset {position}, where {self._archive.url} ends, "
            f"got {got}; the topic was made anew: choose another archive or another prefix"
        )

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds

    async def _show_life(self) -> None:
        """Show signs of life; an archiver needs no Redis, so that it is away is said once."""
        redis = Availability("redis", "archiver", again_s=math.inf)
        while True:
            client = await asyncio.to_thread(connect, self._settings.redis, 0)
            life = SignOfLife(client, "archiver")
            try:
                while True:
                    await life.renew(asdict(self.report))
                    redis.found()
                    await asyncio.sleep(RENEW_S)
            except StateError as error:
                redis.lost(f"{error}; archiving goes on")
            finally:
                await client.aclose()
            await asyncio.sleep(RENEW_S)


class _Shares(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Passes on which partitions come and go."""

    def __init__(self, archiver: Archiver) -> None:
        self._archiver = archiver

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        await self._archiver.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._archiver.assigned(assigned)
