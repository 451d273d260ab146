"""Records that wait for a version: which offsets they become, and that there may be many of them."""

import sys

from agents.trainer.pending import Pending
from streams.records.records import Origin


def at(topic, partition, offset):
    """Return an origin."""
    return Origin(topic, partition, offset, 0)


def test_what_a_version_contains_moves_the_offsets_past_it():
    """Of five records the first three become the offsets after the last of each partition; two wait on."""
    pending = Pending()
    for number, origin in enumerate([at("w", 0, 5), at("w", 1, 7), at("w", 0, 6), at("w", 0, 9), at("r", 0, 1)], 1):
        pending.add(number, origin)
    assert pending.take(3, {}) == {"w": {0: 7, 1: 8}}
    assert len(pending) == 2
    assert pending.take(5, {"w": {0: 7, 1: 8}}) == {"w": {0: 10, 1: 8}, "r": {0: 2}}
    assert len(pending) == 0


def test_offsets_never_move_back():
    """A record below the offsets before leaves them, and they are not changed in place."""
    pending = Pending()
    pending.add(1, at("w", 0, 3))
    before = {"w": {0: 9}}
    assert pending.take(1, before) == {"w": {0: 9}}
    assert before == {"w": {0: 9}}


def test_it_agrees_with_the_offsets_of_a_list_of_records():
    """After each of ten cuts every partition stands one past the highest offset in the list so far."""
    origins = [at("wr"[n % 2], n % 3, 10 * n) for n in range(100)]
    pending, before = Pending(), {}
    for number, origin in enumerate(origins, 1):
        pending.add(number, origin)
    for cut in range(10, 101, 10):
        before = pending.take(cut, before)
        expected = {"w": {}, "r": {}}
        for origin in origins[:cut]:
            expected[origin.topic][origin.partition] = origin.offset + 1  # they come in order
        assert before == expected


def test_too_many_of_a_partition_lose_their_older_half():
    """One past the bound of 4 the older two of five fall out: only a cut at the third or later moves anything."""
    pending = Pending(most=4)
    for number in range(1, 6):
        pending.add(number, at("w", 0, number))
    assert len(pending) == 3
    assert pending.take(2, {}) == {}
    assert pending.take(3, {}) == {"w": {0: 4}}


def test_clear_forgets_everything():
    """Afterwards nothing waits and no offset moves."""
    pending = Pending()
    pending.add(1, at("w", 0, 1))
    pending.clear()
    assert (len(pending), pending.take(1, {})) == (0, {})


def test_a_waiting_record_costs_a_few_bytes():
    """A hundred thousand records of one partition take 2 * 8 bytes each and an eighth more that arrays keep spare."""
    pending = Pending(most=200_000)
    for number in range(100_000):
        pending.add(number, at("w", 0, number))
    [(numbers, offsets)] = pending._marks.values()
    assert sys.getsizeof(numbers) + sys.getsizeof(offsets) < 100_000 * 2 * 8 * 1.2
