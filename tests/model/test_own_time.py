import numpy as np
import pytest

from model.own_time import OwnTime

DAY = 86_400_000
WEEK = 7 * DAY


def _jumpy(generator):
    """Draw 3,000 times that mostly rise by minutes, with single ones and whole runs that are years off."""
    times = np.cumsum(generator.integers(-60_000, 600_000, 3000)) + 1_600_000_000_000
    times[generator.random(3000) < 0.01] += 400 * DAY
    times[1000:1040] -= 900 * DAY
    times[1100:] += 300 * DAY
    times[generator.random(3000) < 0.05] -= 5 * DAY
    return times


@pytest.mark.parametrize("seed", range(4))
def test_many_events_are_taken_as_one_by_one(seed):
    """The clocks agree after every piece, also where another clock takes over."""
    generator = np.random.default_rng(seed)
    times = _jumpy(generator)
    one_by_one, at_once = (OwnTime.beginning(int(times[0]), WEEK) for _ in range(2))
    at = 0
    while at < len(times):
        piece = times[at : at + int(generator.integers(1, 900))]
        assert at_once.take_all(piece).tolist() == [one_by_one.take(ts) for ts in piece.tolist()]
        at += len(piece)
        assert (at_once.newest, at_once.own, at_once.other) == (one_by_one.newest, one_by_one.own, one_by_one.other)
        assert at_once.warm == pytest.approx(one_by_one.warm)
        assert at_once.other_warm == pytest.approx(one_by_one.other_warm)
    assert one_by_one.own != one_by_one.newest  # another clock has taken over


def test_no_events_change_no_clock():
    """An empty piece has no own times."""
    clock = OwnTime.beginning(5, WEEK)
    assert clock.take_all(np.empty(0, dtype=np.int64)).tolist() == []
    assert clock == OwnTime.beginning(5, WEEK)
