"""The rebuilt database takes the live one's place, between two batches of the workers, and nothing is lost.

Both are logical databases of one server, so ``SWAPDB`` does it for all connections at once. Workers are asked to wait
(``state:hold``) until then; the hold runs out by itself where the rebuild dies, and the swap is refused if it has.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import WatchError

from streams.errors import StateError, TopicError
from streams.kafka.topic_ids import replaced
from streams.reading.app import WORKER_GROUP
from streams.reading.range_reader import committed_offsets
from streams.rebuild.copy import Copier, CopyCounts
from streams.rebuild.rebuild import Rebuild
from streams.rebuild.sharing import require_nobody_came, require_unshared
from streams.rebuild.source import event_topic_partitions
from streams.rebuild.target import REBUILDING, RebuildTarget
from streams.records.positions import TopicPartition
from streams.redis.connection import answered
from streams.redis.heartbeat import EXPIRES_S
from streams.settings import Settings
from streams.state.keys import EXPERIMENT, HOLD, MODEL, MODEL_MOVES, MODEL_ROUNDS, OVERRIDES, TOPIC_IDS
from streams.state.store import State

__all__ = ["HOLD_S", "MAX_WAIT_S", "SwitchSummary", "hand_over", "switch"]

HOLD_S = 10.0  # a rebuild that was killed stops the workers for at most this long
_RENEW_S = 2.0
MAX_WAIT_S = 60.0  # a worker recovers its state or waits for Kafka; one that is dead is forgotten after 15 s
_LOOK_S = 0.02
_COORDINATOR_S = 30.0
_RETRY_S = 0.5
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SwitchSummary:
    """How the switch went.

    Parameters
    ----------
    lists, unknown : users whose list and mode were copied, and those with one of whom the topics know no event.
    workers : how many waited.
    pause_s : how long they did, from the hold to the swap.
    changed : users whose lists were copied within it.
    """

    lists: int
    unknown: int
    workers: int
    pause_s: float
    changed: int


async def hand_over(live: Redis, target: Redis) -> CopyCounts:
    """Copy what is not made of events to another server or cluster, and mark the rebuild there as done."""
    copied = await Copier(live, target, None).copy_all()
    with answered("rebuild: ending"):
        await target.delete(REBUILDING)
    return copied


async def switch(
    settings: Settings,
    rebuild: Rebuild,
    live: Redis,
    target: Redis,
    where: RebuildTarget,
    tell: Tell = lambda _: None,
    max_wait_s: float = MAX_WAIT_S,
) -> SwitchSummary:
    """Put the target, which has everything but the last moments, in the live database's place.

    Steps: 1 while workers go on, note where they stand, copy all lists and the like, and read again from where they
    stood, to know whose lists have changed since; 2 ask the workers to wait, and wait until they do; 3 apply what came
    meanwhile, to the end of the topics, so that a late worker's batch is applied already; 4 copy the changed lists;
    5 swap, if the hold still stands and nobody else has come to one of the databases.

    Parameters
    ----------
    rebuild : started, with everything replayed.
    live, target, where : the databases, and their numbers.
    tell : told in one line each what takes time.
    max_wait_s : how long to wait for the workers to wait.

    Raises
    ------
    StateError
        If a worker does not wait, the hold was lost, the live database is ahead of the topics, or others share one of
        the databases. Nothing has changed then; running the rebuild once more goes on.
    """
    if where.live is None or where.index is None:
        raise StateError(f"rebuild: a database of the live server is required for a switch, got {where!r}")
    copier = Copier(live, target, where.index)
    # Step 1
    stood = await _committed(settings)
    tell("copying lists, titles and the model pointer")
    copied = await copier.copy_all()
    changed = rebuild.note_touched()
    applied = await rebuild.positions()
    rebuild.seek(
        {topic_partition: min(offset, applied[topic_partition] + 1) for topic_partition, offset in stood.items()}
    )
    await rebuild.catch_up()
    for url in (settings.redis, where.url):  # others may have come since the target was found
        await require_unshared(url, settings.prefix)
    # Step 2
    began = time.monotonic()
    async with _held(live) as (token, renewing):
        tell("waiting for the workers to finish their batches")
        workers = await _until_held(live, began, max_wait_s, renewing)
        # Step 3
        _, ends = await rebuild.bounds()
        await rebuild.replay_to(ends)
        anew = replaced(await _topic_ids(live), await _topic_ids(target))
        kept = {
            topic_partition: offset
            for topic_partition, offset in (await _positions(settings, live)).items()
            if topic_partition[0] not in anew
        }
        _require_ahead(kept, await rebuild.positions())
        # Step 4
        await copier.copy_again(changed, copied)
        # Step 5
        for url in (settings.redis, where.url):
            await require_nobody_came(url, settings.prefix)
        await _swap(live, target, where.live, where.index, token)
        pause_s = time.monotonic() - began
    with answered("rebuild: ending the hold of the old state"):
        await target.eval(_RELEASE, 1, HOLD, token)  # the target's connection sees the old state now
    return SwitchSummary(copied.lists, copied.unknown, workers, pause_s, len(changed))


async def _committed(settings: Settings) -> dict[TopicPartition, int]:
    """Return where the workers' group stands; a cluster that never had a group makes its coordinator now."""
    began = time.monotonic()
    while True:
        try:
            return await committed_offsets(settings, settings.prefix + WORKER_GROUP, event_topic_partitions(settings))
        except TopicError as error:
            if not getattr(error.__cause__, "retriable", False) or time.monotonic() - began > _COORDINATOR_S:
                raise
        await asyncio.sleep(_RETRY_S)


@asynccontextmanager
async def _held(live: Any) -> AsyncIterator[tuple[str, "asyncio.Task[None]"]]:
    """Ask the workers to wait during the block; give the hold's token, and the task that renews it."""
    token = secrets.token_hex(8)
    with answered("rebuild: asking the workers to wait"):
        is_set = await live.set(HOLD, token, nx=True, px=int(HOLD_S * 1000))
        if not is_set and await live.get(HOLD) != token.encode():  # it may be ours, set when an answer got lost
            raise StateError(
                f"rebuild: no hold on the workers is required before the switch, got one of somebody else ({HOLD}); "
                f"wait {HOLD_S:g} s, or until the other rebuild is done, and run this one again"
            )
    renewing = asyncio.create_task(_renew(live, token))
    try:
        yield token, renewing
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError, StateError):
            await renewing
        with answered("rebuild: letting the workers go"):
            await live.eval(_RELEASE, 1, HOLD, token)


async def _renew(live: Any, token: str) -> None:
    renew = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
    while True:
        await asyncio.sleep(_RENEW_S)
        with answered("rebuild: renewing the hold"):
            if not await live.eval(renew, 1, HOLD, token, str(int(HOLD_S * 1000))):
                return


async def _until_held(live: Any, began: float, max_wait_s: float, renewing: "asyncio.Task[None]") -> int:
    """Wait until every living worker says, since the hold began, that it waits; return how many there are."""
    while True:
        alive = await _signs(live)
        since_ms = 1000 * (time.monotonic() - began)
        held = [report.get("held") is True and 1000 * EXPIRES_S - left < since_ms for report, left in alive]
        if all(held):
            return len(held)
        if renewing.done() or since_ms > 1000 * max_wait_s:
            raise StateError(
                f"rebuild: every worker must wait within {max_wait_s:g} s, got {held.count(False)} of {len(held)} "
                "that did not; the old state serves on, run the same command again to go on"
            )
        await asyncio.sleep(_LOOK_S)


async def _signs(live: Any) -> list[tuple[dict[str, Any], int]]:
    """Return each living worker's report, and for how many milliseconds it is still valid."""
    with answered("rebuild: asking whether the workers wait"):
        names = [name.decode() for name in await live.zrange("alive:worker", 0, -1)]
        pipeline = live.pipeline(transaction=False)
        for name in names:
            pipeline.get(f"alive:worker:{name}")
            pipeline.pttl(f"alive:worker:{name}")
        found = await pipeline.execute() if names else []
    signs = zip(found[::2], found[1::2], strict=True)
    return [(orjson.loads(report), left) for report, left in signs if report is not None]


async def _positions(settings: Settings, live: Redis) -> dict[TopicPartition, int]:
    found = await State(live).positions(event_topic_partitions(settings))
    return {topic_partition: position.applied for topic_partition, position in found.items()}


async def _topic_ids(client: Any) -> dict[str, str]:
    with answered("rebuild: asking which topics the positions belong to"):
        found = await client.hgetall(TOPIC_IDS)
    return {name.decode(): topic_id.decode() for name, topic_id in found.items()}


def _require_ahead(live: dict[TopicPartition, int], rebuilt: dict[TopicPartition, int]) -> None:
    behind = {
        topic_partition: (offset, rebuilt[topic_partition])
        for topic_partition, offset in live.items()
        if offset > rebuilt[topic_partition]
    }
    if behind:
        (topic, partition), (offset, got) = next(iter(behind.items()))
        raise StateError(
            f"rebuild: at least offset {offset} of {topic}[{partition}], where the live state stands, is required, got "
            f"{got}; the topic does not hold what the live state was made of, so the old state serves on"
        )


async def _swap(live: Any, target: Any, at: int, index: int, token: str) -> None:
    """Swap both databases with the newest choices of people, in one transaction that fails if the hold was lost.

    The model pointer is only ever moved; an experiment or a mode chosen by hand may have been taken back since it was
    copied, so those are removed before they are copied once more.
    """
    lost = StateError(
        "rebuild: the hold on the workers must last until the switch, got none; run the same command again"
    )
    with answered("rebuild: swapping the databases"):
        async with live.pipeline(transaction=True) as pipeline:
            await pipeline.watch(HOLD)
            if await pipeline.get(HOLD) != token.encode():
                raise lost
            pipeline.multi()
            pipeline.execute_command("SELECT", index)
            pipeline.execute_command("DEL", REBUILDING, EXPERIMENT, OVERRIDES)
            pipeline.execute_command("SELECT", at)
            for key in (MODEL, MODEL_MOVES, MODEL_ROUNDS, EXPERIMENT, OVERRIDES):
                pipeline.execute_command("COPY", key, key, "DB", index, "REPLACE")
            pipeline.execute_command("SWAPDB", at, index)
            try:
                await pipeline.execute()
            except WatchError:  # also where the connection broke, and then only the marker knows
                if await target.exists(REBUILDING):
                    raise lost from None
