"""A process that stood still knows it by how late it is."""

import math

from streams.awake import Awake


def test_one_that_is_called_in_time_never_overslept():
    """Calls up to the stated time apart are no sleep."""
    times = iter([0.0, 1.0, 6.0])
    awake = Awake(5.0, lambda: next(times))
    assert [awake.look() for _ in range(3)] == [math.inf] * 3


def test_after_a_sleep_the_time_begins_anew():
    """A call that comes later than the stated time is the moment of waking, and the next ones count from there."""
    times = iter([0.0, 5.5, 7.5, 20.0])
    awake = Awake(5.0, lambda: next(times))
    assert [awake.look() for _ in range(4)] == [math.inf, 0.0, 2.0, 0.0]
