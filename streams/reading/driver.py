"""Faust's Kafka driver with what production needs of it: committed records, honest offsets, and losses that are told.

Faust 0.15.3 reads uncommitted records unless it is in a transaction of its own. It commits what was acknowledged, and
so stays behind a topic that ends in control records. Where retention has removed the next record, Faust goes on with
the first that is left and says nothing. It spends more on handing over a record than most of us do with it. Each of
these is one method here; the rest is Faust's.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.tuples import TP, ack_lock
from mode.utils.futures import notify

from streams.errors import TopicError
from streams.kafka.clients import READ_COMMITTED
from streams.reading.fetched import FetchedMessage, fetched_messages
from streams.reading.unreadable import (
    MAX_SINGLE_READS,
    FetchPositions,
    assignment_of,
    is_unreadable,
    position_of,
    read_carefully,
    states_of,
)
from streams.records.positions import TopicPartition

__all__ = ["LostRange", "StalledPartition", "drive"]

logger = logging.getLogger(__name__)
# Partitions of one number, of all topics, are one worker's, however many there are: what people ask is carried out by
# who owns them all. Only this one is named: aiokafka 0.14 joins its group once for each assignor, and two members with
# two of them each interrupt one another again and again.
_ASSIGNOR = RangePartitionAssignor
_PROBE_S = 3.0
_FINISH_S = 10.0  # a batch takes a tenth of a second; where Redis is away nothing will be done
_WHO = "worker"
MAX_WAITING = 3072  # records of a topic that are handed over and not done: two batches and one that is gathered
_CROWDED_S = 0.01  # how long other topics are waited for while one has that many: it may have room again


@dataclass(frozen=True, slots=True)
class LostRange:
    """Offsets of a partition that it no longer holds: from ``first`` up to, not including, ``kept``."""

    topic_partition: TopicPartition
    first: int
    kept: int


@dataclass(frozen=True, slots=True)
class StalledPartition:
    """A partition that is not fetched: where it stands, and since how many seconds no answer came."""

    topic_partition: TopicPartition
    offset: int | None
    age_s: float


def drive(
    app: faust.App, end: Callable[[TopicError], Any], applied: Callable[[TopicPartition], Awaitable[int]]
) -> None:
    """Let an app use this driver; before it starts.

    Parameters
    ----------
    app : of the worker.
    end : called with what makes going on impossible; not expected to return.
    applied : returns the last offset of a partition that the state knows, -1 for none.
    """
    transport = _Transport(app.conf.broker_consumer, app)
    transport.end = end
    transport.applied = applied
    app.transport = transport


class _FetchPosition(NamedTuple):
    """How far fetching a partition has come; one object, because another thread reads both."""

    handed: int | None  # last offset that was handed out
    stands: int  # position after the latest fetch


_NOTHING = _FetchPosition(None, 0)


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust ships no types we could use
    """Fetches in a thread of its own, and notes what each fetch has passed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reached: dict[TopicPartition, _FetchPosition] = {}
        self.due: dict[TopicPartition, int] = {}  # offset from which on nothing was handed out and nothing left out
        self.gaps: dict[tuple[str, int, int], int] = {}  # record -> the offset from which on nothing lies before it
        self.lost: list[LostRange] = []
        self.gave_at: dict[int | None, float] = {}  # leader -> when records of it were taken last, wall clock
        self.assigned_at = time.time()
        self._assignment: Any = None  # that all of these are about

    def highwater(self, tp: Any) -> Any:
        """Return the end of what can be read: an open transaction is no lag of ours."""
        return self._ensure_consumer().last_stable_offset(tp)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = READ_COMMITTED  # noqa: SLF001 - read when it starts; the driver passes none
        consumer._auto_offset_reset = "none"  # noqa: SLF001 - a position out of range is raised, not passed over
        consumer._partition_assignment_strategy = [_ASSIGNOR]  # noqa: SLF001 - Faust's deals all topics in one row
        return consumer

    async def _fetch_records(self, consumer: Any, active_partitions: Any, **options: Any) -> Any:
        start = FetchPositions(consumer)
        try:
            found = await super()._fetch_records(consumer, active_partitions, **options)
        except OffsetOutOfRangeError as error:
            await self._go_to_kept(consumer, error.args[0])
            return {}
        except NoOffsetForPartitionError as error:  # a group that never committed begins with the first record
            await self._begin(consumer, error.args[0])
            return {}
        except Exception as error:
            if not is_unreadable(error):
                raise
            start.restore()
            found = await self._read_carefully(consumer, active_partitions, super()._fetch_records)
            if not start.is_current:
                return {}
        self._note(consumer, found)
        return found

    async def _read_carefully(self, consumer: Any, partitions: Any, fetch: Any) -> Any:
        async def one(at: Any) -> list[Any]:
            found = await fetch(consumer, {at}, timeout=_PROBE_S, max_records=1)
            return list(found.get(at, ()))

        return await read_carefully(_WHO, consumer, partitions, one, MAX_SINGLE_READS)

    def _note(self, consumer: Any, found: Mapping[Any, Any]) -> None:
        """Note what was handed out, and where each partition stands.

        Another assignment is noticed here, in the thread that fetches. Faust hears of it in its own thread; by then a
        fetch of the old assignment might have passed records, and these would be taken for done.
        """
        assignment = assignment_of(consumer)
        if assignment is not self._assignment:
            self._assignment = assignment
            self.reached.clear()
            self.due.clear()
            self.gaps.clear()
        leader, now = _leaders(consumer), time.time()
        for at, records in found.items():
            self.gave_at[leader(at)] = now
            topic_partition = at.topic, at.partition
            due = self.due.get(topic_partition)
            for record in records:
                if due is not None and due < record.offset:
                    self.gaps[record.topic, record.partition, record.offset] = due
                due = record.offset + 1
            self.due[topic_partition] = records[-1].offset + 1
        for at, state in states_of(consumer):
            if state.has_valid_position:
                topic_partition = at.topic, at.partition
                handed = found[at][-1].offset if found.get(at) else self.reached.get(topic_partition, _NOTHING).handed
                self.reached[topic_partition] = _FetchPosition(handed, state.position)
                self.due.setdefault(topic_partition, state.position)

    async def seek_to_committed(self) -> Any:
        """Stand where the group has committed, or at the first record where it never did; Faust would not move then."""
        return await self.call_thread(self._seek_to_committed)

    async def _seek_to_committed(self) -> Any:
        consumer = self._ensure_consumer()
        committed = await consumer.seek_to_committed()
        for at, offset in committed.items():
            if offset is None:
                await self._begin(consumer, at)
            elif offset == 0:  # which aiokafka leaves out
                _seek(consumer, at, 0)
        return committed

    async def _begin(self, consumer: Any, at: Any) -> None:
        kept = await consumer.beginning_offsets([at])
        _seek(consumer, at, kept[at])

    async def _go_to_kept(self, consumer: Any, wanted: Mapping[Any, int]) -> None:
        """Go on with the first record that is kept, and note what is gone.

        Raises
        ------
        TopicError
            If the topic ends before the wanted offset.
        """
        kept = await consumer.beginning_offsets(list(wanted))
        for at, offset in wanted.items():
            if kept[at] <= offset:
                ends = await consumer.end_offsets([at])
                if offset <= ends[at]:
                    return  # it came back meanwhile: another leader answered
                if await self._applied((at.topic, at.partition)) < ends[at]:  # the state is of this topic, made anew
                    logger.warning("worker.offset_dropped %s[%d]: %d is of an earlier topic", *at, offset)
                    self.due.pop((at.topic, at.partition), None)
                    self.consumer.begin_anew(at)
                    _seek(consumer, at, kept[at])
                    continue
                raise TopicError(
                    f"{_WHO}: {at.topic}[{at.partition}] must hold what the group has read, up to offset {offset}, got "
                    f"a topic that ends at {ends[at]}: it was made anew, or has lost its end; make the state anew with "
                    "`reelstream rebuild`"
                )
            topic_partition = at.topic, at.partition
            self.lost.append(LostRange(topic_partition, offset, kept[at]))
            self.due.pop(topic_partition, None)
            _seek(consumer, at, kept[at])

    async def _applied(self, topic_partition: TopicPartition) -> int:
        """Return the last offset of a partition that the state knows, which is asked in the app's own thread."""
        asking = asyncio.run_coroutine_threadsafe(self.consumer.transport.applied(topic_partition), self.app.loop)
        return int(await asyncio.wrap_future(asking))


class _Consumer(Consumer):  # type: ignore[misc]  # same
    """Commits how far each partition is done, and passes control records once everything before them is done.

    A worker acknowledges the records of a partition in their order, and only when Redis knows everything before. So the
    last acknowledged offset says all.
    """

    _thread: _Thread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[Any, int] = {}
        self._waiting: Counter[str] = Counter()  # topic -> records that are handed over and not done
        self._has_room = asyncio.Event()
        self._anew: set[Any] = set()  # partitions whose next records lie before what was read of an earlier topic

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def follows(self, topic: str, partition: int, offset: int) -> int:
        """Return the first offset from which on nothing can be read before this record."""
        return self._thread.gaps.get((topic, partition, offset), offset)

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many offsets of each partition are not done, as of its last fetch; none before it has joined."""
        client = self._thread._consumer  # noqa: SLF001 - None before it has started
        if client is None:
            return {}
        found = {}
        for at, state in states_of(client):
            end, position = state.lso, position_of(state)
            if end is not None and position is not None:
                done = self._new_offset(at)
                found[at.topic, at.partition] = max(0, end - (position if done is None else done))
        return found

    def done_to(self) -> dict[TopicPartition, int]:
        """Return the offset of each partition before which all is done, also the ends of transactions.

        None for one that nothing was fetched of yet; none before it has joined.
        """
        client = self._thread._consumer  # noqa: SLF001 - None before it has started
        offsets = {} if client is None else {at: self._new_offset(at) for at, _ in states_of(client)}
        return {(at.topic, at.partition): offset for at, offset in offsets.items() if offset is not None}

    def begin_anew(self, at: Any) -> None:
        """Take lower offsets of a partition than those that were taken and committed before."""
        self._done.pop(at, None)
        self._read_offset[at] = None  # Faust drops what lies before it
        self._anew.add(at)  # a rebalance at this moment puts the committed offset back there
        self._committed_offset[at] = None

    def take_lost(self) -> list[LostRange]:
        """Return the offsets that were found to be gone since the last call."""
        lost, self._thread.lost = self._thread.lost, []
        return lost

    def stalled(self, for_s: float) -> list[StalledPartition]:
        """Return the partitions of which no fetch was answered for so many seconds; none before it has joined.

        aiokafka asks a leader for nothing while records of that leader wait to be taken, so a backlog of one partition
        keeps the leader's others waiting for minutes. The seconds therefore count from the last record that it gave.
        """
        client, now = self._thread._consumer, time.time()  # noqa: SLF001 - None before it has started
        if client is None or not self.flow_active or self.app.rebalancing:
            return []
        leader = _leaders(client)
        waiting = {leader(at) for at in list(client._fetcher._records)}  # noqa: SLF001 - fetched and not taken: it is we who are slow
        found = []
        for at, state in states_of(client):
            gave_at = self._thread.gave_at.get(leader(at), 0.0)  # who gives others of theirs lets this one wait
            answered_at = max(self._thread.assigned_at, gave_at, (state.timestamp or 0) / 1000)
            if leader(at) not in waiting and not state.paused and now - answered_at >= for_s:
                found.append(StalledPartition((at.topic, at.partition), position_of(state), now - answered_at))
        return found

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, FetchedMessage]]:  # noqa: ASYNC109 - Faust's signature
        """Give what the next fetch brings, as one message for each topic.

        A topic that has too much waiting is left out, so that requests never wait for events.
        """
        if self._is_crowded() and not self._get_active_partitions():
            self._has_room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_room.wait(), timeout)
            return
        records, _ = await self._wait_next_records(_CROWDED_S if self._is_crowded() else timeout)
        generation_id = self.app.consumer_generation_id
        if not records or self.should_stop:
            return
        if not self.flow_active:  # a rebalance began meanwhile
            try:
                await self.perform_seek()
            except Exception as error:  # noqa: BLE001 - as Faust does: the assignment that follows seeks again
                logger.warning("worker.seek_failed %r", error)
            return
        unread = {at: self._unread(at, found) for at, found in records.items()}
        for message in fetched_messages(unread, generation_id):
            self._waiting[message.topic] += len(message.records)
            for record in message.records:
                self._read_offset[TP(record.topic, record.partition)] = record.offset
            yield message.tp, message

    def _unread(self, at: Any, records: Sequence[Any]) -> Sequence[Any]:
        """Return the records from the read offset on, as Faust drops what lies before it."""
        if at in self._anew:
            self._anew.discard(at)
            return records
        least = self._read_offset[at]
        return records if least is None else [record for record in records if record.offset >= least]

    def _is_crowded(self) -> bool:
        return any(n >= MAX_WAITING for n in self._waiting.values())

    def _get_active_partitions(self) -> Any:
        active = super()._get_active_partitions()
        if not self._is_crowded():
            return active
        return {at for at in active if self._waiting[at.topic] < MAX_WAITING}

    def ack(self, message: Any) -> bool:
        """Note that everything up to these records is done."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            gaps = self._thread.gaps
            for record in message.records:
                at = TP(record.topic, record.partition)
                self._done[at] = max(self._done.get(at, 0), record.offset + 1)
                if gaps:
                    gaps.pop((record.topic, record.partition, record.offset), None)
            self._waiting[message.topic] = max(0, self._waiting[message.topic] - len(message.records))
            self._has_room.set()
            self._n_acked += len(message.records)
            notify(self._waiting_for_ack)
            return True

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Forget where the partitions stood."""
        await super().on_partitions_revoked(revoked)
        self._forget(revoked)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        """Begin with nothing known."""
        self._forget(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self, partitions: Any) -> None:
        for at in partitions:
            self._done.pop(at, None)
        self._waiting.clear()  # what is still waiting then is dropped by Faust, as it is of an earlier generation
        self._thread.assigned_at = time.time()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        try:
            return await super()._getmany(active_partitions, timeout)
        except TopicError as error:
            await self._finish()
            self.transport.end(error)
            raise

    async def _finish(self) -> None:
        """Let everything that was handed out be done and committed, as far as that takes no longer than usual."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                while any(self._done.get(at) != offset + 1 for at, offset in self._handed().items()):  # noqa: ASYNC110 - many agents
                    await asyncio.sleep(0.05)
                await self.commit()

    def _handed(self) -> dict[Any, int]:
        reached = [(at, self._thread.reached.get((at.topic, at.partition))) for at in self.assignment()]
        return {at: one.handed for at, one in reached if one is not None and one.handed is not None}

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Do nothing: what is committed does not depend on gaps."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return [at for at in self.assignment() if topics is None or at in topics or at.topic in topics]

    def _new_offset(self, tp: Any) -> int | None:
        done, reached = self._done.get(tp), self._thread.reached.get((tp.topic, tp.partition))
        if reached is not None and (reached.handed is None or done == reached.handed + 1):
            return max(reached.stands, done or 0)
        return done

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 - Faust's signature
        """Commit, and try again next time what was not taken."""
        before = {at: self._committed_offset[at] for at in offsets}
        did_commit = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if not did_commit:
            self._committed_offset.update(before)
        return did_commit


class _Transport(Transport):  # type: ignore[misc]  # same
    Consumer = _Consumer
    end: Callable[[TopicError], Any]
    applied: Callable[[TopicPartition], Awaitable[int]]


def _leaders(client: Any) -> Callable[[Any], int | None]:
    """Return a function from a partition to the broker that leads it, as a client knows it; there is no public one."""
    found: Callable[[Any], int | None] = client._client.cluster.leader_for_partition  # noqa: SLF001 - stated above
    return found


def _seek(client: Any, at: Any, offset: int) -> None:
    """Go on at an offset, unless a rebalance gave the partition to somebody else meanwhile."""
    if at in client.assignment():
        client.seek(at, offset)
