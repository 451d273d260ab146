"""What the agents of one worker share: its connections, its current recommender, and how it ends."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from agents.retry import Retry
from agents.worker.fetching import FetchWatchConfig
from agents.worker.recovery import Mender
from agents.worker.refresh import Upkeep, UpkeepConfig
from model.ranking.modes import ModeConfig
from streams.errors import StreamError
from streams.kafka.publisher import Publisher
from streams.reading.app import WORKER_GROUP
from streams.records.codec import encode
from streams.records.decoding import RawRecord, Rejected
from streams.records.positions import TopicPartition
from streams.records.records import Origin
from streams.serving.lists import Answer, Serving, ServingConfig
from streams.settings import Settings
from streams.state.store import State, StoredList

__all__ = ["FATAL_STATUS", "Worker", "WorkerConfig", "end_process", "raw_record"]

logger = logging.getLogger(__name__)
FATAL_STATUS = 70  # EX_SOFTWARE of sysexits: restart me
WATCH_REDIS_S = 0.5  # another Redis is noticed by the next batch at once, and by an idle worker within this
HELD_S = 0.05
T = TypeVar("T")
CATCH_UP_S = 1.0  # an item that nobody describes must not make every batch wait for the catalogue


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Sizes of a worker.

    Parameters
    ----------
    batch : most events taken at once.
    within_s : how long a batch is collected, seconds; half of it is the mean delay it adds.
    serving, upkeep, modes, fetching : of the parts.
    """

    batch: int = 256
    within_s: float = 0.02
    serving: ServingConfig = field(default_factory=ServingConfig)
    upkeep: UpkeepConfig = field(default_factory=UpkeepConfig)
    modes: ModeConfig = field(default_factory=ModeConfig)
    fetching: FetchWatchConfig = field(default_factory=FetchWatchConfig)


class Worker:
    """One worker process, joined together; ``ready`` returns once everything is loaded.

    Redis may go away for any time and come back, even with less: ``patiently`` waits for it, and the mender applies
    again what it has lost. One batch is answered at a time, ``in_turn``, and nothing else happens to the state then.
    """

    def __init__(
        self,
        settings: Settings,
        config: WorkerConfig,
        state: State,
        serving: Serving,
        upkeep: Upkeep,
        outbox: Callable[[], Publisher],
        assigned: Callable[[], frozenset[TopicPartition]],
        answer: Callable[["Worker", Sequence[RawRecord]], Awaitable[None]],
        follows: Callable[[Origin], int],
    ) -> None:
        self.settings = settings
        self.config = config
        self.state = state
        self.serving = serving
        self.upkeep = upkeep
        self._outbox = outbox
        self._ready = asyncio.Event()
        self._caught_up_at = 0.0
        self.in_turn = asyncio.Lock()
        group = settings.prefix + WORKER_GROUP
        self.mender = Mender(settings, group, state, assigned, lambda records: answer(self, records), follows)
        self._waiting = Retry("worker")
        self._mending = Retry("worker", self._recover)

    async def start(self) -> None:
        """Load what serving needs and let the agents go."""
        await self._waiting.until_available(self.state.install)
        await self._waiting.until_available(self.state.know_servers)
        await self._waiting.until_available(self.upkeep.start)
        await self._wait_while_held()
        gc.collect()
        gc.freeze()  # what is loaded stays: walking torch's half a million objects again would stop lists for 0.15 s
        self._ready.set()
        logger.info("worker.ready %s items, model %s", len(self.upkeep.feed.catalogue), self.upkeep.recommender.version)

    async def ready(self) -> None:
        """Wait until the worker may take events."""
        await self._ready.wait()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer of a call to Redis, whenever it comes; only ``in_turn``, as it may have to mend first."""
        return await self._mending.until_available(call)

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer of a call that only reads, whenever it comes; at any time."""

        async def recover_in_turn() -> None:
            async with self.in_turn:
                await self._recover()

        return await Retry("worker", recover_in_turn).until_available(call)

    async def watch_redis(self) -> None:
        """Between batches: wait while workers are asked to, and look at a Redis or at partitions that are new here."""
        while True:
            if await self._waiting.until_available(self.state.is_held):
                await self._be_held()
            elif await self._waiting.until_available(self.state.has_moved):
                async with self.in_turn:
                    await self._recover()
            elif self.mender.has_new_places:
                async with self.in_turn:
                    await self.patiently(lambda: self.mender.look(everywhere=False))
            await asyncio.sleep(WATCH_REDIS_S)

    async def _be_held(self) -> None:
        async with self.in_turn:
            logger.warning("worker.held until the key state:hold is gone")
            self.upkeep.report.held = True
            await self._waiting.until_available(self.upkeep.show_life)
            await self._wait_while_held()
            self.upkeep.report.held = False
            await self._recover()
        logger.warning("worker.released")

    async def _wait_while_held(self) -> None:
        held = True
        while held:
            await asyncio.sleep(HELD_S)
            held = await self._waiting.until_available(self.state.is_held)

    async def _recover(self) -> None:
        await self._waiting.until_available(self.mender.recover)
        self.upkeep.report.mended = self.mender.mended
        self.upkeep.publish_again()

    async def know_items(self, item_ids: Iterable[str]) -> None:
        """Read the catalogue to its end where a batch names an item that is not in it yet."""
        unknown = any(item_id not in self.upkeep.feed.catalogue for item_id in item_ids)
        if unknown and time.monotonic() - self._caught_up_at > CATCH_UP_S:
            await self._waiting.until_available(self.upkeep.feed.catch_up)
            self._caught_up_at = time.monotonic()

    async def deliver(
        self,
        answers: Sequence[Answer],
        rejected: Sequence[Rejected],
        keep: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None,
    ) -> None:
        """Publish, and when the broker has everything, keep the lists and modes in Redis.

        ``keep`` makes the call to Redis, None keeps nothing there. The mode is kept after its change was published: a
        crash in between repeats the announcement.
        """
        bodies = [encode(answer.recommendation) for answer in answers]
        lists = [(answer.recommendation.user_id, body) for answer, body in zip(answers, bodies, strict=True)]
        changes = [answer.change for answer in answers if answer.change is not None]
        await self._outbox().publish(lists, changes, rejected)
        self.upkeep.count_letters(rejected)
        if keep is not None and answers:
            stored = [
                StoredList(answer.recommendation.user_id, answer.recommendation.sequence, answer.mode, body)
                for answer, body in zip(answers, bodies, strict=True)
            ]
            await keep(lambda: self.state.store_lists(stored))
        report = self.upkeep.report
        report.lists += len(answers)
        report.degraded += sum(answer.recommendation.mode == "degraded" for answer in answers)

    @contextmanager
    def fatal(self, where: str) -> Iterator[None]:
        """End the process on an error, with nothing acknowledged; cancellation passes through.

        An error that was raised on purpose says what is wrong in one line; any other one needs its traceback.
        """
        try:
            yield
        except StreamError as error:
            end_process(where, error)
        except Exception:
            logger.exception("worker.fatal in %s; what is not acknowledged will be read again", where)
            _exit()


def end_process(where: str, error: StreamError) -> NoReturn:
    """End at once, with one line about an error that was raised on purpose; what is not acknowledged is read again."""
    logger.error("worker.fatal in %s: %s", where, error)
    _exit()


def _exit() -> NoReturn:
    logging.shutdown()
    os._exit(FATAL_STATUS)


def raw_record(event: Any) -> RawRecord:
    """Return a Faust event as a record of ours."""
    message = event.message
    origin = Origin(message.topic, message.partition, message.offset, round(message.timestamp * 1000))
    return RawRecord(origin, message.key, event.value)
