"""Dead letters, read back: what they hold, each of them once, counted and filtered.

A letter's identity is its origin: the topic, partition and offset of the record that died. A worker that is killed
between sending its letters and acknowledging its batch sends them again, so one origin may lie in ``dead-letters``
several times; it counts once. A note of what was replayed lies in the same topic, beside its letter, and so is
forgotten with it. Reading needs no consumer group and leaves no trace. ``replaying`` sends letters back.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.errors import RecordError, TopicError
from streams.kafka import topics
from streams.kafka.clients import blocking_consumer
from streams.kafka.kafka_errors import cluster_required
from streams.reading.polling import read_up_to
from streams.records.records import Origin
from streams.settings import Settings

__all__ = [
    "Letter",
    "LetterFilter",
    "LetterReader",
    "LetterSummary",
    "ListedLetter",
    "OriginSet",
    "ReadProgress",
    "ReplayNote",
    "read_entry",
    "replay_note_headers",
    "summarize",
]

OFFSETS_PER_CHUNK = 1024  # of one chunk of ``OriginSet``

ReadProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of ``dead-letters``.

    Parameters
    ----------
    partition, offset : where the letter lies.
    timestamp : when it was written, milliseconds.
    origin : where the record stood that died; its topic carries the prefix.
    key, value : of that record.
    cause, reason : why it died.
    cut_from : size of the value where only its beginning was kept, bytes.
    headers : all headers as they are.
    """

    partition: int
    offset: int
    timestamp: int
    origin: Origin
    key: bytes | None
    value: bytes | None
    cause: str
    reason: str
    cut_from: int | None
    headers: Mapping[str, bytes]

    @property
    def letter_id(self) -> str:
        """Where the letter lies, as people name it: ``partition:offset``."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class ReplayNote:
    """A note in ``dead-letters``: the record that died at ``origin`` was sent again."""

    origin: Origin


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant; everything is optional.

    Parameters
    ----------
    causes : any of these.
    topic : the full name of the topic that the record died on.
    since_ms, until_ms : when the letter was written, milliseconds; from, and before.
    letter_ids : only letters with these ids.
    """

    causes: frozenset[str] = frozenset()
    topic: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    letter_ids: frozenset[str] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Return whether a letter is meant."""
        return (
            (not self.causes or letter.cause in self.causes)
            and self.topic in (None, letter.origin.topic)
            and (self.since_ms is None or letter.timestamp >= self.since_ms)
            and (self.until_ms is None or letter.timestamp < self.until_ms)
            and (not self.letter_ids or letter.letter_id in self.letter_ids)
        )


class OriginSet:
    """A set of origins that stays small for the runs of offsets a flood makes: one bit each."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, int, int], int] = {}

    def __contains__(self, origin: Origin) -> bool:
        chunk, bit = _chunk(origin)
        return bool(self._chunks.get(chunk, 0) & bit)

    def add(self, origin: Origin) -> bool:
        """Add an origin and return whether it is new."""
        chunk, bit = _chunk(origin)
        before = self._chunks.get(chunk, 0)
        self._chunks[chunk] = before | bit
        return not before & bit

    def count_shared(self, other: "OriginSet") -> int:
        """Return how many origins both hold."""
        return sum((bits & other._chunks.get(chunk, 0)).bit_count() for chunk, bits in self._chunks.items())  # noqa: SLF001 - same class


def _chunk(origin: Origin) -> tuple[tuple[str, int, int], int]:
    number, at = divmod(origin.offset, OFFSETS_PER_CHUNK)
    return (origin.topic, origin.partition, number), 1 << at


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A letter of a list, how often it was delivered, and whether it was replayed."""

    letter: Letter
    copies: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class LetterSummary:
    """What the letters of one reading amount to; ``newest`` begins with the latest.

    Parameters
    ----------
    letters : distinct records that died.
    deliveries : letters in the topic, copies among them.
    replayed : how many of ``letters`` were sent again.
    causes, topics : letters by cause, and by full name of the topic they died on.
    first_ms, last_ms : when the earliest and the latest was written; None where there is none.
    """

    letters: int
    deliveries: int
    replayed: int
    causes: Mapping[str, int]
    topics: Mapping[str, int]
    first_ms: int | None
    last_ms: int | None
    newest: tuple[ListedLetter, ...]


def summarize(entries: Iterable[Letter | ReplayNote], wanted: LetterFilter, n: int) -> LetterSummary:
    """Count the wanted letters, each origin once, and keep the newest n."""
    tally = _LetterTally(n)
    for entry in entries:
        if isinstance(entry, ReplayNote):
            tally.replayed.add(entry.origin)
        elif wanted.takes(entry):
            tally.count(entry)
    return tally.summary()


@dataclass(slots=True)
class _LetterTally:
    """Counters of a reading; only the newest n letters are kept."""

    n: int
    seen: OriginSet = field(default_factory=OriginSet)
    replayed: OriginSet = field(default_factory=OriginSet)
    copies: Counter[Origin] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    deliveries: int = 0
    times: tuple[int, int] | None = None
    newest: list[tuple[int, int, int, Letter]] = field(default_factory=list)

    def count(self, letter: Letter) -> None:
        self.deliveries += 1
        if not self.seen.add(letter.origin):
            self.copies[letter.origin] += 1
            return
        self.causes[letter.cause] += 1
        self.topics[letter.origin.topic] += 1
        first, last = self.times or (letter.timestamp, letter.timestamp)
        self.times = min(first, letter.timestamp), max(last, letter.timestamp)
        heapq.heappush(self.newest, (letter.timestamp, letter.partition, letter.offset, letter))
        if len(self.newest) > self.n:
            heapq.heappop(self.newest)

    def summary(self) -> LetterSummary:
        listed = tuple(
            ListedLetter(letter, 1 + self.copies[letter.origin], letter.origin in self.replayed)
            for *_, letter in sorted(self.newest, reverse=True)
        )
        first, last = self.times or (None, None)
        return LetterSummary(
            self.causes.total(),
            self.deliveries,
            self.seen.count_shared(self.replayed),
            dict(self.causes.most_common()),
            dict(self.topics.most_common()),
            first,
            last,
            listed,
        )


class LetterReader:
    """Reads ``dead-letters`` without a consumer group; used as a context it disconnects at the end.

    Raises
    ------
    TopicError
        If the cluster cannot be reached, does not answer in time or has a batch that cannot be read, or if the topic
        is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.prefix + topics.DEAD_LETTERS
        self.foreign = 0

    def __enter__(self) -> Self:
        with cluster_required("dead letters", self._settings):
            self._consumer = blocking_consumer(self._settings, "letters")
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def entries(
        self, since_ms: int | None = None, progress: ReadProgress | None = None
    ) -> Iterator[Letter | ReplayNote]:
        """Give every letter and note that is there now, in order within each partition.

        What is neither, because somebody else wrote it, is counted in ``foreign`` and left out.

        Parameters
        ----------
        since_ms : begin with the first record of each partition written then or later, milliseconds.
        progress : called now and then with the records read and the records to read.
        """
        ends, first = self._bounds(since_ms)
        total = sum(ends[at] - first[at] for at in ends)
        read = 0
        for found in read_up_to(self._consumer, ends, "dead letters"):
            for at, records in found.items():
                for record in records:
                    if record.offset < ends[at]:
                        read += 1
                        yield from self._entry(record)
            if progress is not None:
                progress(read, total)

    def find(self, partition: int, offset: int) -> Letter:
        """Return the letter that lies there; raise RecordError if there is none."""
        ends, first = self._bounds(None)
        at = TopicPartition(self._topic, partition)
        where = f"dead letters: {self._topic} partition {partition}"
        if at not in ends:
            raise RecordError(f"{where}: one of {len(ends)} partitions is required, got {partition}")
        if first[at] == ends[at]:
            raise RecordError(f"{where}: a letter at offset {offset} is required, got a partition without any")
        if not first[at] <= offset < ends[at]:
            raise RecordError(
                f"{where}: an offset from {first[at]} to {ends[at] - 1} is required, got {offset}; "
                "`reelstream dead-letters list` prints ids"
            )
        self._consumer.assign([at])
        self._consumer.seek(at, offset)
        for found in read_up_to(self._consumer, {at: ends[at]}, "dead letters", most=1):
            for record in found.get(at, ()):
                entry = read_entry(record)
                if record.offset == offset and isinstance(entry, Letter):
                    return entry
                raise RecordError(f"{where}: a dead letter is required at {offset}, got {_described(entry)}")
        raise RecordError(f"{where}: a dead letter is required at {offset}, got no record there or behind it")

    def _entry(self, record: Any) -> Iterator[Letter | ReplayNote]:
        entry = read_entry(record)
        if entry is None:
            self.foreign += 1
        else:
            yield entry

    def _bounds(self, since_ms: int | None) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Stand where reading begins; return the end and the beginning of each partition."""
        try:
            numbers = self._consumer.partitions_for_topic(self._topic)
            if not numbers:
                raise TopicError(
                    f"dead letters: the topic {self._topic} is required at {self._settings.kafka}, got none; "
                    "create it with `reelstream topics create`"
                )
            topic_partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            self._consumer.assign(topic_partitions)
            ends = self._consumer.end_offsets(topic_partitions)
            first = self._consumer.beginning_offsets(topic_partitions)
            if since_ms is not None:
                found = self._consumer.offsets_for_times(dict.fromkeys(topic_partitions, max(0, since_ms)))
                first = {at: found[at].offset if found.get(at) else ends[at] for at in topic_partitions}
            for at in topic_partitions:
                self._consumer.seek(at, first[at])
        except KafkaError as error:
            raise TopicError(
                f"dead letters: reading {self._topic} at {self._settings.kafka} failed: {error!r}"
            ) from error
        return ends, first


def _described(entry: Letter | ReplayNote | None) -> str:
    if isinstance(entry, ReplayNote):
        origin = entry.origin
        return f"the note that {origin.topic}:{origin.partition}:{origin.offset} was replayed"
    return "another letter's place" if entry else "a record that Reelstream did not write"


def read_entry(record: Any) -> Letter | ReplayNote | None:
    """Return what a record of ``dead-letters`` is; None if it is nothing of ours."""
    headers = {name: value or b"" for name, value in record.headers}
    try:
        if "replayed_topic" in headers:
            return ReplayNote(_origin(headers, "replayed_"))
        return Letter(
            record.partition,
            record.offset,
            record.timestamp,
            _origin(headers),
            record.key,
            record.value,
            headers["cause"].decode(errors="replace"),
            headers.get("reason", b"").decode(errors="replace"),
            int(headers["cut_from_bytes"]) if "cut_from_bytes" in headers else None,
            headers,
        )
    except (KeyError, ValueError):
        return None


def _origin(headers: Mapping[str, bytes], prefix: str = "") -> Origin:
    partition, offset = int(headers[prefix + "partition"]), int(headers[prefix + "offset"])
    if partition < 0 or offset < 0:
        raise ValueError(f"a position must not be negative, got {partition} and {offset}")
    return Origin(headers[prefix + "topic"].decode(), partition, offset)


def replay_note_headers(origin: Origin) -> list[tuple[str, bytes]]:
    """Return the headers of the note that a letter was replayed."""
    return [
        ("replayed_topic", origin.topic.encode()),
        ("replayed_partition", str(origin.partition).encode()),
        ("replayed_offset", str(origin.offset).encode()),
    ]
