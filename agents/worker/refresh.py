"""What a worker does between events: follow the model, the catalogue and the hot list, and show signs of life.

Every part is a loop that ends only with the worker. What several workers would do alike (merging the hot
lists, publishing titles and similar items) is done by the one that owns partition 0.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from agents.worker.rejections import Rejections
from model.catalogue import Catalogue
from model.network.snapshot import Snapshot
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex, Neighbours
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.retrieval import build_ranker, has_faiss, is_large
from model.vocabulary import Rows
from streams.errors import RegistryError, StateAway, StateError
from streams.kafka.publisher import Publisher
from streams.reading.catalogue import CatalogueFeed
from streams.records.decoding import Rejected
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.registry.registry import FollowedVersion, Registry
from streams.serving.arms import Arms
from streams.settings import Settings
from streams.state.store import ModelPointer, State

__all__ = ["StalledPartition", "Upkeep", "UpkeepConfig", "WorkerReport"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpkeepConfig:
    """How often to look.

    Parameters
    ----------
    model_s : seconds between looks at the model pointer; a new version serves at most this late plus loading.
    choices_s : seconds between looks at the experiment and at the modes chosen by hand.
    retry_s : seconds before a version that could not be loaded is tried again; its store may have been away.
    hot_s : seconds between merges of the hot list.
    trending : items of the hot list that are kept in memory.
    similar : neighbours published for each item.
    threads : between how many an exact ranking is divided.
    """

    model_s: float = 0.2
    choices_s: float = 0.5
    retry_s: float = 10.0
    hot_s: float = 1.0
    trending: int = 500
    similar: int = 20
    threads: int = 1


@dataclass(frozen=True, slots=True)
class StalledPartition:
    """A partition that is not fetched: the next offset it would give, and seconds since its last answer."""

    partition: str
    offset: int | None
    age_s: float


@dataclass(slots=True)
class WorkerReport:
    """What a worker tells about itself; counters since its start.

    ``rejected`` counts the dead letters that it sent: events, requests and films. ``patched`` and ``loaded`` count the
    versions taken over as changes alone and whole. For the one that serves ``sync_bytes`` were read, and it came
    ``sync_ms`` after its promotion: so long lists were still of the one before. ``lost`` counts offsets that left
    retention before they were read; ``stalled`` names what Kafka does not answer for.
    ``kafka_away_s`` are the seconds for which Kafka has not answered, None while it does. ``unloaded`` is the version
    that should serve and cannot be loaded. ``fault`` is why the worker is not healthy though it lives.
    """

    events: int = 0
    applied: int = 0
    rejected: int = 0
    lists: int = 0
    degraded: int = 0
    batches: int = 0
    batch_ms: float = 0.0
    mended: int = 0
    held: bool = False
    model_version: str | None = None
    patched: int = 0
    loaded: int = 0
    sync_bytes: int = 0
    sync_ms: int = 0
    experiment: str | None = None
    chosen: int = 0
    lost: int = 0
    stalled: list[StalledPartition] = field(default_factory=list)
    kafka_away_s: float | None = None
    unloaded: str | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)


class Upkeep:
    """Keeps a worker's ``Recommender`` current.

    Parameters
    ----------
    settings : addresses.
    state : Redis.
    life : where signs of life go.
    leads : whether this worker does now what only one should do.
    report : what the worker tells about itself.
    outbox : where dead letters of the catalogue go.
    """

    def __init__(
        self,
        settings: Settings,
        config: UpkeepConfig,
        modes: ModeConfig,
        state: State,
        life: SignOfLife,
        leads: Callable[[], bool],
        report: WorkerReport,
        outbox: Callable[[], Publisher],
    ) -> None:
        self._settings = settings
        self._config = config
        self._state = state
        self._life = life
        self._leads = leads
        self._outbox = outbox
        self._registry = Registry(settings.registry)
        self._thread = ThreadPoolExecutor(1, "upkeep")  # one for good: the allocator keeps memory for each thread
        self._refused: str | None = None
        self._retry_at = 0.0
        self._why: str | None = None  # why the version that should serve does not
        self._published: Catalogue | None = None
        self._misread: str | None = None
        self.arms = Arms(state, self._load_beside, config.retry_s)
        self.report = report
        self._rejections = Rejections(time.monotonic)
        self.feed = CatalogueFeed(settings, self._catalogue_changed)
        empty = Catalogue()
        self.recommender = Recommender(empty, ContentIndex(empty), Trending(), ColdStart(), modes)

    async def start(self) -> None:
        """Load everything that serving needs; the worker takes no event before."""
        await self.feed.start()
        await self._look_at_model()
        await self._look_at_choices()
        await self._look_at_hot()

    def loops(self) -> tuple[Callable[[], Any], ...]:
        """Return what must run as long as the worker does."""
        return (
            self.feed.follow,
            partial(self._every, self._config.model_s, self._look_at_model),
            partial(self._every, self._config.choices_s, self._look_at_choices),
            partial(self._every, self._config.hot_s, self._look_at_hot),
            partial(self._every, RENEW_S, self.show_life),
            partial(self._every, self._config.hot_s, self._publish_catalogue),
            partial(self._every, self._config.hot_s, self._report_rejected),
        )

    async def stop(self) -> None:
        """Let go of the connections, and of the thread once it is done."""
        self._rejections.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self.feed.stop()

    async def _every(self, seconds: float, look: Callable[[], Any]) -> None:
        """Look again and again; Redis may be away for a while, and what is in memory keeps serving."""
        failed = False
        while True:
            try:
                await look()
                failed = False
            except StateError as error:
                if not failed:
                    logger.warning("redis.unavailable worker: %s", error, extra={"role": "worker"})
                failed = True
            await asyncio.sleep(seconds)

    def _catalogue_changed(self, catalogue: Catalogue) -> None:
        self.recommender = self.recommender.with_catalogue(catalogue, ContentIndex(catalogue))

    async def _look_at_model(self) -> None:
        """Swap in the version that the pointer names; keep the old one where the new one cannot be used."""
        current = await self._state.current_model()
        if current is None or current.version == self.recommender.version:
            self._is_loaded()
            return
        if current.version == self._refused and time.monotonic() < self._retry_at:
            return
        try:
            ranker, followed = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._load, current.version, self.recommender, current.uri
            )
        except (RegistryError, ValueError, FloatingPointError) as error:
            self._refused, self._retry_at = current.version, time.monotonic() + self._config.retry_s
            self._is_unloadable(current.version, error)
            return
        self._refused = None
        self._is_loaded()
        is_first = self.recommender.version is None  # of this process: no list was of an earlier version meanwhile
        self.recommender = self.recommender.with_model(ranker, current.version)
        self._report_sync(current, followed, is_first=is_first)

    def _is_unloadable(self, version: str, error: Exception) -> None:
        """Say which version should serve and cannot; where none is loaded at all, lists are degraded until one is."""
        serving = self.recommender.version
        stays = "no version is loaded, lists are degraded" if serving is None else f"{serving} keeps serving"
        logger.error("model.refused %s; %s", error, stays)
        before, self.report.unloaded = self._why, version
        self._why = f"{version} should serve and cannot be loaded, {stays}: {error}"
        if self.report.fault in (None, before):
            self.report.fault = self._why
        if serving is None:
            self.recommender = self.recommender.without_model()

    def _is_loaded(self) -> None:
        if self.report.fault == self._why:
            self.report.fault = None
        self.report.unloaded = self._why = None

    def _report_sync(self, current: ModelPointer, followed: FollowedVersion, *, is_first: bool) -> None:
        report = self.report
        report.model_version = current.version
        report.sync_bytes = followed.size
        report.sync_ms = 0 if is_first else max(0, time.time_ns() // 1_000_000 - current.promoted_at)
        report.patched += followed.changed is not None
        report.loaded += followed.changed is None
        how = "whole" if followed.changed is None else f"{len(followed.changed)} items changed"
        logger.info("model.swapped %s, %s, %s bytes, %s ms late", current.version, how, followed.size, report.sync_ms)

    def _load(self, version: str, serving: Recommender | None = None, uri: str = "") -> tuple[Ranker, FollowedVersion]:
        """Read a version, from what serves where only changes lie between the two.

        Where the registry does not hold it, it is read from where the pointer says that it is.
        """
        before = None if serving is None else serving.ranker
        held = None
        if serving is not None and serving.version is not None and before is not None:
            held = serving.version, before.snapshot
        try:
            followed = self._registry.follow(version, held)
        except RegistryError:
            other = self._registry.elsewhere(version, uri)
            if other is None:
                raise
            followed = other.follow(version, held)
        ranker = self._ranker(followed.snapshot, before, followed.changed)
        ranker.warm_up()
        return ranker, followed

    def _ranker(self, snapshot: Snapshot, before: Ranker | None = None, changed: Rows | None = None) -> Ranker:
        """Return what the settings ask for; where they leave it open and faiss is missing, rank exactly and say so."""
        mode = self._settings.retrieval
        if mode == "auto" and is_large(len(snapshot.items), mode) and not has_faiss():
            logger.warning(
                "model.exact %d items are scored for every list, which may take longer than the budget; "
                "install faiss with pip install 'reelstream[large]'",
                len(snapshot.items),
            )
            mode = "exact"
        return build_ranker(snapshot, mode, threads=self._config.threads, before=before, changed=changed)

    async def _load_beside(self, version: str) -> Ranker:
        """Return the ranker of a version that an arm pins, read whole: it need not be near the one that serves."""
        ranker, _ = await asyncio.get_running_loop().run_in_executor(self._thread, self._load, version)
        return ranker

    async def _look_at_choices(self) -> None:
        """Follow what people have chosen: the experiment, and the modes of single users."""
        await self.arms.look(lambda: self.recommender)
        self.report.experiment = None if self.arms.experiment is None else self.arms.experiment.name
        chosen = self.recommender.overrides
        try:
            chosen, wrong = await self._state.mode_overrides()
        except StateAway:
            raise
        except StateError as error:  # those known before hold on
            wrong = (str(error),)
        misread = "; ".join(wrong[:3]) or None
        if misread not in (None, self._misread):
            logger.error("modes.misread %s in all: %s", len(wrong), misread)
        self._misread = misread
        if chosen != self.recommender.overrides:
            self.recommender = self.recommender.with_overrides(chosen)
            self.report.chosen = len(chosen)

    async def _look_at_hot(self) -> None:
        if self._leads():
            await self._state.merge_trending(self._settings.partitions, self.recommender.catalogue)
        hot = await self._state.trending(self._config.trending)
        self.recommender = self.recommender.with_trending(Trending.of(hot))

    def publish_again(self) -> None:
        """Publish the catalogue once more, for a Redis that may have lost what was written last."""
        self._published = None

    async def _publish_catalogue(self) -> None:
        """Write titles and similar items for look-ups when the catalogue, or the Redis, has changed, or lost them."""
        catalogue, index = self.recommender.catalogue, self.recommender.index
        if not self._leads():
            return
        if catalogue is self._published and (not catalogue.items or await self._state.has_catalogue()):
            return
        self._published = catalogue  # before it is, so that whoever wants it again meanwhile is heard
        try:
            gone = await self._state.catalogue_ids() - catalogue.items.keys()
            await self._state.put_catalogue(catalogue, gone)
            similar = await asyncio.get_running_loop().run_in_executor(self._thread, self._similar, index)
            await self._state.put_similar(similar)
        except StateError:
            self.publish_again()
            raise

    def _similar(self, index: ContentIndex) -> dict[str, Neighbours]:
        return dict(index.similar_to_all(self._config.similar))

    async def _report_rejected(self) -> None:
        """Send bad catalogue records to the dead letters; every worker reads them, one reports each of them once."""
        if not self._leads():
            return
        rejected = self.feed.take_rejected()
        reported = await self._state.rejected_items() if rejected else {}
        news = [one for one in rejected if one.record.origin.offset > reported.get(one.record.origin.partition, -1)]
        if news:
            await self._outbox().publish(rejected=news)
            self.count_letters(news)
            await self._state.note_rejected_items(
                {one.record.origin.partition: one.record.origin.offset for one in news}  # ascending: the last wins
            )

    def count_letters(self, rejected: Sequence[Rejected]) -> None:
        """Take note of dead letters that were sent: events, requests and films alike."""
        self.report.rejected += len(rejected)
        self._rejections.note(rejected)

    async def show_life(self) -> None:
        """Renew the sign of life with the present report; what died in the last minute is told beside it."""
        self._rejections.look()
        await self._life.renew(asdict(self.report))
