"""When it is said that a request waits."""

import pytest

from streams.people.waits import TELL_S, Waits

AT = ("t-watch-events", 1)


@pytest.fixture
def clock():
    """Return a clock that a test moves."""
    return [0.0]


@pytest.fixture
def waits(clock):
    """Return waits by that clock."""
    return Waits(lambda: clock[0])


def test_a_long_wait_is_told_once_a_minute(waits, clock, caplog):
    """With what it waits for; not at first, as most wait for a moment."""
    said = []
    for second in range(int(2.5 * TELL_S)):
        clock[0] = float(second)
        waits.note("a", AT, 3, 5)
        said.append(len(caplog.records))
    assert said[int(TELL_S) - 1] == 0
    assert said[int(TELL_S)] == said[2 * int(TELL_S) - 1] == 1
    assert said[-1] == 2
    assert "request a: t-watch-events/1 is to be applied up to 5, got 3" in caplog.text
    waits.end("a")
    waits.note("a", AT, 3, 5)
    assert len(caplog.records) == 2
