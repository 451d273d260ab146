"""The events that withdrawals take back: of the same batch, or read again from Kafka, or from the archive.

Withdrawals are rare, so nothing is kept for them: each costs a look at what Redis remembers of its user, and where its
event is of an earlier batch a read of that one record, or one read of several that lie near each other.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from streams.errors import ClusterAway, TopicError
from streams.reading.range_reader import RangeReader, range_reader
from streams.records.codec import BadRecord
from streams.records.decoding import RawRecord, decode_event
from streams.records.positions import TopicPartition
from streams.records.records import EventRecord, Origin, Withdrawal
from streams.settings import Settings
from streams.state.store import AppliedBatch, Original, Originals, OtherOriginals, SourcedEvent, State

if TYPE_CHECKING:
    from streams.archive.parquet import EventArchive  # workers have no use for 40 MB of pyarrow

__all__ = ["OriginalEvents"]

_APART = 100  # offsets between two events that one read still brings; to pass over more takes as long as another read
logger = logging.getLogger(__name__)


class OriginalEvents:
    """Finds what withdrawals take back.

    Parameters
    ----------
    settings : where the topics are.
    state : remembers where each user's last events stood.
    genres_of : returns the genres of an item.
    role : who asks, for what is said.
    archive : holds events that the topics no longer hold.

    Attributes
    ----------
    unreadable : how many withdrawals changed nothing, as nobody holds their events any more.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        genres_of: Callable[[str], tuple[str, ...]],
        role: str,
        archive: "EventArchive | None" = None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._genres_of = genres_of
        self._role = role
        self._archive = archive
        self.unreadable = 0

    async def apply(self, events: Sequence[SourcedEvent]) -> AppliedBatch:
        """Apply a batch to the state, with the events that its withdrawals take back.

        Which events these are is decided where they are applied: another lane may apply one after it was looked up,
        and of several records of one id in a batch the first may be forgotten before the withdrawal comes.

        Raises
        ------
        StateMoved, StateAway, StateError, ClusterAway
            As ``State.apply``, and if Kafka cannot be reached for now; calling again is safe.
        """
        if not any(isinstance(event, Withdrawal) for _, event, _ in events):
            return await self._state.apply(events)
        known: dict[Origin, Origin] = {}
        while True:
            try:
                return await self._state.apply(events, await self._of(events, known))
            except OtherOriginals as found:
                known |= found.origins

    async def _of(self, events: Sequence[SourcedEvent], known: Mapping[Origin, Origin]) -> Originals:
        """Return the events that the withdrawals of a batch take back, by the origins of these.

        An event that is not known to have counted is left out: it may still come.

        Parameters
        ----------
        known : where events stood, by the origins of their withdrawals.
        """
        withdrawals = [(origin, event) for origin, event, _ in events if isinstance(event, Withdrawal)]
        batch = {(origin.topic, origin.partition, origin.offset): (origin, event) for origin, event, _ in events}
        found: dict[Origin, tuple[Origin, EventRecord | None]] = {}
        before: dict[Origin, Origin] = {}
        for (origin, event), looked_up in zip(withdrawals, await self._state.counted_at(withdrawals), strict=True):
            at = known.get(origin, looked_up) or _earlier(events, origin, event)
            if at is not None and at.partition != origin.partition:
                self._tell_elsewhere(origin, at)
            elif at is not None and (at.topic, at.partition, at.offset) in batch:
                found[origin] = batch[at.topic, at.partition, at.offset]
            elif at is not None:
                before[origin] = at
        if before:
            async with range_reader(self._settings) as reader:
                read = await self._from_kafka(reader, before.values())
            for origin, at in before.items():
                found[origin] = at, read.get(at) or await self._from_archive(origin, at)
        named = {origin: event.withdraws for origin, event in withdrawals}
        return {origin: self._sourced(at, event, named[origin]) for origin, (at, event) in found.items()}

    def _sourced(self, at: Origin, event: EventRecord | None, named: str) -> Original:
        """Return an event with the genres of its item, none where it is no event that can be taken back."""
        if event is None or isinstance(event, Withdrawal) or event.event_id != named:
            return at, None, ()
        return at, event, self._genres_of(event.item_id)

    def _tell_elsewhere(self, origin: Origin, at: Origin) -> None:
        logger.error(
            "%s.withdrawal_elsewhere %s[%d] at %d: the event lies in partition %d, so it still counts; send the "
            "withdrawal again under another id and the event's key",
            self._role, origin.topic, origin.partition, origin.offset, at.partition,
            extra={"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
        )  # fmt: skip

    async def _from_kafka(self, reader: RangeReader, places: Iterable[Origin]) -> dict[Origin, EventRecord]:
        """Return the events at some places, without those that the topics no longer hold, or that cannot be read."""
        found: dict[Origin, EventRecord] = {}
        for some in _neighbours(places):
            found |= await self._read(reader, some)
        return found

    async def _read(self, reader: RangeReader, places: Sequence[Origin]) -> dict[Origin, EventRecord]:
        """Read from the first to the last of some places of a partition; where a batch is torn, each by itself."""
        first, last = places[0], places[-1]
        logger.debug(
            "%s.reading_withdrawn %s[%d] from %d to %d", self._role, *_partition(first), first.offset, last.offset
        )
        wanted = {at.offset: at for at in places}
        found: dict[Origin, EventRecord] = {}
        try:
            async for records in reader.records(_partition(first), first.offset, last.offset + 1, _APART):
                for record in records:
                    if (at := wanted.get(record.origin.offset)) is not None:
                        event = self._decoded(record)
                        found |= {} if event is None else {at: event}
        except ClusterAway:
            raise
        except TopicError as error:
            if len(places) == 1:
                logger.warning("%s.withdrawn_event_not_read %s", self._role, error)
                return {}
            for at in places:
                found |= await self._read(reader, [at])
        return found

    def _decoded(self, record: RawRecord) -> EventRecord | None:
        try:
            topic = record.origin.topic.removeprefix(self._settings.prefix)
            return decode_event(record, topic, self._settings.kinds)
        except BadRecord as error:  # of a kind that the table has lost since
            logger.warning("%s.withdrawn_event_not_read %s", self._role, error)
            return None

    async def _from_archive(self, origin: Origin, at: Origin) -> EventRecord | None:
        """Return the event that a withdrawal takes back as the archive holds it, and say so where it does not."""
        found = None if self._archive is None else await asyncio.to_thread(self._archive.find, at)
        event = None if found is None else found[1]
        if event is not None and not isinstance(event, Withdrawal) and self._settings.kinds.find(event.kind) is None:
            event = None
        if event is None:
            self.unreadable += 1
            logger.error(
                "%s.withdrawal_unreadable %s[%d] at %d: the event at offset %d is no longer in the topic, or cannot be "
                "read, so it still counts; rebuild from the archive to take it back",
                self._role, origin.topic, origin.partition, origin.offset, at.offset,
                extra={"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
            )  # fmt: skip
        return event


def _partition(at: Origin) -> TopicPartition:
    return at.topic, at.partition


def _neighbours(places: Iterable[Origin]) -> Iterable[Sequence[Origin]]:
    """Give places in order, those of a partition together that lie near each other."""
    some: list[Origin] = []
    for at in sorted(set(places), key=lambda one: (one.topic, one.partition, one.offset)):
        if some and (_partition(at) != _partition(some[-1]) or at.offset - some[-1].offset > _APART):
            yield some
            some = []
        some.append(at)
    if some:
        yield some


def _earlier(events: Sequence[SourcedEvent], origin: Origin, withdrawal: Withdrawal) -> Origin | None:
    """Return where the first event of a batch stands that a withdrawal names, if that is before it."""
    named = origin.topic, origin.partition, withdrawal.user_id, withdrawal.withdraws
    for at, event, _ in events:
        if at == origin:
            return None
        is_named = (at.topic, at.partition, event.user_id, event.event_id) == named
        if is_named and not isinstance(event, Withdrawal):
            return at
    return None
