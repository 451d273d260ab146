"""When it is said that a request waits."""

from streams.people.waits import TELL_S, EarlierEvents

AT, OTHER = ("t-watch-events", 1), ("t-rate-events", 0)


def test_a_long_wait_is_told_once_a_minute(caplog):
    """With what it waits for; not at first, as most wait for a moment, and no more once all is applied."""
    clock = [0.0]
    earlier = EarlierEvents("a", {OTHER: 2, AT: 5}, lambda: clock[0])
    said = []
    for second in range(int(2.5 * TELL_S)):
        clock[0] = float(second)
        assert not earlier.are_applied({OTHER: 2, AT: 3})
        said.append(len(caplog.records))
    assert said[int(TELL_S) - 1] == 0
    assert said[int(TELL_S)] == said[2 * int(TELL_S) - 1] == 1
    assert said[-1] == 2
    assert "request a: t-watch-events/1 is to be applied up to 5, got 3" in caplog.text
    clock[0] += TELL_S
    assert earlier.are_applied({OTHER: 2, AT: 5})
    assert len(caplog.records) == 2
