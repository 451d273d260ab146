"""The trainer process: collects events, fine-tunes, gates, stores a version, and lets the workers follow it.

A process of its own, so that training never delays a list; a plain consumer rather than a Faust agent, because
what it acknowledges is not a batch that it has seen but a version that it has stored.
"""

import asyncio
import logging
import os
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version as installed_version

import numpy as np
from aiokafka.errors import KafkaError

from agents.retry import Retry
from agents.side_by_side import side_by_side
from agents.trainer.pending import Pending
from model.network.snapshot import Snapshot
from model.training.gate import GateVerdict, gate
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import Candidate, RoundConfig, run_round
from streams.availability import SAY_AGAIN_S, Availability
from streams.errors import RegistryError, StateError
from streams.kafka import topics
from streams.kafka.clients import producer
from streams.kafka.cluster_watch import ClusterWatch, ClusterWatchConfig
from streams.kafka.kafka_errors import cluster_error
from streams.kafka.model_versions import key_of
from streams.kafka.topic_ids import replaced
from streams.reading.catalogue import CatalogueFeed
from streams.reading.reader import EventReader
from streams.records.codec import encode
from streams.records.decoding import decode_batch
from streams.records.positions import Offsets
from streams.records.records import ModelVersion, Status
from streams.redis.connection import connect
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.registry.registry import Registry
from streams.registry.versions import Version
from streams.settings import Settings
from streams.state.eviction import watch_eviction
from streams.state.store import ModelPointer, State

__all__ = ["TRAINER_GROUP", "Trainer", "TrainerConfig", "TrainerReport"]

TRAINER_GROUP = "reelstream-trainer"
LOST = "what they held is learnt by no version; `reelstream train --from-archive` learns from an archive that has it"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """When to train, and what to keep.

    Parameters
    ----------
    every_events : new events that start a round.
    every_s : seconds after which a round starts with fewer, if there are at least ``least_events``.
    least_events : new events below which a round teaches nothing, and its held-out tenth decides nothing.
    first_events : events needed for a first version.
    refill : events before a version's offsets that are read again at the start, as the old ones to replay.
    remembered_events : event ids remembered to leave out a producer's duplicates.
    keep_versions : versions that stay in the registry; the serving one and its parent always do.
    whole_every : versions of which one is stored whole; the others hold the changes to their parent where these are
        small, and a worker that starts reads all since the whole one.
    retry_s : seconds before a version that could not be loaded is tried again.
    diverged_rounds : rounds in a row from one version whose weights went out of bounds, before that version itself is
        blamed and its parent serves again.
    seed : of everything random; round n uses (seed, n).
    learner, rounds : what is kept in memory, and how a round trains.
    watch : how often to look at the cluster.
    """

    every_events: int = 2000
    every_s: float = 20.0
    least_events: int = 300
    first_events: int = 2000
    refill: int = 500_000
    remembered_events: int = 100_000
    keep_versions: int = 50
    whole_every: int = 10
    retry_s: float = 2.0
    diverged_rounds: int = 2
    seed: int = 0
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    rounds: RoundConfig = field(default_factory=RoundConfig)
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)


@dataclass(slots=True)
class TrainerReport:
    """What a trainer tells about itself; counters since its start.

    ``sync_bytes`` are of the version stored last. ``lost`` counts offsets that left the topics unlearnt.
    ``kafka_away_s`` are the seconds for which Kafka has not answered, None while it does. ``fault`` is why it is not
    healthy though it lives.
    """

    events: int = 0
    rounds: int = 0
    promoted: int = 0
    rejected: int = 0
    held: int = 0
    failed: int = 0
    rolled_back: int = 0
    sync_bytes: int = 0
    training: bool = False
    model_version: str | None = None
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)


class Trainer:
    """One trainer; ``run`` returns when it is cancelled.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    config : when to train.
    """

    def __init__(self, settings: Settings, config: TrainerConfig | None = None) -> None:
        self._settings = settings
        self._config = config or TrainerConfig()
        self._client = connect(settings.redis)
        self._state = State(self._client)
        self._registry = Registry(settings.registry)
        self._reader = EventReader(settings, TRAINER_GROUP, cure=LOST)
        self._feed = CatalogueFeed(settings, lambda _: None)
        self._cluster = ClusterWatch(
            settings,
            "trainer",
            self._config.watch,
            reread={topics.CATALOG: self._feed.reread},
            told=self._kafka_is_away,
        )
        self._learner = Learner(self._config.learner, self._config.rounds)
        self._offsets: Offsets = {}
        self._pending = Pending()
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._retry = Retry("trainer", self._state.install)  # nothing here depends on positions
        self._training = ThreadPoolExecutor(1)  # one thread for all rounds: the allocator keeps memory for each thread
        self._round_ended_at = time.monotonic()
        self._changes = 0  # versions in a row up to the one that serves that hold changes alone
        self._diverged = 0  # rounds in a row from it whose weights went out of bounds
        self._is_back = False  # whether it serves because rounds from its child diverged
        self._pointer: ModelPointer | None = None  # as it was found last, whoever moved it
        self._drifting: str | None = None  # version of which it was said that nothing can serve in its place
        self.report = TrainerReport()

    async def run(self) -> None:
        """Learn until cancelled.

        Steps: 1 connect; 2 take up the version that serves; 3 read, and train whenever it is due. Where somebody
        else has moved the pointer meanwhile (a rollback), it is step 2 again instead: what serves is what is tuned.
        Beside it, follow the catalogue, show signs of life and look at the cluster.
        """
        # Step 1
        await self._retry.until_available(self._state.install)
        self._producer = producer(self._settings)
        await self._reader.start()
        await self._feed.start()
        await self._producer.start()
        try:
            await self._retry.until_available(self._cluster.look)
            eviction = watch_eviction("trainer", self._settings)
            await side_by_side(self._learn(), self._feed.follow(), self._show_life(), self._cluster.run(), eviction)
        finally:
            await self._feed.stop()
            await self._reader.stop()
            await self._producer.stop()
            await self._client.aclose()

    async def _learn(self) -> None:
        # Step 2
        await self._take_up()
        # Step 3
        while True:
            await self._read()
            if await self._is_due():
                await (self._take_up() if await self._has_moved() else self._round())

    async def _take_up(self) -> None:
        """Start from the serving version, with the events before its offsets as the old ones."""
        self._learner = Learner(self._config.learner, self._config.rounds)
        self._pending.clear()
        self._remembered.clear()
        self._diverged = 0
        current = self._pointer = await self._serving()
        if current is None:  # none was promoted yet, or a Redis that lost everything before we came has none
            self.report.model_version, self._offsets, self._changes = None, {}, 0
            await self._retry.until_available(self._reader.seek, {})
            logger.info("trainer.ready without a version")
            return
        found = await self._loaded(current)
        if found is None:
            await self._take_up()
            return
        snapshot, version, self._changes = found
        self._learner.champion = snapshot
        self._offsets = offsets = await self._reachable(version)
        self.report.model_version = version.version_id
        partitions = 2 * self._settings.partitions
        back = self._config.refill // partitions
        await self._retry.until_available(self._reader.seek, offsets, back=back)
        while await self._reader.is_before(offsets):
            decoded = decode_batch(await self._reader.read(5000, 0.5, below=offsets), self._settings.prefix)
            self._learner.preload((event.user_id, event.interaction()) for _, event in decoded.events)
        logger.info("trainer.ready from %s with %s old events", version.version_id, len(self._learner))

    async def _loaded(self, current: ModelPointer) -> tuple[Snapshot, Version, int] | None:
        """Return a version's content and how many before it hold changes alone, or None if another serves meanwhile.

        Without the version there is nothing to tune: that is said, and is what ``health`` fails by, until it can be
        loaded or the pointer moves.
        """
        said_at: float | None = None
        while True:
            try:
                found = await asyncio.to_thread(self._load, current)
            except (RegistryError, ValueError) as error:
                self.report.fault = f"{current.version} serves and cannot be loaded: {error}"
                if said_at is None or time.monotonic() - said_at >= SAY_AGAIN_S:
                    said_at = time.monotonic()
                    logger.error(  # noqa: TRY400 - one line
                        "model.unloadable %s; nothing is learnt until it can be loaded or another serves", error
                    )
            else:
                self.report.fault = None
                return found
            await asyncio.sleep(self._config.retry_s)
            if await self._retry.until_available(self._state.current_model) != current:
                self.report.fault = None
                return None

    def _load(self, current: ModelPointer) -> tuple[Snapshot, Version, int]:
        try:
            snapshot, version = self._registry.load(current.version)
            return snapshot, version, self._registry.changes_since_whole(current.version)
        except RegistryError:
            other = self._registry.elsewhere(current.version, current.uri)
            if other is None:
                raise
            snapshot, version = other.load(current.version)
            return snapshot, version, self._config.whole_every  # what is stored here cannot rest on it

    async def _reachable(self, version: Version) -> Offsets:
        """Return a version's offsets without those of topics that were made anew: by their ids, or as they end before.

        Versions of earlier releases, and brokers before 2.8, tell no ids.
        """
        _, ends = await self._retry.until_available(self._reader.bounds)
        found: dict[str, dict[int, int]] = {}
        anew = replaced(version.details.get("topics", {}), self._cluster.ids)
        for topic, partitions in version.offsets.items():
            if topic in anew:
                logger.warning("trainer.topic_made_anew %s: all of it is new to %s", topic, version.version_id)
                continue
            for at, offset in partitions.items():
                if offset <= ends.get(topic, {}).get(at, offset):
                    found.setdefault(topic, {})[at] = offset
                else:
                    logger.warning("trainer.topic_shorter %s:%s ends before %s, all of it is new", topic, at, offset)
        return found

    async def _has_moved(self) -> bool:
        """Return whether another version serves than the one that is tuned here."""
        current = await self._serving()
        return (None if current is None else current.version) != self.report.model_version

    async def _serving(self) -> ModelPointer | None:
        """Return what the pointer says, which is put back first where Redis has lost it."""
        await self._retry.until_available(self._restore_pointer)
        return await self._retry.until_available(self._state.current_model)

    async def _restore_pointer(self) -> None:
        """Put the pointer back where there is none any more: a Redis that was emptied, or lost everything."""
        current = await self._state.current_model()
        pointer = self._pointer = current or self._pointer
        if current is None and pointer is not None and await self._state.move_model(pointer, expected=None):
            logger.warning("trainer.pointer_restored to %s: Redis had lost it", pointer.version)

    async def _read(self) -> None:
        """Observe what has come; bad records are the worker's to report."""
        records = await self._reader.read(5000, 0.25)
        for origin, event in decode_batch(records, self._settings.prefix).events:
            if event.event_id in self._remembered:
                continue
            self._remembered[event.event_id] = None
            if len(self._remembered) > self._config.remembered_events:
                self._remembered.popitem(last=False)
            self._learner.observe([(event.user_id, event.interaction())])
            self._pending.add(self._learner.observed, origin)
        self.report.events += len(records)
        self.report.lost = self._reader.lost

    async def _is_due(self) -> bool:
        """Return whether to train now: enough is new, or enough time has passed, and nothing waits to be read."""
        config = self._config
        new = self._learner.new_events
        if self._learner.champion is None:
            due = new >= config.first_events
        else:
            waited = time.monotonic() - self._round_ended_at
            due = new >= config.every_events or (new >= config.least_events and waited >= config.every_s)
        return due and await self._retry.until_available(self._reader.lag) < config.every_events

    async def _round(self) -> None:
        """Run one round: train, gate, and promote or reject.

        A round that cannot be trained changes nothing, and the next one waits for as many new events again.
        """
        self.report.rounds += 1
        self.report.training = True
        began = time.monotonic()
        try:
            candidate, verdict = await self._trained()
        except (ValueError, FloatingPointError) as error:
            logger.warning("round.failed %s: %s", self.report.rounds, error)
            await self._fail(error)
        else:
            self._diverged = 0
            try:
                await self._decide(candidate, verdict)
            except RegistryError as error:  # a full disk: the next round has its events too
                logger.error("round.failed %s: %s", self.report.rounds, error)  # noqa: TRY400 - one line
                await self._fail(error)
            logger.info("round.ended %s in %.1f s: %s", self.report.rounds, time.monotonic() - began, verdict)
        self.report.training = False
        self._round_ended_at = time.monotonic()

    async def _fail(self, error: ValueError | FloatingPointError | RegistryError) -> None:
        """Announce a round that led to no candidate, or to one that could not be stored.

        Where nobody has two events yet there is just nothing to learn. Where loss or weights went out of bounds the
        next round is more cautious, and after some of these in a row the version they start from is to blame.
        """
        self.report.failed += 1
        serving = self.report.model_version
        self._learner.abandon_round(diverged=isinstance(error, FloatingPointError))
        await self._announce(ModelVersion(None, "failed", serving, None, _now_ms(), cause=str(error)))
        self._diverged += isinstance(error, FloatingPointError)
        if serving is not None and self._diverged >= self._config.diverged_rounds:
            cause = f"{self._diverged} rounds in a row from {serving} diverged: {error}"
            self._diverged = 0
            await self._blame(serving, cause)

    async def _blame(self, serving: str, cause: str) -> None:
        """Let the parent of the version that serves serve again, and go on from it as cautiously as before.

        Where there is none, or where rounds from the parent diverge as well, it is not the version that is to blame:
        that is said, once for each version.
        """
        parent, why_not = await asyncio.to_thread(
            self._registry.parent_of, serving, lambda parent: self._registry.load(parent)[1]
        )
        if parent is None or self._is_back:
            if self._drifting != serving:
                self._drifting = serving
                cause += (
                    f"; {why_not or 'as did those from the version after it, so the events or the rate are to blame'}"
                )
                await self._announce(ModelVersion(serving, "drifting", None, None, _now_ms(), cause=cause))
            return
        pointer = ModelPointer(parent.version_id, parent.uri, _now_ms())
        pace = self._learner.update_scale
        if await self._move(pointer):
            logger.warning("model.rolled_back %s to %s: %s", serving, parent.version_id, cause)
            self.report.rolled_back += 1
            self._is_back = True
            figures = dict(parent.metrics)
            await self._announce(
                ModelVersion(parent.version_id, "rolled_back", parent.parent, parent.uri, _now_ms(), figures, cause)
            )
        await self._take_up()
        self._learner.update_scale = pace

    async def _trained(self) -> tuple[Candidate, GateVerdict]:
        generator = np.random.default_rng((self._config.seed, self.report.rounds))
        run = asyncio.get_running_loop().run_in_executor
        material = await run(self._training, self._learner.material, self._feed.catalogue)  # nothing observes meanwhile
        candidate = await run(self._training, run_round, material, self._learner.scaled_rounds(), generator)
        judge = partial(gate, candidate, min_events=self._config.learner.least_held_out)
        return candidate, await run(self._training, judge)

    async def _decide(self, candidate: Candidate, verdict: GateVerdict) -> None:
        if verdict.promote:
            if not await self._promote(candidate, verdict):
                await self._take_up()
                return
        else:
            status: Status = "held" if verdict.decision == "hold" else "rejected"
            await self._announce(
                ModelVersion(None, status, self.report.model_version, None, _now_ms(), _figures(verdict))
            )
        self._learner.settle(candidate, verdict)
        self._is_back &= not verdict.promote
        self.report.promoted += verdict.decision == "promote"
        self.report.rejected += verdict.decision == "reject"
        self.report.held += verdict.decision == "hold"

    async def _promote(self, candidate: Candidate, verdict: GateVerdict) -> bool:
        """Let a version serve.

        Steps: 1 store it with the offsets it contains; 2 move the pointer; 3 announce it; 4 commit the offsets.
        A crash after any step is made good by the next start, which follows the pointer; only the announcement of a
        version that serves already may be lost with it. Returns False, with nothing announced, where somebody moved the
        pointer while this version was trained.
        """
        # Step 1
        offsets = self._pending.moved(candidate.material.trained_to, self._offsets)
        version = await asyncio.to_thread(self._store, candidate, verdict, offsets)
        self._pending.forget(candidate.material.trained_to)
        self._changes = 0 if version.base is None else self._changes + 1
        self.report.sync_bytes = version.size
        # Step 2
        pointer = ModelPointer(version.version_id, version.uri, _now_ms())
        if not await self._move(pointer):
            logger.warning("promotion.dropped %s: another version was chosen meanwhile", version.version_id)
            return False
        self._pointer = pointer
        # Step 3
        await self._announce(
            ModelVersion(version.version_id, "promoted", version.parent, version.uri, _now_ms(), version.metrics)
        )
        # Step 4
        try:
            await self._reader.commit(offsets)
        except KafkaError as error:  # the version says where to go on; the next commit tells the lag as well
            logger.warning("trainer.not_committed %r", error)
        self._offsets = offsets
        self.report.model_version = version.version_id
        await self._prune(version.version_id)
        return True

    async def _prune(self, serving: str) -> None:
        """Delete old versions, but none that an experiment compares."""
        try:
            experiment = await self._state.experiment()
            pinned = () if experiment is None else experiment.versions
            await asyncio.to_thread(self._registry.prune, self._config.keep_versions, serving, pinned)
        except (RegistryError, StateError) as error:  # they may wait for the next round
            logger.warning("registry.not_pruned %s", error)

    async def _move(self, pointer: ModelPointer) -> bool:
        """Move the pointer from the version tuned here, unless somebody else has moved it."""
        current = await self._serving()
        if (None if current is None else current.version) != self.report.model_version:
            return False
        return await self._retry.until_available(self._state.move_model, pointer, current)

    def _store(self, candidate: Candidate, verdict: GateVerdict, offsets: Offsets) -> Version:
        return self._registry.save(
            candidate.snapshot,
            parent=self.report.model_version,
            metrics=_figures(verdict) | self._draws(),
            offsets=offsets,
            topic_ids={topic: self._cluster.ids[topic] for topic in offsets if topic in self._cluster.ids},
            created_ms=_now_ms(),
            seed=self._config.seed,
            code_revision=installed_version("reelstream"),
            onto=candidate.material.champion if self._changes + 1 < self._config.whole_every else None,
        )

    def _draws(self) -> dict[str, float]:
        """Return what a round's draws and steps are repeated by, beside the seed: its number, and its pace."""
        pace = self._learner.update_scale
        return {"round": float(self.report.rounds), "rate": pace.rate, "work": pace.work}

    async def _announce(self, decided: ModelVersion) -> None:
        """Announce a decision, however long Kafka is away; the topic keeps the latest of several."""
        await self._retry.until_available(self._send, decided)

    async def _send(self, decided: ModelVersion) -> None:
        topic = self._settings.prefix + topics.MODEL_VERSIONS
        try:
            await self._producer.send_and_wait(topic, encode(decided), key=key_of(decided))
        except KafkaError as error:
            raise cluster_error(error, f"trainer: {topic} must take an announcement") from error

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds

    async def _show_life(self) -> None:
        life, redis = SignOfLife(self._client, "trainer"), Availability("redis", "trainer")
        while True:
            try:
                await life.renew(asdict(self.report))
                await self._restore_pointer()
            except StateError as error:
                redis.lost(error)
            else:
                redis.found()
            await asyncio.sleep(RENEW_S)


def _figures(verdict: GateVerdict) -> dict[str, float]:
    """Return the gate's figures as they are stored and announced."""
    figures = {
        "hr@10": verdict.candidate.hit_rate,
        "ndcg@10": verdict.candidate.ndcg,
        "popularity_hr@10": verdict.popularity.hit_rate,
        "held_out": float(verdict.events),
        "z": verdict.z,
    }
    if verdict.champion is not None:
        figures |= {"champion_hr@10": verdict.champion.hit_rate, "champion_ndcg@10": verdict.champion.ndcg}
    return figures


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
