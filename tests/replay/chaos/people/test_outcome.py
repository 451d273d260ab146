"""What comes of the records of ``data-requests``, by hand."""

import pytest

from replay.chaos.people.outcome import PeopleLog


def merge(guest, account, request="m", ts=1):
    """Return the fields of a merge."""
    return {"user_id": guest, "request_id": request, "ts": ts, "action": "merge", "into": account}


def forget(user, request="f", below=None):
    """Return the fields of a request to forget, with the workers' answer where there is one."""
    told = [{"request_id": request, "ts": 1, "partition": 0, "below": {"watch-events": below}}]
    return {"user_id": user, "request_id": request, "ts": 1} | ({} if below is None else {"forgotten": told})


def outcome_of(*records):
    """Return what holds after some records, a millisecond apart."""
    log = PeopleLog()
    for at, fields in enumerate(records):
        log.add(fields, at)
    return log.outcome()


def test_a_guest_of_a_guest_is_the_last_accounts():
    """Of a chain all are the guests of its end, and nobody else's."""
    found = outcome_of(merge("a", "b"), merge("b", "c"), merge("d", "c"))
    assert found.account_of == {"a": "c", "b": "c", "d": "c"}
    assert found.guests_of == {"c": {"a", "b", "d"}}
    assert found.parts_of("c") == ("c", "a", "b", "d")
    assert found.parted == {"b"}  # until b had an account, a was b's


@pytest.mark.parametrize("late", [("z", 1), ("m", 2)])
def test_the_latest_of_a_circle_does_not_hold(late):
    """By time, and of one time by the request's id, whichever record came first."""
    request, ts = late
    records = [merge("a", "b"), merge("b", "a", request, ts)]
    assert outcome_of(*records).account_of == {"a": "b"}
    assert outcome_of(*reversed(records)).account_of == {"a": "b"}


def test_the_latest_record_of_a_guest_counts():
    """A second account takes the first one's guest, and the first record again takes it back."""
    assert outcome_of(merge("a", "b"), merge("a", "c")).account_of == {"a": "c"}
    again = outcome_of(merge("a", "b"), merge("a", "c"), merge("a", "b"))
    assert (again.account_of, again.parted) == ({"a": "b"}, {"c"})


def test_a_forgetting_ends_a_merge_once():
    """A merge is over with a new request to forget, and holds where it comes after it, whatever comes twice."""
    assert outcome_of(merge("a", "b"), forget("a")).account_of == {}
    assert outcome_of(forget("a"), merge("a", "b"), forget("a"), forget("a", below=[5])).account_of == {"a": "b"}


def test_what_is_before_an_answer_is_forgotten():
    """An event belongs to the first forgetting whose offset it is below; the answer's time is that of its record."""
    found = outcome_of(forget("a"), forget("a", below=[5, 0]), forget("a", "g"), forget("a", "g", below=[9, 2]))
    by = {
        (partition, offset): (one := found.forgetting_of("a", "watch-events", partition, offset)) and one.request_id
        for partition, offset in ((0, 4), (0, 5), (0, 9), (1, 0), (1, 1), (1, 2))
    }
    assert by == {(0, 4): "f", (0, 5): "g", (0, 9): None, (1, 0): "g", (1, 1): "g", (1, 2): None}
    assert [one.answered_ms for one in found.forgotten["a"]] == [1, 3]
    assert found.forgetting_of("b", "watch-events", 0, 0) is None
    assert (found.unanswered, found.requests) == ({}, 2)


def test_the_latest_request_must_be_answered():
    """A request that came before another one of its user is covered by that."""
    assert outcome_of(forget("a")).unanswered == {"f": "a"}
    assert outcome_of(forget("a"), forget("a", "g")).unanswered == {"g": "a"}
    assert outcome_of(forget("a"), forget("a", "g"), forget("a", "g", below=[1])).unanswered == {}


def test_an_answer_below_what_was_sent_is_a_broken_promise():
    """What was acknowledged before the request must be before the offset of the answer."""
    found = outcome_of(forget("a", below=[5]))
    assert found.broken_promises({"f": {("watch-events", 0): 5}, "other": {("watch-events", 0): 9}}) == []
    (told,) = found.broken_promises({"f": {("watch-events", 0): 6}})
    assert told == "'a' by f: watch-events 0 reached 6 when it was sent, 5 is forgotten"
