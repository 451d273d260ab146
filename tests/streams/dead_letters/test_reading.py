"""Dead letters read back: what an entry is, each origin once, what a filter takes, and what the counts are."""

import random
from types import SimpleNamespace

import pytest

from streams.dead_letters.reading import (
    Letter,
    LetterFilter,
    OriginSet,
    ReplayNote,
    read_entry,
    replay_note_headers,
    summarize,
)
from streams.kafka.publisher import dead_letter_headers
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import Origin

TS = 1_700_000_000_000


def entry(offset, headers, value=b"{", key=b"u", timestamp=TS):
    """Return a record of partition 1 as Kafka's client gives it."""
    return SimpleNamespace(partition=1, offset=offset, timestamp=timestamp, key=key, value=value, headers=headers)


def letter(at, origin=None, cause="not_json", topic="x-watch-events", minutes=0):
    """Return a letter at an offset, of a record at the same offset unless another origin is given."""
    headers = {
        "topic": topic.encode(),
        "partition": b"0",
        "offset": str(at if origin is None else origin).encode(),
        "cause": cause.encode(),
    }
    return read_entry(entry(at, list(headers.items()), timestamp=TS + 60_000 * minutes))


def test_a_letter_is_what_the_outbox_wrote():
    """Headers of the outbox are read back as origin, cause and reason, and the bytes stay as they are."""
    rejected = Rejected(RawRecord(Origin("x-rate-events", 3, 44), b"k\xff", b"\x00"), "not_json", "value é")
    found = read_entry(entry(7, list(dead_letter_headers(rejected).items()), b"\x00", b"k\xff"))
    assert isinstance(found, Letter)
    assert (found.letter_id, found.origin, found.cause, found.reason, found.cut_from) == (
        "1:7",
        Origin("x-rate-events", 3, 44),
        "not_json",
        "value é",
        None,
    )
    assert (found.key, found.value, found.timestamp) == (b"k\xff", b"\x00", TS)


def test_a_note_is_read_as_what_it_is_about():
    """The headers of a note name the origin that was replayed."""
    origin = Origin("x-watch-events", 2, 9)
    assert read_entry(entry(8, replay_note_headers(origin))) == ReplayNote(origin)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("cause", b"empty")],
        [("topic", b"t"), ("partition", b"one"), ("offset", b"1"), ("cause", b"empty")],
        [("topic", b"t"), ("partition", b"-1"), ("offset", b"1"), ("cause", b"empty")],
        [("topic", b"\xff"), ("partition", b"1"), ("offset", b"1"), ("cause", b"empty")],
        [("topic", None), ("partition", None), ("offset", None), ("cause", None)],
    ],
)
def test_what_we_did_not_write_is_nothing(headers):
    """A record whose headers say no origin or no cause is neither letter nor note."""
    assert read_entry(entry(0, headers)) is None


def test_one_origin_counts_once():
    """Three letters of which two have one origin are two, three deliveries, and the first is shown with 2 copies."""
    summary = summarize([letter(0), letter(1), letter(2, origin=0)], LetterFilter(), 10)
    assert (summary.letters, summary.deliveries, dict(summary.causes)) == (2, 3, {"not_json": 2})
    assert [(one.letter.letter_id, one.copies) for one in summary.newest] == [("1:1", 1), ("1:0", 2)]


def test_the_same_offset_of_another_topic_is_another_letter():
    """Offset 0 of two topics is two letters, one of each topic."""
    summary = summarize([letter(0), letter(1, origin=0, topic="x-rate-events")], LetterFilter(), 1)
    assert (summary.letters, dict(summary.topics)) == (2, {"x-watch-events": 1, "x-rate-events": 1})
    assert len(summary.newest) == 1


def test_the_newest_are_kept_and_the_times_are_the_bounds():
    """Of letters of minutes 0, 3, 1 and 2 the newest two are those of 3 and 2, and the bounds are 0 and 3."""
    summary = summarize([letter(at, minutes=m) for at, m in enumerate((0, 3, 1, 2))], LetterFilter(), 2)
    assert [one.letter.timestamp for one in summary.newest] == [TS + 180_000, TS + 120_000]
    assert (summary.first_ms, summary.last_ms) == (TS, TS + 180_000)


def test_nothing_has_no_times():
    """An empty topic has no letters and no bounds."""
    summary = summarize([], LetterFilter(), 5)
    assert (summary.letters, summary.first_ms, summary.last_ms, summary.newest) == (0, None, None, ())


def test_replayed_letters_are_counted_whatever_comes_first():
    """Of two letters and notes on the second and on a stranger, one is replayed, even if its note is read first."""
    notes = [ReplayNote(Origin("x-watch-events", 0, 1)), ReplayNote(Origin("x-watch-events", 0, 999))]
    for entries in ([letter(0), letter(1), *notes], [*notes, letter(0), letter(1)]):
        summary = summarize(entries, LetterFilter(), 10)
        assert (summary.letters, summary.replayed) == (2, 1)
        assert [one.replayed for one in summary.newest] == [True, False]


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (LetterFilter(), [0, 1, 2]),
        (LetterFilter(causes=frozenset({"empty"})), [1]),
        (LetterFilter(causes=frozenset({"empty", "bad_field"})), [1, 2]),
        (LetterFilter(topic="x-rate-events"), [2]),
        (LetterFilter(since_ms=TS + 60_000), [1, 2]),
        (LetterFilter(until_ms=TS + 60_000), [0]),
        (LetterFilter(since_ms=TS + 1, until_ms=TS + 120_000), [1]),
        (LetterFilter(letter_ids=frozenset({"1:0", "0:1"})), [0]),
    ],
)
def test_a_filter_takes_what_all_its_parts_take(wanted, offsets):
    """Cause, topic, time (from, and before) and id each narrow the choice."""
    letters = [
        letter(0),
        letter(1, cause="empty", minutes=1),
        letter(2, cause="bad_field", topic="x-rate-events", minutes=2),
    ]
    assert [one.offset for one in letters if wanted.takes(one)] == offsets


def test_a_set_of_origins_is_a_set():
    """Against Python's own set: 3,000 random origins are new, contained and shared alike."""
    rng = random.Random(1)
    ours, theirs = (OriginSet(), OriginSet()), (set(), set())
    for _ in range(3000):
        which = rng.randrange(2)
        origin = Origin(f"t{rng.randrange(2)}", rng.randrange(2), rng.choice((rng.randrange(3000), 2**40)))
        assert ours[which].add(origin) == (origin not in theirs[which])
        theirs[which].add(origin)
        assert (origin in ours[1 - which]) == (origin in theirs[1 - which])
    assert ours[0].count_shared(ours[1]) == len(theirs[0] & theirs[1])
