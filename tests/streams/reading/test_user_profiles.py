"""Users' hints as a process holds them: replaced, taken back, and forgotten with age. Reading Kafka is for brokers."""

from threading import Thread

import orjson
import pytest

from streams.reading.user_profiles import HintsFeed
from streams.records.decoding import RawRecord
from streams.records.positions import DAY_MS
from streams.records.records import Origin
from streams.settings import Settings

SENT_MS = 1_700_000_000_000


class Clock:
    """A clock that stands still until it is set."""

    now_ms = SENT_MS

    def __call__(self):
        """Return the time."""
        return self.now_ms


def made(clock=None, idle_days=365):
    """Return a feed of nothing."""
    return HintsFeed(Settings("unused:1", "redis://unused", "models", idle_days=idle_days), clock or Clock())


def record(user_id, offset=0, **hints):
    """Return a record of these hints, or an empty value without any argument."""
    value = orjson.dumps({"user_id": user_id} | hints) if hints else None
    return RawRecord(Origin("user-profiles", 0, offset, SENT_MS), user_id.encode(), value)


def take(feed, *records):
    """Let a feed take records, as if read."""
    feed._take(records)


def test_the_last_record_of_a_user_counts_as_a_whole():
    """A second record without an age leaves the age out; who sent nothing has no groups."""
    feed = made()
    take(feed, record("a", age=30, gender="F"), record("b", gender="M"), record("a", gender="F"))
    assert [feed.groups_of(user) for user in "abc"] == [("gender:F",), ("gender:M",), ()]


def test_hints_are_taken_back_by_an_empty_value_or_a_record_without_hints():
    """Both leave nothing behind; of somebody unknown there is nothing to take back."""
    feed = made()
    take(feed, record("a", gender="F"), record("b", gender="M"), record("a"), record("b", gender=None), record("c"))
    assert [feed.groups_of(user) for user in "abc"] == [(), (), ()]
    assert len(feed) == 0


@pytest.mark.parametrize(("idle_days", "kept"), [(30, False), (31, True), (0, True)])
def test_hints_are_forgotten_as_long_after_they_were_sent_as_users_are(idle_days, kept):
    """Of 30 days and a millisecond ago they are gone with 30 idle days; with 31, or with 0 for never, they hold."""
    clock = Clock()
    feed = made(clock, idle_days)
    take(feed, record("a", gender="F"))
    clock.now_ms = SENT_MS + 30 * DAY_MS + 1
    assert feed.groups_of("a") == (("gender:F",) if kept else ())
    assert len(feed) == int(kept)


def test_a_bad_record_is_set_aside_and_the_rest_is_taken():
    """It leaves the user's earlier hints as they were, and is returned once."""
    feed = made()
    take(feed, record("a", gender="F"), record("a", 1, age=-1), record("b", 2, gender="M"))
    assert (feed.groups_of("a"), feed.groups_of("b")) == (("gender:F",), ("gender:M",))
    [rejected] = feed.take_rejected()
    assert (rejected.cause, rejected.record.origin.offset) == ("bad_field", 1)
    assert feed.take_rejected() == ()


def test_users_of_the_same_groups_share_them():
    """A million users of a hundred groups hold a hundred tuples."""
    feed = made()
    take(feed, *(record(f"u{n}", age=20 + n % 2, gender="F") for n in range(10)))
    assert len({id(feed.groups_of(f"u{n}")) for n in range(10)}) == 1


class Interrupted(Clock):
    """A clock that lets something happen between two steps of whoever asks for the time."""

    def __init__(self, happening):
        self._happening = happening

    def __call__(self):
        """Return the time after it has happened."""
        self._happening()
        return self.now_ms


def asked_while(*records):
    """Return a feed of one user with old hints, which takes records while it is asked in another thread."""
    feed = made(clock := Clock(), idle_days=30)
    take(feed, record("a", gender="F"))
    clock.now_ms = SENT_MS + 31 * DAY_MS
    asked = Thread(target=take, args=(feed, *records))

    def happening():
        if not asked.ident:
            asked.start()
            asked.join()

    feed._clock = Interrupted(happening)
    feed._clock.now_ms = clock.now_ms
    return feed


def test_hints_may_be_taken_back_while_they_are_asked_for():
    """A trainer asks in a thread of its own; hints that are gone by then are none, and no error."""
    feed = asked_while(record("a"))
    assert feed.groups_of("a") == ()
    assert len(feed) == 0


def test_newer_hints_that_come_while_old_ones_are_forgotten_stay():
    """The old ones are none any more, and the next question finds those that came meanwhile."""
    newer = RawRecord(Origin("user-profiles", 0, 1, SENT_MS + 31 * DAY_MS), b"a", record("a", gender="M").value)
    feed = asked_while(newer)
    assert feed.groups_of("a") == ()
    assert feed.groups_of("a") == ("gender:M",)
