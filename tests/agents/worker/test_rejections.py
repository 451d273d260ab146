"""What a worker says about its dead letters: at once, then by the minute, and never line by line."""

import logging

import pytest

from agents.worker.rejections import Rejections
from agents.worker.report import WorkerReport
from streams.metrics.worker import WorkerMetrics
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import Origin


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock at 1000 s."""
    return Clock()


@pytest.fixture
def rejections(clock, caplog):
    """Return a fresh account, whose lines are recorded."""
    caplog.set_level(logging.WARNING, "agents.worker.rejections")
    return Rejections(clock, WorkerReport(), WorkerMetrics(), "x-")


def letter(cause, offset):
    """Return a rejected record of partition 3."""
    return Rejected(RawRecord(Origin("x-watch-events", 3, offset), b"k", b"{"), cause, f"value {offset} is bad")


def test_the_first_letters_of_a_quiet_time_are_told_at_once(rejections, caplog):
    """The letters of one batch are one line: how many by cause, and the place and reason of the first."""
    rejections.note([letter("not_json", 7), letter("wrong_key", 8), letter("not_json", 9)])
    assert caplog.messages == [
        "worker.dead_letters 3: not_json 2, wrong_key 1; the first is x-watch-events[3] offset 7, value 7 is bad"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_ten_thousand_letters_within_a_minute_are_one_more_line(rejections, caplog, clock):
    """After the first line nothing is said for 60 s, and then what was counted since, with its own first letter."""
    rejections.note([letter("empty", 0)])
    for n in range(1, 10_001):
        clock.now = 1000 + n * 0.0059
        rejections.note([letter("not_json" if n % 4 else "bad_field", n)])
        rejections.look()
    assert len(caplog.messages) == 1
    clock.now = 1060.0
    rejections.look()
    [_, line] = caplog.messages
    assert line == (
        "worker.dead_letters 10000 in the last 60 s: not_json 7500, bad_field 2500; "
        "the first is x-watch-events[3] offset 1, value 1 is bad"
    )


def test_a_minute_without_letters_makes_the_next_one_told_at_once(rejections, caplog, clock):
    """A letter in the second minute waits for its end; after a minute without any the next one does not wait."""
    rejections.note([letter("empty", 0)])
    clock.now = 1059.9
    rejections.note([letter("empty", 1)])
    assert len(caplog.messages) == 1
    clock.now = 1060.0
    rejections.look()
    assert len(caplog.messages) == 2
    clock.now = 1120.0
    rejections.look()
    clock.now = 1121.0
    rejections.note([letter("empty", 2)])
    assert [message.split(":")[0] for message in caplog.messages] == [
        "worker.dead_letters 1",
        "worker.dead_letters 1 in the last 60 s",
        "worker.dead_letters 1",
    ]


def test_what_is_not_told_yet_is_told_at_the_end(rejections, caplog, clock):
    """A worker that stops within the minute says what it counted, and nothing where there is nothing."""
    rejections.close()
    rejections.note([])
    assert caplog.messages == []
    rejections.note([letter("empty", 0)])
    clock.now = 1010.0
    rejections.note([letter("empty", 1)])
    rejections.close()
    rejections.close()
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("worker.dead_letters 1 in the last 10 s: empty 1; ")
