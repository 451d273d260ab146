"""The order of time between partitions by hand, and that no cut into reads changes what is given out."""

from hypothesis import given
from hypothesis import strategies as st

from streams.reading.time_order import TimeOrder
from streams.records.decoding import RawRecord
from streams.records.records import Origin

EVENTS, LISTS = "watch-events", "recommendations"
PLACES = [(EVENTS, 0), (EVENTS, 1), (LISTS, 0)]
LATER = 10_000_000.0  # everything is overdue


def record(place, timestamp, offset=0):
    """Return an empty record at a place and time."""
    topic, partition = place
    return RawRecord(Origin(topic, partition, offset, timestamp), None, None)


def order():
    """Return an order of the three places in which records may be 100 ms late."""
    return TimeOrder(PLACES, LISTS, 100.0)


def given_out(found):
    """Return topic, partition and time of records."""
    return [(one.origin.topic, one.origin.partition, one.origin.timestamp) for one in found]


def test_the_earliest_goes_first_while_every_place_has_something():
    """With heads at 5, 3 and 4 the one at 3 goes; its place is then empty, and nothing else is certain yet."""
    waiting = order()
    waiting.add([record(PLACES[0], 5), record(PLACES[1], 3), record(PLACES[2], 4)], now_ms=5.0)
    assert given_out(waiting.ready((), now_ms=5.0)) == [(EVENTS, 1, 3)]
    assert len(waiting) == 2


def test_what_is_overdue_waits_for_no_empty_place():
    """A record at 3 goes 100 ms later, not 99, where the other places have nothing more."""
    waiting = order()
    waiting.add([record(PLACES[0], 3)], now_ms=3.0)
    assert given_out(waiting.ready((), now_ms=102.9)) == []
    assert given_out(waiting.ready((), now_ms=103.0)) == [(EVENTS, 0, 3)]


def test_nothing_passes_a_place_that_holds_more():
    """However late it is, a record waits for a place that has unread ones, which may be earlier."""
    waiting = order()
    waiting.add([record(PLACES[0], 3)], now_ms=3.0)
    assert given_out(waiting.ready({PLACES[2]}, LATER)) == []
    waiting.add([record(PLACES[2], 2)], LATER)
    assert given_out(waiting.ready({PLACES[2]}, LATER)) == [(LISTS, 0, 2)]
    assert given_out(waiting.ready((), LATER)) == [(EVENTS, 0, 3)]


def test_events_come_before_lists_of_the_same_millisecond():
    """Of three records at 7 the list is the last."""
    waiting = order()
    waiting.add([record(PLACES[2], 7), record(PLACES[1], 7), record(PLACES[0], 7)], 7.0)
    assert given_out(waiting.ready((), LATER)) == [(EVENTS, 0, 7), (EVENTS, 1, 7), (LISTS, 0, 7)]


def test_a_clock_that_is_ahead_holds_nobody_up():
    """A record stamped a year ahead goes 100 ms after its arrival."""
    waiting = order()
    waiting.add([record(PLACES[0], 31_536_000_000)], now_ms=50.0)
    assert given_out(waiting.ready((), now_ms=149.0)) == []
    assert len(list(waiting.ready((), now_ms=150.0))) == 1


def test_a_clock_that_is_ahead_holds_its_partition_up_no_longer_than_others():
    """Stamped a year ahead, a record that arrived at 50 goes between those of 40 and 60 of steady other partitions."""
    waiting = order()
    waiting.add([record(PLACES[0], 31_536_000_000), record(PLACES[0], 51, 1)], now_ms=50.0)
    for at in (40, 60, 80):
        waiting.add([record(PLACES[1], at), record(PLACES[2], at)], now_ms=float(at))
    found = given_out(waiting.ready((), now_ms=80.0))
    assert found[:4] == [(EVENTS, 1, 40), (LISTS, 0, 40), (EVENTS, 0, 31_536_000_000), (EVENTS, 0, 51)]


def test_a_partition_keeps_its_order():
    """Records of one partition stay in theirs, though the second is stamped earlier."""
    waiting = order()
    waiting.add([record(PLACES[0], 9, 0), record(PLACES[0], 1, 1), record(PLACES[1], 5)], 9.0)
    assert given_out(waiting.ready((), LATER)) == [(EVENTS, 1, 5), (EVENTS, 0, 9), (EVENTS, 0, 1)]


def test_places_with_many_waiting_are_full():
    """With two records of a partition waiting it is full at two, not at three."""
    waiting = order()
    waiting.add([record(PLACES[0], 1), record(PLACES[0], 2), record(PLACES[1], 2)], 2.0)
    assert waiting.full(2) == {PLACES[0]}
    assert waiting.full(3) == frozenset()


@given(st.lists(st.lists(st.integers(0, 20), max_size=12), min_size=3, max_size=3), st.data())
def test_the_cut_into_reads_does_not_matter(times, data):
    """Sorted partitions, read in any pieces, come out sorted as a whole, with events first."""
    logs = {
        place: [record(place, at, offset) for offset, at in enumerate(sorted(stamps))]
        for place, stamps in zip(PLACES, times, strict=True)
    }
    read = dict.fromkeys(PLACES, 0)
    waiting, found = order(), []
    while any(read[place] < len(logs[place]) for place in PLACES):
        for place in PLACES:
            end = data.draw(st.integers(read[place], len(logs[place])))
            waiting.add(logs[place][read[place] : end], LATER)
            read[place] = end
        found += waiting.ready({place for place in PLACES if read[place] < len(logs[place])}, LATER)
        place = data.draw(st.sampled_from(PLACES))  # so that it ends
        waiting.add(logs[place][read[place] :], LATER)
        read[place] = len(logs[place])
    found += waiting.ready((), LATER)
    keys = [(one.origin.timestamp, one.origin.topic == LISTS, one.origin.partition) for one in found]
    assert keys == sorted(
        (at, place[0] == LISTS, place[1]) for place, log in logs.items() for at in (one.origin.timestamp for one in log)
    )
