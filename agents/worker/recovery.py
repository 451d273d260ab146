"""Making good what Redis has lost: what it should know, by Kafka, is compared with what it knows, and read again.

A Redis that was restarted from a file without its last second, that failed over to a replica, or that was restored
from a backup stands before the offsets that were handled. Events after the lost ones must wait until those are applied
again, because a user's position would hide them; the fence of ``streams.state.store`` sees to that, and here is the
cure.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from streams.errors import StateMoved
from streams.reading.lost_offsets import log_lost_offsets
from streams.reading.range_reader import RangeReader, committed_offsets, range_reader
from streams.records.decoding import RawRecord
from streams.records.positions import TopicPartition
from streams.records.records import Origin
from streams.settings import Settings
from streams.state.store import Position, State

__all__ = ["Mender"]

logger = logging.getLogger(__name__)
LISTS_BEHIND = 1024  # records: more than a batch, so lists lost with what was told last to Redis are made again too
TOGETHER = 1000  # records answered at once: within LISTS_BEHIND, so that mending can itself be cut off


class Mender:
    """Knows how far one worker has come in each place, and brings Redis there.

    Parameters
    ----------
    settings : where the topics are.
    group : the workers' consumer group, with the prefix.
    state : Redis.
    assigned : the places that this worker owns now.
    answer : applies records once more and makes their users' lists anew.
    follows : returns, of a record, the first offset from which on nothing lies before it: lower than its own where
        only control records and aborted ones do.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        state: State,
        assigned: Callable[[], frozenset[TopicPartition]],
        answer: Callable[[Sequence[RawRecord]], Awaitable[None]],
        follows: Callable[[Origin], int],
    ) -> None:
        self._settings = settings
        self._group = group
        self._state = state
        self._assigned = assigned
        self._answer = answer
        self._follows = follows
        self._next: dict[TopicPartition, int] = {}
        self._looked_at: frozenset[TopicPartition] = frozenset()
        self._lost_to: dict[TopicPartition, int] = {}
        self.mended = 0
        self.lost = 0

    def note(self, origins: Iterable[Origin]) -> None:
        """Remember that these records are handled."""
        for origin in origins:
            self._next[origin.topic, origin.partition] = origin.offset + 1

    async def before(self, origins: Iterable[Origin]) -> None:
        """Let Redis catch up to each record of a batch that does not follow what was handled."""
        reached: dict[TopicPartition, int] = {}
        doubtful: dict[TopicPartition, int] = {}
        for origin in origins:
            place = origin.topic, origin.partition
            due = reached.get(place, self._next.get(place, -1))
            if due != origin.offset and not self._follows(origin) <= due <= origin.offset:
                doubtful[place] = origin.offset
            reached[place] = origin.offset + 1
        if doubtful:
            await self._compare(doubtful)

    def note_lost(self, place: TopicPartition, first: int, kept: int) -> None:
        """Say that the topic no longer holds the offsets from ``first`` up to, not including, ``kept``; each once."""
        first = max(first, self._lost_to.get(place, 0))
        if first >= kept:
            return
        self._lost_to[place] = kept
        self.lost += log_lost_offsets("worker", place, first, kept, "if they held events, rebuild from the archive")

    @property
    def has_new_places(self) -> bool:
        """Whether this worker owns places that were not looked at since it got them."""
        return bool(self._assigned() - self._looked_at)

    async def look(self, *, everywhere: bool) -> None:
        """Compare the places owned with Redis, all of them or those new since the last look."""
        assigned = self._assigned()
        wanted = assigned if everywhere else assigned - self._looked_at
        handled = {place: self._next[place] for place in wanted if place in self._next}
        unknown = [place for place in wanted if place not in self._next]
        if unknown:
            handled |= await committed_offsets(self._settings, self._group, unknown)
        await self._compare(handled)
        self._looked_at = assigned

    async def recover(self) -> None:
        """Get to know the Redis that answers now, prepare it, and bring it to where this worker was.

        Repeats itself where that Redis goes away for yet another one meanwhile.
        """
        while True:
            try:
                await self._state.install()
                await self._state.know_servers()
                await self.look(everywhere=True)
            except StateMoved:
                continue
            return

    async def _compare(self, handled: Mapping[TopicPartition, int]) -> None:
        """Read again what Redis does not know for certain below these offsets."""
        found = await self._state.positions(handled)
        firsts = {place: _first_doubtful(position) for place, position in found.items()}
        wanted = {place: end for place, end in handled.items() if firsts[place] < end}
        if not wanted:
            return
        async with range_reader(self._settings) as again:
            for place, end in wanted.items():
                await self._mend(again, place, firsts[place], found[place].certain + 1, end)

    async def _mend(self, again: RangeReader, place: TopicPartition, first: int, unknown: int, end: int) -> None:
        """Read a stretch; one that holds no record, but the ends of transactions, is passed without a word.

        Up to ``unknown`` only lists may be missing, so what is no longer kept there is no event lost.
        """
        began = said_at = time.monotonic()
        self.note_lost(place, unknown, min(end, await again.first_kept(place)))
        n = 0
        async for records in again.records(place, first, end, TOGETHER):
            if n == 0:
                logger.warning("worker.mending %s[%d] from offset %d to %d", *place, first, end)
            await self._answer(records)
            n += len(records)
            if time.monotonic() - said_at > 5.0:  # noqa: PLR2004 - seconds between two words about it
                said_at = time.monotonic()
                logger.warning("worker.mending %s[%d] at %d of %d", *place, records[-1].origin.offset, end)
        self.mended += n
        if n:
            logger.warning("worker.mended %s[%d] %d records in %.1f s", *place, n, time.monotonic() - began)


def _first_doubtful(position: Position) -> int:
    """Return the first offset to read again: where lists may be missing too, some records before the position."""
    return max(0, position.certain + 1 - (LISTS_BEHIND if position.is_foreign else 0))
