"""Faust's Kafka driver with what production needs of it: committed records, honest offsets, and trouble that is told.

Faust 0.15.3 reads uncommitted records unless it is in a transaction of its own. It commits what was acknowledged, and
so stays behind a topic that ends in control records. A partition whose offset has left retention it reads on from
the first record, in silence. Each of these is one method here; the rest is Faust's.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from streams.clients import READ_COMMITTED
from streams.errors import TopicError
from streams.rereading import Place
from streams.unreadable import MOST, is_unreadable, read_carefully

__all__ = ["Lost", "Stalled", "drive"]

_PROBE_S = 3.0
_FINISH_S = 10.0  # a batch takes a tenth of a second; where Redis is away nothing will be done
_WHO = "worker"


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets of a partition that it no longer holds: from ``first`` up to, not including, ``kept``."""

    place: Place
    first: int
    kept: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """A partition that is not fetched: where it stands, and since how many seconds no answer came."""

    place: Place
    offset: int | None
    age_s: float


def drive(app: faust.App, end: Callable[[TopicError], Any]) -> None:
    """Let an app use this driver; before it starts.

    Parameters
    ----------
    app : of the worker.
    end : called with what makes going on impossible; not expected to return.
    """
    transport = _Transport(app.conf.broker_consumer, app)
    transport.end = end
    app.transport = transport


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust ships no types we could use
    """Fetches in a thread of its own, and notes what each fetch has passed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stands: dict[Place, int] = {}  # position after the latest fetch
        self.handed: dict[Place, int] = {}  # last offset that was handed out
        self.due: dict[Place, int] = {}  # offset from which on nothing was handed out and nothing left out
        self.gaps: dict[tuple[str, int, int], int] = {}  # record -> the offset from which on nothing lies before it
        self.lost: list[Lost] = []
        self.assigned_at = time.time()

    def forget(self, places: Iterable[Place]) -> None:
        """Forget partitions that come or go; the next fetch of theirs follows nothing."""
        self.assigned_at = time.time()
        for place in places:
            self.stands.pop(place, None)
            self.handed.pop(place, None)
            self.due.pop(place, None)
        for record in [record for record in self.gaps if record[:2] in set(places)]:
            del self.gaps[record]

    def highwater(self, tp: Any) -> Any:
        """Return the end of what can be read: an open transaction is no lag of ours."""
        return self._ensure_consumer().last_stable_offset(tp)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = READ_COMMITTED  # noqa: SLF001 - read when it starts; the driver passes none
        consumer._auto_offset_reset = "none"  # noqa: SLF001 - a position out of range is raised, not passed over
        return consumer

    async def _fetch_records(self, consumer: Any, active_partitions: Any, **options: Any) -> Any:
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
            found = await self._read_carefully(consumer, active_partitions, super()._fetch_records)
        self._note(consumer, found)
        return found

    async def _read_carefully(self, consumer: Any, partitions: Any, fetch: Any) -> Any:
        async def one(at: Any) -> list[Any]:
            found = await fetch(consumer, {at}, timeout=_PROBE_S, max_records=1)
            return list(found.get(at, ()))

        return await read_carefully(_WHO, consumer, partitions, one, MOST)

    def _note(self, consumer: Any, found: Mapping[Any, Any]) -> None:
        for at, records in found.items():
            place = at.topic, at.partition
            due = self.due.get(place)
            for record in records:
                if due is not None and due < record.offset:
                    self.gaps[record.topic, record.partition, record.offset] = due
                due = record.offset + 1
            self.handed[place] = records[-1].offset
            self.due[place] = records[-1].offset + 1
        for at, state in _states(consumer):
            if state.has_valid_position:
                place = at.topic, at.partition
                self.stands[place] = state.position  # set after `handed`, and read before it
                self.due.setdefault(place, state.position)

    async def _begin(self, consumer: Any, at: Any) -> None:
        kept = await consumer.beginning_offsets([at])
        _seek(consumer, at, kept[at])

    async def _go_to_kept(self, consumer: Any, wanted: Mapping[Any, int]) -> None:
        """Go on with the first record that is kept, and note what is gone; nothing helps where the topic ends earlier.

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
                raise TopicError(
                    f"{_WHO}: {at.topic}[{at.partition}] must hold what the group has read, up to offset {offset}, got "
                    f"a topic that ends at {ends[at]}: it was made anew, or has lost its end; make the state anew with "
                    "`reelstream rebuild`, and reset the offsets of the group with kafka-consumer-groups.sh"
                )
            place = at.topic, at.partition
            self.lost.append(Lost(place, offset, kept[at]))
            self.due.pop(place, None)
            _seek(consumer, at, kept[at])


class _Consumer(Consumer):  # type: ignore[misc]  # same
    """Commits how far each partition is done: past control records where nothing before them is left.

    A worker acknowledges in the order of each partition, and only when Redis knows everything before, so the last
    acknowledged offset says all.
    """

    _thread: _Thread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[Any, int] = {}

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def follows(self, topic: str, partition: int, offset: int) -> int:
        """Return the first offset from which on nothing can be read before this record."""
        return self._thread.gaps.get((topic, partition, offset), offset)

    def take_lost(self) -> list[Lost]:
        """Return what was found to be gone since the last call."""
        lost, self._thread.lost = self._thread.lost, []
        return lost

    def stalled(self, for_s: float) -> list[Stalled]:
        """Return the partitions of which no fetch was answered for so many seconds; none before it has joined."""
        client, now = self._thread._consumer, time.time()  # noqa: SLF001 - None before it has started
        if client is None or not self.flow_active or self.app.rebalancing:
            return []
        waiting = set(client._fetcher._records)  # noqa: SLF001 - fetched and not taken: it is we who are slow
        found = []
        for at, state in _states(client):
            answered_at = max(self._thread.assigned_at, (state.timestamp or 0) / 1000)
            if at not in waiting and not state.paused and now - answered_at >= for_s:
                offset = state.position if state.has_valid_position else None
                found.append(Stalled((at.topic, at.partition), offset, now - answered_at))
        return found

    def ack(self, message: Any) -> bool:
        """Note that everything up to this record is done."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            at, offset = message.tp, message.offset
            self._done[at] = max(self._done.get(at, 0), offset + 1)
            self._thread.gaps.pop((at.topic, at.partition, offset), None)
            self._n_acked += 1
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
        self._thread.forget([(at.topic, at.partition) for at in partitions])

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
        handed = self._thread.handed
        return {at: handed[place] for at in self.assignment() if (place := (at.topic, at.partition)) in handed}

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Do without: what is committed does not depend on gaps."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return [at for at in self.assignment() if topics is None or at in topics or at.topic in topics]

    def _new_offset(self, tp: Any) -> int | None:
        place = tp.topic, tp.partition
        stands = self._thread.stands.get(place)  # before `handed`: the thread sets it last
        done, handed = self._done.get(tp), self._thread.handed.get(place)
        if handed is None or done == handed + 1:
            return done if stands is None else max(stands, done or 0)
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


def _seek(client: Any, at: Any, offset: int) -> None:
    """Go on at an offset, unless a rebalance gave the partition to somebody else meanwhile."""
    if at in client.assignment():
        client.seek(at, offset)


def _states(client: Any) -> list[tuple[Any, Any]]:
    """Return the state of every partition that a client of aiokafka owns now; there is no public view of it."""
    subscription = client._subscription.subscription  # noqa: SLF001 - stated above
    if subscription is None or subscription.assignment is None:
        return []
    assignment = subscription.assignment
    return [(at, assignment.state_value(at)) for at in assignment.tps]
