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
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from model.kinds import RATE, WATCH
from streams.errors import DataError
from streams.files import put_whole
from streams.records.positions import Offsets
from streams.records.records import Action, Event, Origin, Rating, Watch

__all__ = ["FORMAT", "SCHEMA", "ArchiveAway", "ArchivedEvent", "ArchivedFile", "EventArchive", "Scan", "to_rows"]

FORMAT = 1
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
    ]
)
_ABOUT = b"reelstream"  # key of our own part of a file's metadata
_NAME = re.compile(r"topic=([^/]+)/date=(\d{4}-\d{2}-\d{2})/partition=(\d{1,9})/(\d{1,19})-(\d{1,19})\.parquet")
ArchivedEvent = tuple[Origin, Event]


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
        for (topic, partition), files in self.partitions().items():
            if (topics is not None and topic not in topics) or (partitions is not None and partition not in partitions):
                continue
            start = (from_offsets or {}).get(topic, {}).get(partition, 0)
            end = (below or {}).get(topic, {}).get(partition)
            for table in self.rows(files, None, start, end):
                for batch in table.to_batches(max_chunksize=most):
                    if batch.num_rows:
                        yield tuple(_events(topic, partition, batch))

    def list(self) -> tuple[ArchivedFile, ...]:
        """Return the files, sorted by topic, partition, first offset, and of those the longest first.

        Raises
        ------
        ArchiveAway
            If the store cannot be listed.
        """
        found = (_named(path) for path in self._paths())
        return tuple(
            sorted(
                (file for file in found if file is not None),
                key=lambda file: (file.topic, file.partition, file.first, -file.last),
            )
        )

    def partitions(self) -> dict[tuple[str, int], tuple[ArchivedFile, ...]]:
        """Return the files of ``list`` by topic and partition."""
        return {at: tuple(files) for at, files in groupby(self.list(), lambda file: (file.topic, file.partition))}

    def strays(self) -> tuple[str, ...]:
        """Return the paths in the archive that are no files of it, such as what a killed writer left unfinished."""
        return tuple(sorted(path for path in self._paths() if _named(path) is None))

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
        _checked(file, opened)
        try:
            return opened.read(columns=columns, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _torn(file, repr(error)) from error

    def newest(self, files: Sequence[ArchivedFile], n: int) -> tuple[tuple[str, str], ...]:
        """Return user and event id of the newest n events of one partition, oldest first; fewer if it has fewer.

        Parameters
        ----------
        files : those of the partition, as ``list`` orders them.
        """
        ids: deque[tuple[str, str]] = deque()
        for file, start in reversed(list(_without_overlaps(files, 0))):
            table = self.read(file, ("offset", "user_id", "event_id"))
            rows = zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True)
            for _, user_id, event_id in reversed([row for row in rows if row[0] >= start]):
                if len(ids) == n:
                    return tuple(ids)
                ids.appendleft((user_id, event_id))
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


def to_rows(events: Sequence[ArchivedEvent]) -> pa.RecordBatch:
    """Return events of one partition as rows of ``SCHEMA``."""
    origins = [origin for origin, _ in events]
    facts = [event for _, event in events]
    columns: Sequence[list[Any]] = (
        [origin.offset for origin in origins],
        [origin.timestamp for origin in origins],
        [fact.event_id for fact in facts],
        [fact.user_id for fact in facts],
        [fact.item_id for fact in facts],
        [fact.ts for fact in facts],
        [fact.kind for fact in facts],
        [fact.progress if isinstance(fact, Watch) else None for fact in facts],
        [fact.rating if isinstance(fact, Rating) else None for fact in facts],
        [fact.rec_id for fact in facts],
    )
    arrays = [pa.array(column, field.type) for field, column in zip(SCHEMA, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _events(topic: str, partition: int, batch: pa.RecordBatch) -> Iterator[ArchivedEvent]:
    """Give the rows of a batch as events; the reverse of ``to_rows``."""
    for row in zip(*(batch.column(name).to_pylist() for name in SCHEMA.names), strict=True):
        offset, timestamp, event_id, user_id, item_id, ts, kind, progress, rating, rec_id = row
        origin = Origin(topic, partition, offset, timestamp)
        if kind == WATCH:
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
    }
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
    if not schema.equals(SCHEMA):
        raise _torn(file, f"columns {schema.names}")
    return about


def _torn(file: ArchivedFile, got: str) -> DataError:
    return DataError(
        f"archive: {file.path} must be a whole file as the archiver wrote it, got {got}; it is torn or was changed: "
        "copy it again, or delete it with all later files of its partition and the archiver writes them anew"
    )
