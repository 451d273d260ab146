"""From the records of one partition to the files of the archive: decoded, without duplicates, split by day.

Nothing here does I/O or knows a clock: what becomes a file is a function of the records alone, so two archivers that
scan the same offsets archive the same events. ``agents.archiver.archiver`` decides when a file is closed.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, groupby

import pyarrow as pa

from model.kinds import DEFAULT_KINDS, KindTable
from streams.archive.parquet import ArchivedEvent, Scan, kept_rows, to_rows
from streams.records.decoding import RawRecord, decode_batch
from streams.records.positions import DAY_MS
from streams.records.records import EventRecord, Withdrawal

__all__ = ["LastIds", "Scanner", "day_number"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = 2_932_896  # days from the epoch to 9999-12-31
_CHUNK = 1000  # events that become columns together; as objects they take five times the memory


class LastIds:
    """The event ids that one partition remembers, to know a producer's duplicates.

    An event is a duplicate if its id is among the last ``per_user`` archived ids of its user, and that one is among the
    last ``in_all`` archived events of the partition. So the partition's newest ``in_all`` events are all that it takes
    to have the same memory again.

    Parameters
    ----------
    per_user : 512, as in the state.
    in_all : bound of the memory; 300 to 600 bytes each.
    """

    def __init__(self, per_user: int = 512, in_all: int = 50_000) -> None:
        self._per_user = per_user
        self._in_all = in_all
        self._seen = 0
        self._order: deque[tuple[str, str]] = deque()
        self._users: dict[str, OrderedDict[str, int]] = {}  # user -> event id -> its number, oldest first

    def __len__(self) -> int:
        return len(self._order)

    def knows(self, user_id: str, event_id: str) -> bool:
        """Return whether an id is remembered."""
        return event_id in self._users.get(user_id, ())

    def is_new(self, user_id: str, event_id: str) -> bool:
        """Return False for a duplicate; else remember the event and return True."""
        if self.knows(user_id, event_id):
            return False
        if len(self._order) == self._in_all:
            self._forget_oldest()
        ids = self._users.setdefault(user_id, OrderedDict())
        if len(ids) == self._per_user:
            ids.popitem(last=False)
        ids[event_id] = self._seen
        self._order.append((user_id, event_id))
        self._seen += 1
        return True

    def _forget_oldest(self) -> None:
        """Forget the oldest event, unless it fell out of its user's ids before."""
        number = self._seen - len(self._order)
        user_id, event_id = self._order.popleft()
        ids = self._users.get(user_id, OrderedDict())
        if ids.get(event_id) == number:
            del ids[event_id]
            if not ids:
                del self._users[user_id]


class Scanner:
    """Collects what goes into the next files of one partition.

    Parameters
    ----------
    topic, partition : whose records come; the topic with its prefix.
    position : the first offset that is not archived.
    prefix : topic prefix of this installation.
    ids : the partition's memory of its newest archived events.
    topic_id : of the topic, where the cluster tells it.
    kinds : of events that there are.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        position: int,
        prefix: str,
        ids: LastIds,
        topic_id: str | None = None,
        kinds: KindTable = DEFAULT_KINDS,
    ) -> None:
        self._kinds = kinds
        self._topic_id = topic_id
        self._topic = topic
        self._partition = partition
        self._prefix = prefix
        self._ids = ids
        self._events: list[ArchivedEvent] = []
        self._day = 0
        self.position = position
        self.closed: deque[Scan] = deque()  # ready to be written, in order
        self._open(position)

    @property
    def pending(self) -> int:
        """Records scanned since the last file was closed, those without a row included."""
        return self._records

    @property
    def begin(self) -> int:
        """The first offset that no file was written for."""
        return self.closed[0].first if self.closed else self._first

    def add(self, records: Sequence[RawRecord]) -> int:
        """Take in the next records of the partition and return how many events of them go into the archive.

        A file is closed before the first record of a later day.
        """
        dated = zip(accumulate((day_number(one.origin.timestamp) for one in records), max), records, strict=True)
        n = 0
        for day, group in groupby(dated, key=lambda pair: pair[0]):
            if self._records and day > self._day:
                self.close()
            if not self._records:
                self._day = day
            n += self._extend([record for _, record in group])
        return n

    def forget(self, below: Mapping[str, int]) -> None:
        """Leave out the rows of some users, and of those that are ready to be written.

        Parameters
        ----------
        below : of each user, the offset before which rows go.
        """
        self._gather()
        pending, gone = _kept(self._rows, below)
        self._rows[:] = pending
        self._forgotten += gone
        for place, scan in enumerate(self.closed):
            rows, gone = _kept(scan.rows, below)
            self.closed[place] = replace(scan, rows=rows, forgotten=scan.forgotten + gone)

    def close(self) -> None:
        """Close the current file, if any record was scanned for it."""
        if self._records == 0:
            return
        self._gather()
        self.closed.append(
            Scan(
                self._topic,
                self._partition,
                self._first,
                self.position - 1,
                _date(self._day),
                tuple(self._rows),
                self._rejected,
                self._duplicates,
                self._topic_id,
                self._forgotten,
            )
        )
        self._open(self.position)

    def skip_to(self, position: int) -> None:
        """Go on at a later offset, because Kafka no longer holds those before it; the archive shows the gap."""
        self.close()
        self.position = position
        self._open(position)

    def pass_to(self, position: int) -> None:
        """Go on at a later offset, as those before it hold no record; the next file begins where the last one ended."""
        self.position = position

    def _open(self, first: int) -> None:
        self._first = first
        self._records = 0
        self._rejected = 0
        self._duplicates = 0
        self._forgotten = 0
        self._rows: list[pa.RecordBatch] = []

    def _extend(self, records: Sequence[RawRecord]) -> int:
        decoded = decode_batch(records, self._prefix, self._kinds)
        new = [pair for pair in decoded.events if self._is_new(pair[1])]
        self._events += new
        self._records += len(records)
        self._rejected += len(decoded.rejected)
        self._duplicates += len(decoded.events) - len(new)
        self.position = records[-1].origin.offset + 1
        if len(self._events) >= _CHUNK:
            self._gather()
        return len(new)

    def _is_new(self, event: EventRecord) -> bool:
        """Return False for a duplicate as the state knows it: an event that its withdrawal precedes is one too."""
        if isinstance(event, Withdrawal) and not self._ids.knows(event.user_id, event.event_id):
            self._ids.is_new(event.user_id, event.withdraws)
        return self._ids.is_new(event.user_id, event.event_id)

    def _gather(self) -> None:
        if self._events:
            self._rows.append(to_rows(self._events))
            self._events = []


def _kept(rows: Sequence[pa.RecordBatch], below: Mapping[str, int]) -> tuple[tuple[pa.RecordBatch, ...], int]:
    """Return rows without those of some users, and how many these were."""
    if not rows:
        return (), 0
    table = pa.Table.from_batches(rows)
    kept = kept_rows(table, below)
    return tuple(kept.to_batches()), table.num_rows - kept.num_rows


def day_number(timestamp: int) -> int:
    """Return the UTC day of a Kafka timestamp in milliseconds, days since 1970; outside 1970 to 9999 its ends."""
    return min(max(timestamp // DAY_MS, 0), _LAST_DAY)


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()
