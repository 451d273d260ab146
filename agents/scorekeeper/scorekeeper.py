"""The scorekeeper process: how often the published lists were right, while it happens, and what follows if they drift.

A process of its own, so that counting never delays a list, and so that it sees what anybody outside sees: lists and
events as they are on the topics. It reads all partitions in the order of time, tests each event against the list before
it, and keeps figures and position together in Redis, so that every event counts once. Where the personalised lists of
the version that serves are clearly behind popularity, its parent serves again.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from agents.retry import Retry
from agents.scorekeeper.published import shown_list
from agents.side_by_side import side_by_side
from model.metrics.drift import Drift, DriftConfig, DriftGuard
from model.metrics.live import ExperimentUser, Scoreboard, ScoreboardConfig
from streams.availability import Availability
from streams.errors import StateError, TopicError
from streams.kafka import topics
from streams.kafka.cluster_watch import ClusterWatch, ClusterWatchConfig
from streams.kafka.model_versions import announce
from streams.kafka.topic_ids import replaced
from streams.reading.reader import EventReader
from streams.reading.time_order import TimeOrder
from streams.records.decoding import RawRecord, decode_batch
from streams.records.positions import Offsets, TopicIds, TopicPartition
from streams.records.records import ModelVersion
from streams.redis.connection import connect
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.registry.versions import VersionStore
from streams.settings import Settings
from streams.state.eviction import watch_eviction
from streams.state.keys import QUALITY
from streams.state.quality import SERIES, LiveQuality, QualityPoint, QualityShelf
from streams.state.store import ModelPointer, State

__all__ = ["SCOREKEEPER_GROUP", "Scorekeeper", "ScorekeeperConfig", "ScorekeeperReport"]

SCOREKEEPER_GROUP = "reelstream-scorekeeper"
READ = 2000  # records taken at once; counting them holds the event loop for about 30 ms
WAITING = 4000  # records of one partition that wait for earlier ones of others, about 8 MB of lists
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScorekeeperConfig:
    """What is counted, and when it is written.

    Parameters
    ----------
    guard : whether a version that drifts is rolled back.
    refill : records of each topic before the position that are read again at the start, to know lists and users.
    late_s : how long a record may take from its timestamp until it can be read.
    write_s : seconds between two writings of the figures.
    rewrite_s : seconds after which they are written though nothing has changed: Redis may have lost them.
    point_s : seconds between two points of the series.
    series : points that are kept.
    board, drift : sizes of what is counted, and how many tests the guard asks for.
    watch : how often to look at the cluster.
    """

    guard: bool = True
    refill: int = 20_000
    late_s: float = 2.0
    write_s: float = 1.0
    rewrite_s: float = 30.0
    point_s: float = 10.0
    series: int = SERIES
    board: ScoreboardConfig = field(default_factory=ScoreboardConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)


@dataclass(slots=True)
class ScorekeeperReport:
    """What a scorekeeper tells about itself; counters since its start, rates of the window.

    ``lost`` counts offsets that left the topics uncounted. ``kafka_away_s`` are the seconds for which Kafka has not
    answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    records: int = 0
    bad: int = 0
    waiting: int = 0
    tests: int = 0
    hit_rate: float = 0.0
    popularity_hit_rate: float = 0.0
    model_version: str | None = None
    guard: bool = True
    rolled_back: int = 0
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)


class Scorekeeper:
    """One scorekeeper; ``run`` returns when it is cancelled.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    config : what is counted.
    """

    def __init__(self, settings: Settings, config: ScorekeeperConfig | None = None) -> None:
        self._settings = settings
        self._config = config or ScorekeeperConfig()
        self._client = connect(settings.redis)
        self._state = State(self._client)
        self._shelf = QualityShelf(self._client, self._config.series)
        self._archive = VersionStore(settings.registry)
        self._lists = settings.prefix + topics.RECOMMENDATIONS
        names = (*topics.EVENTS, topics.RECOMMENDATIONS)
        self._reader = EventReader(settings, SCOREKEEPER_GROUP, names, "scorekeeper", "they are not counted")
        self._cluster = ClusterWatch(
            settings, "scorekeeper", self._config.watch, restart=(topics.RECOMMENDATIONS,), told=self._kafka_is_away
        )
        places = [(settings.prefix + name, partition) for name in names for partition in range(settings.partitions)]
        self._order = TimeOrder(places, self._lists, 1000 * self._config.late_s)
        self._board = Scoreboard(self._config.board)
        self._guard = DriftGuard(self._config.drift, self._config.board.k)
        self._began: dict[str, dict[int, int]] = {}
        self._offsets: dict[str, dict[int, int]] = {}
        self._written: Offsets = {}  # offsets that the stored figures include
        self._told: Offsets = {}  # offsets that the group was told
        self._stored_at = 0.0
        self._written_at = 0.0  # when it was last looked whether there is something to store
        self._is_whole_due = True  # of the users of the experiment that runs
        self._point_at = time.monotonic()
        self._point_tests = 0
        self._drifting: str | None = None
        self._unannounced: ModelVersion | None = None
        self._retry = Retry("scorekeeper", self._state.install)  # nothing here depends on positions
        self.report = ScorekeeperReport(guard=self._config.guard)

    async def run(self) -> None:
        """Count until cancelled.

        Steps: 1 connect; 2 take up the stored figures; 3 read and count; once a second write what has changed, and
        look whether the version that serves has drifted. Beside it, show signs of life and look at the cluster.
        """
        # Step 1
        await self._retry.until_available(self._state.install)
        await self._reader.start()
        try:
            await self._retry.until_available(self._cluster.look)
            eviction = watch_eviction("scorekeeper", self._settings)
            await side_by_side(self._count(), self._show_life(), self._cluster.run(), eviction)
        finally:
            await self._reader.stop()
            await self._client.aclose()

    async def _count(self) -> None:
        # Step 2
        await self._take_up()
        await self._recall_announcement()
        # Step 3
        while True:
            await self._read()
            if time.monotonic() - self._written_at >= self._config.write_s:
                await self._write()
                await self._tell_lag()
                await self._look_after_model()

    async def _take_up(self) -> None:
        """Go on from the stored figures; without any, count what comes from now on.

        What lies before is read again in either case, for the lists, users and popularity that it tells of.
        """
        stored = await self._retry.until_available(self._shelf.read)
        first, ends = await self._retry.until_available(self._reader.bounds)
        if stored is None:
            self._began = {topic: dict(partitions) for topic, partitions in ends.items()}
            self._offsets = {topic: dict(partitions) for topic, partitions in ends.items()}
        else:
            self._restore(stored, await self._retry.until_available(self._shelf.users))
            self._offsets = {
                topic: {at: self._goes_on(stored, (topic, at), low, ends[topic][at]) for at, low in partitions.items()}
                for topic, partitions in first.items()
            }
        self._point_tests = self._board.total.tests
        back = self._config.refill // self._settings.partitions
        await self._retry.until_available(self._reader.seek, self._offsets, back=back)
        await self._write()
        logger.info("scorekeeper.ready with %s tests", self._board.total.tests)

    def _goes_on(self, stored: LiveQuality, place: TopicPartition, low: int, end: int) -> int:
        """Return the first offset of a place that the stored figures do not include, of those that it still holds."""
        topic, at = place
        if topic in replaced(stored.topics, self._cluster.ids):
            logger.warning("scorekeeper.topic_made_anew %s[%d] is counted from its first record", topic, at)
            self._began.setdefault(topic, {})[at] = low
            return low
        wanted = stored.offsets.get(topic, {}).get(at, low)
        if wanted > end:
            logger.warning("scorekeeper.topic_shorter %s[%d] ends before %d", topic, at, wanted)
        self._reader.note_lost(place, wanted, low)
        return max(low, min(wanted, end))

    def _restore(self, stored: LiveQuality, drawn: Mapping[ExperimentUser, tuple[int, int]]) -> None:
        try:
            if not self._board.restore(stored.figures, drawn):
                logger.warning("scorekeeper.users_lost: the experiment that ran is counted anew")
        except ValueError as error:
            raise StateError(f"scorekeeper: {error}; delete the key {QUALITY} to count anew") from error
        self._began = {topic: dict(partitions) for topic, partitions in stored.began.items()}
        self._drifting = stored.drifting
        self._unannounced = stored.announcing

    async def _recall_announcement(self) -> None:
        """Forget a decision of an earlier scorekeeper that never took effect; any other may not have been announced."""
        if self._unannounced is None:
            return
        current = await self._retry.until_available(self._state.current_model)
        if current is None or current.version != self._unannounced.version:
            self._unannounced = None
            self._written = {}

    async def _read(self) -> None:
        """Take what has come, and count what is certain to be next in time."""
        records = await self._reader.read(READ, 0.25, without=self._order.full(WAITING))
        now_ms = _now_ms()
        self._order.add(records, now_ms)
        for record in self._order.ready(await self._reader.unread(), now_ms):
            self._tell(record)
        self.report.waiting = len(self._order)
        self.report.lost = self._reader.lost

    def _tell(self, record: RawRecord) -> None:
        """Tell the scoreboard of a record; bad ones are the worker's to report."""
        origin = record.origin
        offsets = self._offsets[origin.topic]
        is_new = origin.offset >= offsets[origin.partition]
        if is_new:
            offsets[origin.partition] = origin.offset + 1
            self.report.records += 1
        if origin.topic == self._lists:
            shown = shown_list(record)
            if shown is not None:
                self._board.add_list(shown)
            self.report.bad += is_new and shown is None
            return
        decoded = decode_batch([record], self._settings.prefix)
        self.report.bad += is_new and bool(decoded.rejected)
        is_before = origin.offset < self._began.get(origin.topic, {}).get(origin.partition, 0)
        for _, event in decoded.events:
            credit = self._board.add_event(
                event.user_id,
                event.item_id,
                origin.timestamp,
                event.rec_id,
                "new" if is_new else "before" if is_before else "counted",
            )
            if credit is not None and (is_new or not is_before):
                self._guard.observe(credit)

    async def _write(self) -> None:
        """Store figures and position where something has changed, or long ago."""
        self._written_at = time.monotonic()
        offsets = {topic: dict(partitions) for topic, partitions in self._offsets.items()}
        if offsets == self._written and time.monotonic() - self._stored_at < self._config.rewrite_s:
            return
        figures = await self._store(offsets)
        self.report.tests = figures["total"]["tests"]
        self.report.hit_rate = figures["latest"]["hit_rate"]
        self.report.popularity_hit_rate = figures["latest"]["popularity_hit_rate"]
        await self._add_point()

    async def _tell_lag(self) -> None:
        """Tell the group how far the counting is: past trailing markers of transactions, where no record waits."""
        done = {topic: dict(partitions) for topic, partitions in self._offsets.items()}
        if not len(self._order):
            for topic, partitions in self._reader.passed().items():
                for at, offset in partitions.items():
                    done[topic][at] = max(offset, done[topic][at])
        if done == self._told:
            return
        try:
            await self._reader.commit(done)
        except KafkaError as error:  # the position is in Redis; the next commit tells the lag as well
            logger.info("scorekeeper.not_committed %r", error)
        else:
            self._told = done

    async def _store(self, offsets: Offsets) -> Mapping[str, Any]:
        """Store what is counted up to these offsets, and return the figures."""
        figures = self._board.describe()
        quality = LiveQuality(figures, self._began, offsets, _now_ms(), self._drifting, self._unannounced, self._ids())
        drawn = self._board.take_users(whole=self._is_whole_due)
        are_whole = await self._retry.until_available(self._shelf.write, quality, drawn)
        self._is_whole_due = not are_whole
        self._written, self._stored_at = offsets if are_whole else {}, time.monotonic()
        return figures

    def _ids(self) -> TopicIds:
        return {topic: self._cluster.ids[topic] for topic in self._offsets if topic in self._cluster.ids}

    async def _add_point(self) -> None:
        if time.monotonic() - self._point_at < self._config.point_s or self.report.tests == self._point_tests:
            return
        self._point_at, self._point_tests = time.monotonic(), self.report.tests
        report = self.report
        point = QualityPoint(_now_ms(), report.tests, report.hit_rate, report.popularity_hit_rate, report.model_version)
        await self._retry.until_available(self._shelf.add, point)

    async def _look_after_model(self) -> None:
        """Look which version serves, and act where it has drifted and the guard is on."""
        await self._announce()
        current = await self._retry.until_available(self._state.current_model)
        self.report.model_version = None if current is None else current.version
        if current is None or not self._config.guard or self._unannounced is not None:
            return
        drift = self._guard.judge(current.version, current.promoted_at)
        if drift is not None and current.version != self._drifting:
            await self._answer(drift, current)

    async def _answer(self, drift: Drift, current: ModelPointer) -> None:
        """Let the parent serve again, or say once that there is none; whoever moves the pointer meanwhile wins."""
        parent, why_not = await asyncio.to_thread(self._archive.parent_of, current.version)
        said = (
            f"{drift.version} drifted: its personalised lists hit {drift.hits} of the latest {drift.tests} tests, "
            f"popularity {drift.popularity_hits}, {-drift.z:.1f} standard errors more"
        )
        logger.warning("scorekeeper.drift %s", said)
        if parent is None:
            self._drifting = drift.version  # to be stored, so that it is said once
            cause = f"{said}; {why_not}: `reelstream model rollback VERSION` serves another one"
            await self._decided(
                ModelVersion(drift.version, "drifting", None, current.uri, _now_ms(), drift.metrics(), cause)
            )
        else:
            pointer = ModelPointer(parent.version_id, parent.uri, _now_ms())
            cause = f"{said}; its parent {parent.version_id} serves again"
            metrics = drift.metrics()
            await self._decided(
                ModelVersion(parent.version_id, "rolled_back", parent.parent, parent.uri, _now_ms(), metrics, cause)
            )
            if not await self._retry.until_available(self._state.move_model, pointer, current):
                logger.warning("scorekeeper.rollback_dropped: another version was chosen meanwhile")
                await self._decided(None)
                return
            self.report.rolled_back += 1
        await self._announce()

    async def _decided(self, decision: ModelVersion | None) -> None:
        """Store what is to be announced before it takes effect: whoever starts after a kill announces it."""
        self._unannounced = decision
        await self._store({topic: dict(partitions) for topic, partitions in self._offsets.items()})

    async def _announce(self) -> None:
        """Announce what was decided; where Kafka does not take it, try again a second later."""
        if self._unannounced is None:
            return
        try:
            await asyncio.to_thread(announce, self._settings, self._unannounced)
        except TopicError as error:
            logger.warning("scorekeeper.not_announced %s", error)
        else:
            await self._decided(None)

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds

    async def _show_life(self) -> None:
        life, redis = SignOfLife(self._client, "scorekeeper"), Availability("redis", "scorekeeper")
        while True:
            try:
                await life.renew(asdict(self.report))
            except StateError as error:
                redis.lost(error)
            else:
                redis.found()
            await asyncio.sleep(RENEW_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
