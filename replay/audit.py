"""Whether an archive says the truth: by itself, and compared with what the topics still hold.

By itself: every file opens and holds what its name says, and the ranges leave no gap. Against the topics: the audit
decodes every record that Kafka still has, and compares it with the archive event by event. It repairs nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from kafka import KafkaConsumer, TopicPartition

from streams.archive.parquet import ArchivedEvent, ArchivedFile, EventArchive
from streams.archive.scanning import LastIds
from streams.errors import DataError
from streams.kafka.clients import blocking_consumer
from streams.kafka.kafka_errors import cluster_required
from streams.kafka.topics import event_topics
from streams.people.asking import read_once
from streams.reading.polling import read_up_to
from streams.records.data_requests import Forgotten
from streams.records.decoding import RawRecord, decode_batch
from streams.settings import Settings

__all__ = ["ArchiveComparison", "PartitionCoverage", "compare_with_topics", "cover", "examine"]

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PartitionCoverage:
    """What the files of one partition say.

    Parameters
    ----------
    topic, partition : whose.
    files : how many.
    first, next : the first offset scanned, and the one after the last.
    gaps : ranges between files, both ends included: Kafka deleted them before an archiver read them.
    overlaps : ranges that more than one file holds; readers take each offset from one of them.
    dates : the first and the last day.
    """

    topic: str
    partition: int
    files: int
    first: int
    next: int
    gaps: tuple[Range, ...]
    overlaps: tuple[Range, ...]
    dates: tuple[str, str]


@dataclass(frozen=True, slots=True)
class ArchiveComparison:
    """What a partition of a topic still holds, compared with the archive.

    Parameters
    ----------
    topic, partition : whose.
    first, next : offsets of the oldest record that Kafka holds, and of the one to come.
    compared : events that both should hold.
    waiting : records that are not archived yet.
    missing : accepted events that the archive lacks.
    different : events that the archive holds otherwise, or that the topic does not accept.
    """

    topic: str
    partition: int
    first: int
    next: int
    compared: int
    waiting: int
    missing: int
    different: int


def cover(archive: EventArchive, topics: Collection[str]) -> tuple[PartitionCoverage, ...]:
    """Return what the names of the files of these topics say, by topic and partition; no file is opened."""
    return tuple(_covered(at, files) for at, files in archive.partitions(topics).items())


def examine(
    archive: EventArchive, topics: Collection[str]
) -> Iterator[tuple[ArchivedFile, Mapping[str, int] | DataError]]:
    """Read every file of these topics whole and give what it counts, or what is wrong with it.

    The counts are ``events``, those of an overlap in the first file only, and ``rejected`` and ``duplicates``.
    """
    for files in archive.partitions(topics).values():
        reached = 0
        for file in files:
            try:
                about = archive.about(file)
                offsets = archive.read(file).column("offset").to_numpy()  # int64 (rows,)
                _require_order(file, offsets.tolist())
            except DataError as error:
                yield file, error
                continue
            counts = {name: int(about[name]) for name in ("rejected", "duplicates")}
            yield file, counts | {"events": int((offsets >= reached).sum())}
            reached = max(reached, file.last + 1)


def compare_with_topics(archive: EventArchive, settings: Settings) -> Iterator[ArchiveComparison]:
    """Read what the event topics hold, and give for each partition how the archive differs.

    Raises
    ------
    TopicError
        If Kafka cannot be reached, or stops answering.
    DataError
        If a file of the archive cannot be read.
    """
    forgotten = read_once(settings).forgotten
    with cluster_required("archive", settings):
        consumer = blocking_consumer(settings, "audit")
    try:
        names = event_topics(settings.prefix)
        with cluster_required("archive", settings):
            places = [
                TopicPartition(name, at) for name in names for at in sorted(consumer.partitions_for_topic(name) or ())
            ]
            kept, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        covered = {(one.topic, one.partition): one for one in cover(archive, names)}
        for at in places:
            yield _compared(
                archive, covered.get((at.topic, at.partition)), consumer, at, (kept[at], ends[at]), settings, forgotten
            )
    finally:
        consumer.close()


def _covered(at: tuple[str, int], files: tuple[ArchivedFile, ...]) -> PartitionCoverage:
    gaps: list[Range] = []
    overlaps: list[Range] = []
    reached = files[0].first
    for file in files:
        if file.first > reached:
            gaps.append((reached, file.first - 1))
        elif file.first < reached:
            overlaps.append((file.first, min(file.last, reached - 1)))
        reached = max(reached, file.last + 1)
    days = sorted(file.date for file in files)
    return PartitionCoverage(
        *at, len(files), files[0].first, reached, tuple(gaps), tuple(overlaps), (days[0], days[-1])
    )


def _require_order(file: ArchivedFile, offsets: list[int]) -> None:
    ascending = all(one < other for one, other in pairwise(offsets))
    if not ascending or (offsets and not file.first <= offsets[0] <= offsets[-1] <= file.last):
        raise DataError(
            f"archive: {file.path} must hold ascending offsets from {file.first} to {file.last}, "
            f"got {offsets[:3]} ... {offsets[-3:]}"
        )


def _compared(
    archive: EventArchive,
    covered: PartitionCoverage | None,
    consumer: KafkaConsumer,
    at: TopicPartition,
    held: Range,
    settings: Settings,
    forgotten: Forgotten,
) -> ArchiveComparison:
    kept, end = held
    if covered is None:
        return ArchiveComparison(at.topic, at.partition, kept, end, 0, end - kept, 0, 0)
    until = min(end, covered.next)  # an archiver may write on meanwhile
    events = _each(
        archive.read_events(below={at.topic: {at.partition: until}}, topics=[at.topic], partitions=[at.partition])
    )
    ids = LastIds()
    compared, missing, different = 0, 0, 0
    archived = next(events, None)
    while archived is not None and archived[0].offset < kept:
        ids.is_new(archived[1].user_id, archived[1].event_id)
        archived = next(events, None)
    for expected in _accepted(consumer, at, kept, until, settings):
        if not ids.is_new(expected[1].user_id, expected[1].event_id):
            continue
        is_there = archived is not None and archived[0].offset <= expected[0].offset
        if not is_there and forgotten.find(expected[1].user_id, expected[0], settings.prefix) is not None:
            continue
        compared += 1
        while archived is not None and archived[0].offset < expected[0].offset:
            different += 1
            archived = next(events, None)
        if archived is None or archived[0].offset > expected[0].offset:
            missing += 1
        else:
            different += archived != expected
            archived = next(events, None)
    different += (archived is not None) + sum(1 for _ in events)
    return ArchiveComparison(
        at.topic, at.partition, kept, end, compared, max(0, end - covered.next), missing, different
    )


def _accepted(
    consumer: KafkaConsumer, at: TopicPartition, first: int, end: int, settings: Settings
) -> Iterator[ArchivedEvent]:
    """Give the events that a partition holds from ``first`` up to, not including, ``end``."""
    consumer.assign([at])
    consumer.seek(at, first)
    for found in read_up_to(consumer, {at: end}, "archive", most=5000):
        raw = [RawRecord.of(one) for one in found.get(at, ()) if one.offset < end]
        yield from decode_batch(raw, settings.prefix, settings.kinds).events


def _each(batches: Iterable[tuple[ArchivedEvent, ...]]) -> Iterator[ArchivedEvent]:
    return (event for batch in batches for event in batch)
