"""Users' hints as a process holds them: replaced, taken back, and forgotten with age. Reading Kafka is for brokers."""

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
