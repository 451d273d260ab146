"""What a Redis lacks of that which was handled, as ranges of offsets to be read again.

A Redis that was restarted from a file without its last second, that failed over to a replica, or that was restored
from a backup stands before the offsets that were handled. Events after the lost ones must wait until those are applied
again, because a user's position would hide them. The fence of ``streams.state.store`` sees to that. Here positions are
compared and ranges named; ``agents.worker.batch`` reads them and applies their records.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from streams.kafka import topics
from streams.reading.lost_offsets import log_lost_offsets
from streams.reading.range_reader import READ_UNCOMMITTED, RangeReader, committed_offsets, range_reader
from streams.records.decoding import RawRecord
from streams.records.positions import TopicPartition
from streams.records.records import Origin
from streams.settings import Settings
from streams.state.store import Position, State

__all__ = ["OffsetRange", "Ownership", "StateRecovery"]

logger = logging.getLogger(__name__)
LISTS_BEHIND = 3072  # records: more than two batches, so lists lost with what was told last to Redis are made again too
MAX_RECORDS = 1000  # answered at once: within LISTS_BEHIND, so that a recovery can itself be cut off
SAY_AGAIN_S = 5.0  # between two words about one range


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Records of one topic partition that must be read again.

    Parameters
    ----------
    partition : topic with the prefix, and partition.
    first : offset from which on lists may be missing.
    unapplied : offset from which on events may be missing too; it may lie at the end or behind it.
    end : offset behind the last record.
    """

    partition: TopicPartition
    first: int
    unapplied: int
    end: int


class Ownership:
    """Which partitions are this worker's, and which of them were compared with the Redis that is known now.

    Parameters
    ----------
    assigned : the topic partitions that the client tells to be this worker's; while they are handed over it still does.
    topics : the event topics, with the prefix.

    Attributes
    ----------
    checked : the partitions that were compared.
    begun : those assigned since they were looked at last, also where they were this worker's before.
    stayed : of these, those that were compared before; another worker may have owned them meanwhile.
    """

    def __init__(self, assigned: Callable[[], frozenset[TopicPartition]], topics: Collection[str]) -> None:
        self._assigned = assigned
        self._topics = topics
        self._revoked: frozenset[TopicPartition] = frozenset()
        self._in_check: frozenset[TopicPartition] = frozenset()
        self.checked: frozenset[TopicPartition] = frozenset()
        self.begun: frozenset[TopicPartition] = frozenset()
        self.stayed: frozenset[TopicPartition] = frozenset()

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions that are this worker's now."""
        return self._assigned() - self._revoked

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions of the event topics that this worker owns, of all of them."""
        owned = self.owned
        return frozenset(number for _, number in owned if all((topic, number) in owned for topic in self._topics))

    def revoke(self, topic_partitions: Collection[TopicPartition]) -> None:
        """Take these partitions for nobody's until they are assigned again."""
        self._revoked |= frozenset(topic_partitions)

    def begin(self, topic_partitions: Collection[TopicPartition]) -> None:
        """Take over partitions that were assigned just now."""
        begun = frozenset(topic_partitions)
        self._revoked -= begun
        self.begun |= begun
        self.stayed |= begun & self.checked
        self.checked -= begun
        self._in_check -= begun

    def look(self) -> frozenset[TopicPartition]:
        """Begin a check, and return the partitions that are to be compared."""
        self._in_check = self.owned
        return self._in_check - self.checked

    def note_asked(self, asked: Iterable[TopicPartition]) -> None:
        """Note that it is known how far others came; not of those that were assigned once more meanwhile."""
        self.begun -= frozenset(asked) & self._in_check

    def note_compared(self) -> None:
        """End the check; what was assigned meanwhile is for the next."""
        self.checked = self._in_check
        self.stayed -= self.checked

    def forget_checks(self) -> None:
        """Compare everything anew, as Redis is another one."""
        self.checked = self.stayed = frozenset()


class StateRecovery:
    """Knows how far one worker has come in each partition, and compares Redis with that.

    A check is over once its ranges are applied and ``note_recovered`` was called. One that is cut off is made again.

    Parameters
    ----------
    settings : where the topics are.
    group : the workers' consumer group, with the prefix.
    state : Redis.
    assigned : the partitions that this worker owns now.
    follows : returns, of a record, the first offset from which on nothing lies before it: lower than its own where
        only control records and aborted ones do.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        state: State,
        assigned: Callable[[], frozenset[TopicPartition]],
        follows: Callable[[Origin], int],
    ) -> None:
        self._settings = settings
        self._group = group
        self._state = state
        self.ownership = Ownership(assigned, [settings.prefix + topic for topic in topics.EVENTS])
        self._follows = follows
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}  # by the group when a partition was looked at last
        self._lost_to: dict[TopicPartition, int] = {}
        self.recovered = 0
        self.lost = 0

    def note(self, origins: Iterable[Origin]) -> None:
        """Remember that these records are handled."""
        for origin in origins:
            self._next[origin.topic, origin.partition] = origin.offset + 1

    @property
    def handled(self) -> Mapping[TopicPartition, int]:
        """The offset after the last record that was handled, here or by whoever owned the partition before.

        Of partitions of which the Redis known now was recovered: there it has all of that.
        """
        known = self._committed | self._next
        return {at: known[at] for at in self.ownership.checked & self.ownership.owned if at in known}

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions of the event topics that this worker owns, of all of them."""
        return self.ownership.partitions

    async def catch_up_to(self, origins: Iterable[Origin]) -> Sequence[OffsetRange]:
        """Return what Redis lacks before those records of a batch that do not follow what was handled."""
        known = {**self.handled, **self._next}
        reached: dict[TopicPartition, int] = {}
        doubtful: dict[TopicPartition, int] = {}
        for origin in origins:
            partition = origin.topic, origin.partition
            due = reached.get(partition, known.get(partition, -1))
            if due != origin.offset and not self._follows(origin) <= due <= origin.offset:
                doubtful[partition] = origin.offset
            reached[partition] = origin.offset + 1
        return await self._missing(doubtful)

    @property
    def has_unchecked(self) -> bool:
        """Whether this worker owns partitions that were not checked since it got them."""
        return not self.ownership.owned <= self.ownership.checked

    async def check_positions(self) -> Sequence[OffsetRange]:
        """Compare the unchecked partitions with Redis, and return what it lacks of what was handled."""
        ours = self.ownership
        wanted = ours.look()
        asked = [at for at in wanted if at in ours.begun or at not in self._next]
        if asked:
            self._committed |= await self._commits(asked)
        for at in asked:
            if at in self._next and self._committed[at] > self._next[at]:  # another worker came further
                del self._next[at]
                ours.stayed -= {at}
        known = self._committed | self._next
        missing = await self._missing({at: known[at] for at in wanted - ours.stayed})
        ours.note_asked(asked)
        return missing

    async def _commits(self, asked: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return how far the group is, but no further than the topics: those may have been made anew."""
        committed = await committed_offsets(self._settings, self._group, asked)
        stand = await self._state.positions(asked)
        ahead = [at for at in asked if committed[at] > stand[at].applied + 1]
        if ahead:
            async with range_reader(self._settings, isolation_level=READ_UNCOMMITTED) as reader:
                committed |= {at: min(committed[at], await reader.end(at)) for at in ahead}
        return committed

    async def check_state(self) -> Sequence[OffsetRange]:
        """Prepare the Redis that answers now, get to know it, and check the positions of all partitions owned."""
        self.ownership.forget_checks()
        await self._state.install()
        await self._state.know_servers()
        return await self.check_positions()

    def note_recovered(self) -> None:
        """Say that all ranges of the last check are applied."""
        self.ownership.note_compared()

    async def read(self, reader: RangeReader, missing: OffsetRange) -> AsyncIterator[list[RawRecord]]:
        """Give a range's records in batches, each to be applied before the next is asked for.

        A range that holds no record, but the ends of transactions, is passed without a word. Before ``unapplied`` only
        lists may be missing, so what is no longer kept there is no event lost.
        """
        partition, end = missing.partition, missing.end
        began = said_at = time.monotonic()
        self.note_lost(partition, missing.unapplied, min(end, await reader.first_kept(partition)))
        n = 0
        async for records in reader.records(partition, missing.first, end, MAX_RECORDS):
            if n == 0:
                logger.warning("worker.mending %s[%d] from offset %d to %d", *partition, missing.first, end)
            yield records
            n += len(records)
            if time.monotonic() - said_at > SAY_AGAIN_S:
                said_at = time.monotonic()
                logger.warning("worker.mending %s[%d] at %d of %d", *partition, records[-1].origin.offset, end)
        self.recovered += n
        if n:
            logger.warning("worker.mended %s[%d] %d records in %.1f s", *partition, n, time.monotonic() - began)

    def note_lost(self, partition: TopicPartition, first: int, kept: int) -> None:
        """Say that the topic no longer holds the offsets from ``first`` up to, not including, ``kept``; each once."""
        first = max(first, self._lost_to.get(partition, 0))
        if first >= kept:
            return
        self._lost_to[partition] = kept
        self.lost += log_lost_offsets("worker", partition, first, kept, "if they held events, rebuild from the archive")

    async def _missing(self, handled: Mapping[TopicPartition, int]) -> Sequence[OffsetRange]:
        """Return the ranges below these offsets that Redis does not know for certain."""
        if not handled:
            return ()
        found = await self._state.positions(handled)
        ranges = (
            OffsetRange(partition, _first_doubtful(found[partition]), found[partition].certain + 1, end)
            for partition, end in handled.items()
        )
        return tuple(one for one in ranges if one.first < one.end)


def _first_doubtful(position: Position) -> int:
    """Return the first offset to read again: where lists may be missing too, some records before the position."""
    return max(0, position.certain + 1 - (LISTS_BEHIND if position.is_foreign else 0))
