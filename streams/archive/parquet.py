"""The offline store: accepted events as Parquet files, each event once, at any fsspec URL.

The files alone say what is archived. A file's name carries its topic, its partition, and the first and last offset
that were scanned for it; bad records and duplicates count as scanned. So nobody needs a manifest or the consumer
group's commits to know where to go on. Files appear whole or not at all. Two writers may overlap, as where one was
declared dead and wrote late. They leave overlapping files, and a reader gets each offset from one of them.

``agents.archiver.archiver`` decides when files are written; docs/how-to/archive.md is the layout for readers of other
tools.
"""

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import fsspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from model.kinds import RATE, WATCH
from streams.errors import DataError
from streams.files import put_whole
from streams.records.positions import Offsets
from streams.records.records import Action, EventRecord, Origin, Rating, Watch, Withdrawal

__all__ = [
    "FORMAT",
    "SCHEMA",
    "ArchiveAway",
    "ArchivedEvent",
    "ArchivedFile",
    "EventArchive",
    "Scan",
    "kept_rows",
    "to_rows",
]

FORMAT = 2  # since 1: withdrawals
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("progress", pa.float64()),
        pa.field("rating", pa.float64()),
        pa.field("rec_id", pa.string()),
        pa.field("withdraws", pa.string()),
    ]
)
_SCHEMA_1 = pa.schema([field for field in SCHEMA if field.name != "withdraws"])
_ABOUT = b"reelstream"  # key of our own part of a file's metadata
_NAME = re.compile(r"topic=([^/]+)/date=(\d{4}-\d{2}-\d{2})/partition=(\d{1,9})/(\d{1,19})-(\d{1,19})\.parquet")
_NOTES = "forgotten"  # folder of what was carried out; it names no user
ArchivedEvent = tuple[Origin, EventRecord]


class ArchiveAway(DataError):  # noqa: N818 - like StateAway: a condition that passes
    """The store cannot be reached, or refuses, for now; the same call may succeed later."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file, as its name says.

    Parameters
    ----------
    topic, partition : where its records come from; the topic with its prefix.
    first, last : the offsets scanned for it, both included; bad records and duplicates among them have no row.
    date : UTC day of the Kafka timestamp of its first event, ``YYYY-MM-DD``; no event in it is of a later day.
    path : inside the archive's file system.
    """

    topic: str
    partition: int
    first: int
    last: int
    date: str
    path: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What goes into one file.

    Parameters
    ----------
    topic, partition : where the records come from.
    first, last : the offsets scanned, both included.
    date : as in ``ArchivedFile``.
    rows : the accepted events in offset order, see ``to_rows``.
    rejected, duplicates : how many records of the range have no row because they broke their contract, or because a
        producer sent them twice.
    topic_id : of the topic, where the cluster tells it; one that was made anew under the same name has another.
    forgotten : how many rows went because their users were forgotten.
    """

    topic: str
    partition: int
    first: int
    last: int
    date: str
    rows: Sequence[pa.RecordBatch]
    rejected: int = 0
    duplicates: int = 0
    topic_id: str | None = None
    forgotten: int = 0


class EventArchive:
    """The archive at an fsspec URL; a plain path is a local folder, created by the first write.

    Parameters
    ----------
    url : such as ``/srv/events``, ``s3://bucket/events`` or ``memory://events``.

    Raises
    ------
    DataError
        If the URL's protocol is unknown or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            self._files, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise DataError(
                f"archive: a folder or an fsspec URL with its driver installed is required, got {url!r}: {error}"
            ) from error
        self._root = root.rstrip("/")
        self.url = self._root if isinstance(self._files, LocalFileSystem) else url.rstrip("/")

    def unbroken(self, begin: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Return for each topic and partition how far its files go on from an offset without a gap.

        That is the offset after the last one, and the given offset itself where no file holds it.
        """
        files = self.partitions()
        return {at: _unbroken(files.get(at, ()), first) for at, first in begin.items()}

    def ends(self) -> dict[str, dict[int, int]]:
        """Return, for each topic (with its prefix) and partition that has files, the offset after the last scanned one.

        Reading a topic from there continues the archive without a gap.
        """
        ends: dict[str, dict[int, int]] = {}
        for file in self.list():
            partitions = ends.setdefault(file.topic, {})
            partitions[file.partition] = max(partitions.get(file.partition, 0), file.last + 1)
        return ends

    def read_events(
        self,
        from_offsets: Offsets | None = None,
        *,
        below: Offsets | None = None,
        topics: Collection[str] | None = None,
        partitions: Collection[int] | None = None,
        most: int = 5000,
    ) -> Iterator[tuple[ArchivedEvent, ...]]:
        """Give the archived events in batches, one partition of one topic after the other.

        Each batch is of one partition, not empty, ascending in offset, and continues the batch before it if that was
        of the same partition. Memory holds one file. Files that appear after the call are not read.

        Parameters
        ----------
        from_offsets : topic -> partition -> first offset wanted; 0 where it says nothing.
        below : topic -> partition -> offset to end before; the end of the archive where it says nothing.
        topics : read only these, named with their prefix.
        partitions : read only these partitions of each topic, so that several readers can share the work.
        most : events in a batch at most.

        Raises
        ------
        DataError
            If the store cannot be read, or a file is torn or was changed.
        """
        for (topic, partition), files in self.partitions(topics).items():
            if partitions is not None and partition not in partitions:
                continue
            start = (from_offsets or {}).get(topic, {}).get(partition, 0)
            end = (below or {}).get(topic, {}).get(partition)
            for table in self.rows(files, None, start, end):
                for batch in table.to_batches(max_chunksize=most):
                    if batch.num_rows:
                        yield tuple(_events(topic, partition, batch))

    def find(self, at: Origin) -> ArchivedEvent | None:
        """Return the event that stood at one offset, or None where no file holds it.

        Raises
        ------
        DataError
            As ``read_events``.
        """
        first = {at.topic: {at.partition: at.offset}}
        below = {at.topic: {at.partition: at.offset + 1}}
        events = self.read_events(first, below=below, topics={at.topic}, partitions={at.partition})
        return next((event for batch in events for event in batch), None)

    def list(self, topics: Collection[str] | None = None) -> tuple[ArchivedFile, ...]:
        """Return the files, sorted by topic, partition, first offset, and of those the longest first.

        Parameters
        ----------
        topics : those of these topics alone, named with their prefix; by default all.

        Raises
        ------
        ArchiveAway
            If the store cannot be listed.
        """
        found = (_named(path) for path in self._paths())
        return tuple(
            sorted(
                (file for file in found if file is not None and (topics is None or file.topic in topics)),
                key=lambda file: (file.topic, file.partition, file.first, -file.last),
            )
        )

    def partitions(self, topics: Collection[str] | None = None) -> dict[tuple[str, int], tuple[ArchivedFile, ...]]:
        """Return the files of ``list`` by topic and partition."""
        files = self.list(topics)
        return {at: tuple(own) for at, own in groupby(files, lambda file: (file.topic, file.partition))}

    def strays(self) -> tuple[str, ...]:
        """Return the paths in the archive that are no files of it, such as what a killed writer left unfinished."""
        notes = f"/{_NOTES}/"
        return tuple(sorted(path for path in self._paths() if _named(path) is None and notes not in path))

    def write(self, scan: Scan) -> ArchivedFile:
        """Write one file, whole or not at all; the same scan again replaces it by the same rows.

        Raises
        ------
        ArchiveAway
            If the store refuses or cannot be reached.
        """
        folder = f"{self._root}/topic={scan.topic}/date={scan.date}/partition={scan.partition}"
        path = f"{folder}/{scan.first:012d}-{scan.last:012d}.parquet"
        content = _encoded(scan)
        with _reached(f"{path} must be writable ({len(content)} bytes)"):
            put_whole(self._files, path, content)
        return ArchivedFile(scan.topic, scan.partition, scan.first, scan.last, scan.date, path)

    def forget(self, file: ArchivedFile, below: Mapping[str, int]) -> int:
        """Write a file anew without the rows of some users, and return how many rows that were.

        Its name stays, and with it the range of offsets that it stands for; what it says about itself counts the rows
        that went.

        Parameters
        ----------
        file : one of ``list``.
        below : of each user, the offset before which rows go.

        Raises
        ------
        ArchiveAway
            If the store refuses or cannot be reached.
        DataError
            If the file is torn.
        """
        users = self.read(file, ("user_id",)).column("user_id").unique().to_pylist()
        if below.keys().isdisjoint(users):
            return 0
        about, table = self.about(file), self.read(file)
        kept = kept_rows(table, below)
        gone = int(table.num_rows - kept.num_rows)
        if gone:
            forgotten = about.get("forgotten", 0) + gone
            counts = {name: about[name] for name in ("rejected", "duplicates", "topic_id")}
            scan = Scan(
                file.topic,
                file.partition,
                file.first,
                file.last,
                file.date,
                kept.to_batches(),
                **counts,
                forgotten=forgotten,
            )
            self.write(scan)
        return gone

    def read_forgotten(self, name: str) -> frozenset[str]:
        """Return the ids that stand for users who went from the files of a partition, by the note of that name.

        Raises
        ------
        ArchiveAway
            If the store cannot be reached.
        DataError
            If the note holds something else.
        """
        path = f"{self._root}/{_NOTES}/{name}"
        with _reached(f"{path} must be readable"):
            try:
                content = self._files.cat_file(path)
            except FileNotFoundError:
                return frozenset()
        try:
            return frozenset(map(str, orjson.loads(content)["forgotten"]))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(
                f"archive: {path} must list what was forgotten, got {error!r}; delete it, and every forgetting is "
                "carried out once more"
            ) from error

    def note_forgotten(self, name: str, done: Collection[str]) -> None:
        """Write such a note, or replace it."""
        path = f"{self._root}/{_NOTES}/{name}"
        with _reached(f"{path} must be writable"):
            put_whole(self._files, path, orjson.dumps({"forgotten": sorted(done)}))

    def about(self, file: ArchivedFile) -> dict[str, Any]:
        """Return what a file says about itself: ``format``, its range, ``rows``, ``rejected`` and ``duplicates``.

        Raises
        ------
        DataError
            If the file is torn, was changed, or is of a newer format.
        """
        return _checked(file, self._open(file))

    def topic_id(self, files: Sequence[ArchivedFile]) -> str | None:
        """Return the id of the topic that the newest of these files was made of, None where it does not say.

        Parameters
        ----------
        files : those of one partition, as ``list`` orders them.
        """
        found = self.about(files[-1]).get("topic_id") if files else None
        return None if found is None else str(found)

    def read(self, file: ArchivedFile, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a file's rows, checked: it is whole, its pages match their checksums, and its name tells the truth.

        Raises
        ------
        DataError
            If the file is torn, was changed, or is of a newer format.
        """
        opened = self._open(file)
        about = _checked(file, opened)
        try:
            table = opened.read(columns=columns, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _torn(file, repr(error)) from error
        if about["format"] == 1 and (columns is None or "withdraws" in columns):
            return table.append_column(SCHEMA.field("withdraws"), pa.nulls(table.num_rows, pa.string()))
        return table

    def newest(self, files: Sequence[ArchivedFile], n: int) -> tuple[tuple[str, str], ...]:
        """Return user and event id of the newest n events of one partition, oldest first; fewer if it has fewer.

        A withdrawal gives two ids: that of its event, and its own.

        Parameters
        ----------
        files : those of the partition, as ``list`` orders them.
        """
        ids: deque[tuple[str, str]] = deque()
        for file, start in reversed(list(_without_overlaps(files, 0))):
            table = self.read(file, ("offset", "user_id", "event_id", "withdraws"))
            rows = zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True)
            for _, user_id, event_id, withdraws in reversed([row for row in rows if row[0] >= start]):
                for one in (event_id, withdraws):
                    if len(ids) == n:
                        return tuple(ids)
                    if one is not None:
                        ids.appendleft((user_id, one))
        return tuple(ids)

    def rows(
        self,
        files: Sequence[ArchivedFile],
        columns: Sequence[str] | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> Iterator[pa.Table]:
        """Give the rows of one partition's files, file by file, each offset once, ascending.

        Parameters
        ----------
        files : those of the partition, as ``list`` orders them.
        columns : which, in the order of ``SCHEMA``; ``offset`` must be among them. All by default.
        start, end : the first offset wanted, and the one to end before.
        """
        for file, first in _without_overlaps(files, start):
            if end is not None and first >= end:
                return
            table = self.read(file, columns)
            offsets = table.column("offset").to_numpy()  # int64 (rows,)
            begins = int(offsets.searchsorted(first))
            yield table.slice(begins, None if end is None else max(0, int(offsets.searchsorted(end)) - begins))

    def _open(self, file: ArchivedFile) -> pq.ParquetFile:
        with _reached(f"{file.path} must be readable"):
            content = self._files.cat_file(file.path)
        try:
            return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _torn(file, repr(error)) from error

    def _paths(self) -> Iterable[str]:
        with _reached(f"{self.url} must be a readable folder"):
            self._files.invalidate_cache()
            try:
                found: list[str] = self._files.find(self._root)
            except FileNotFoundError:
                return ()
        return found


def _unbroken(files: Sequence[ArchivedFile], begin: int) -> int:
    reached = begin
    for file in files:
        if file.first > reached:
            break
        reached = max(reached, file.last + 1)
    return reached


@contextmanager
def _reached(required: str) -> Iterator[None]:
    """Turn a failure of the store inside the block into one line that says what was required."""
    try:
        yield
    except Exception as error:  # each store's driver has errors of its own
        raise ArchiveAway(f"archive: {required}, got {error!r}") from error


def kept_rows(rows: pa.Table, below: Mapping[str, int]) -> pa.Table:
    """Return rows without those of users that lie before an offset of their own."""
    users = rows.column("user_id").combine_chunks().dictionary_encode()
    ends = np.array([below.get(one, 0) for one in users.dictionary.to_pylist()], dtype=np.int64)
    return rows.filter(pa.array(rows.column("offset").to_numpy() >= ends[users.indices.to_numpy()]))


def to_rows(events: Sequence[ArchivedEvent]) -> pa.RecordBatch:
    """Return events of one partition as rows of ``SCHEMA``; a withdrawal has no item and no kind."""
    origins = [origin for origin, _ in events]
    facts = [event for _, event in events]
    columns: Sequence[list[Any]] = (
        [origin.offset for origin in origins],
        [origin.timestamp for origin in origins],
        [fact.event_id for fact in facts],
        [fact.user_id for fact in facts],
        ["" if isinstance(fact, Withdrawal) else fact.item_id for fact in facts],
        [fact.ts for fact in facts],
        ["" if isinstance(fact, Withdrawal) else fact.kind for fact in facts],
        [fact.progress if isinstance(fact, Watch) else None for fact in facts],
        [fact.rating if isinstance(fact, Rating) else None for fact in facts],
        [None if isinstance(fact, Withdrawal) else fact.rec_id for fact in facts],
        [fact.withdraws if isinstance(fact, Withdrawal) else None for fact in facts],
    )
    arrays = [pa.array(column, field.type) for field, column in zip(SCHEMA, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _events(topic: str, partition: int, batch: pa.RecordBatch) -> Iterator[ArchivedEvent]:
    """Give the rows of a batch as events; the reverse of ``to_rows``."""
    for row in zip(*(batch.column(name).to_pylist() for name in SCHEMA.names), strict=True):
        offset, timestamp, event_id, user_id, item_id, ts, kind, progress, rating, rec_id, withdraws = row
        origin = Origin(topic, partition, offset, timestamp)
        if withdraws is not None:
            yield origin, Withdrawal(event_id, user_id, ts, withdraws)
        elif kind == WATCH:
            yield origin, Watch(event_id, user_id, item_id, ts, progress, rec_id)
        elif kind == RATE:
            yield origin, Rating(event_id, user_id, item_id, ts, rating, rec_id)
        else:
            yield origin, Action(event_id, user_id, item_id, ts, kind, rec_id)


def _named(path: str) -> ArchivedFile | None:
    """Return what a path says, or None if it is no file of an archive."""
    found = _NAME.fullmatch("/".join(path.split("/")[-4:]))
    if found is None:
        return None
    topic, date, partition, first, last = found.groups()
    return ArchivedFile(topic, int(partition), int(first), int(last), date, path)


def _without_overlaps(files: Iterable[ArchivedFile], start: int) -> Iterator[tuple[ArchivedFile, int]]:
    """Give the files of one partition that hold something new, each with the first offset to take from it.

    Parameters
    ----------
    files : sorted by first offset, of those the longest first.
    start : first offset wanted.
    """
    for file in files:
        if file.last >= start:
            yield file, max(start, file.first)
            start = file.last + 1


def _encoded(scan: Scan) -> bytes:
    about = {
        "format": FORMAT,
        "topic": scan.topic,
        "partition": scan.partition,
        "first": scan.first,
        "last": scan.last,
        "rows": sum(batch.num_rows for batch in scan.rows),
        "rejected": scan.rejected,
        "duplicates": scan.duplicates,
        "topic_id": scan.topic_id,
    } | ({"forgotten": scan.forgotten} if scan.forgotten else {})
    schema = SCHEMA.with_metadata({_ABOUT: orjson.dumps(about)})
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_batches([batch.replace_schema_metadata(schema.metadata) for batch in scan.rows], schema),
        sink,
        compression="zstd",
        write_page_checksum=True,
        store_schema=True,
    )
    return bytes(sink.getvalue())


def _checked(file: ArchivedFile, opened: pq.ParquetFile) -> dict[str, Any]:
    """Return a file's own description after comparing it with its name, its schema and its row count."""
    schema = opened.schema_arrow
    try:
        about: dict[str, Any] = orjson.loads((schema.metadata or {})[_ABOUT])
        written = about["format"]
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise _torn(file, f"a file that no archiver wrote ({error!r})") from error
    if type(written) is not int or not 1 <= written <= FORMAT:
        raise DataError(
            f"archive: {file.path} must have format 1 to {FORMAT}, got {written!r}; "
            "a newer Reelstream wrote it, upgrade"
        )
    said = tuple(about.get(name) for name in ("topic", "partition", "first", "last", "rows"))
    named = (file.topic, file.partition, file.first, file.last, opened.metadata.num_rows)
    if said != named:
        raise _torn(file, f"topic, partition, first, last and rows {said} in a file that is named and holds {named}")
    if not schema.equals(SCHEMA if written > 1 else _SCHEMA_1):
        raise _torn(file, f"columns {schema.names}")
    return about


def _torn(file: ArchivedFile, got: str) -> DataError:
    return DataError(
        f"archive: {file.path} must be a whole file as the archiver wrote it, got {got}; it is torn or was changed: "
        "copy it again, or delete it with all later files of its partition and the archiver writes them anew"
    )
