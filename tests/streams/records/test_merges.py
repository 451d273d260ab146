"""Who was merged into whom, whatever the order of the records."""

from itertools import permutations

import pytest

from streams.records.codec import BadRecord, encode
from streams.records.data_requests import DataRequest, decode_data_request
from streams.records.merges import Merges


def merge(guest, account, ts=1):
    """Return the request that merges a guest into an account."""
    return DataRequest(guest, f"{guest}-{account}", ts, "merge", (), account)


def of(*requests):
    """Return the merges of some requests, each in partition 3."""
    merges = Merges()
    for request in requests:
        merges.put(3, request.user_id, request)
    return merges


def test_a_chain_leads_to_the_last_account():
    """A guest of a guest is the account's, in whatever order the two records come."""
    for requests in permutations((merge("a", "b"), merge("b", "c"))):
        merges = of(*requests)
        assert [merges.resolved(user) for user in "abc"] == ["c", "c", "c"]
        assert merges.guests_of("c") == ("a", "b")
        assert merges.guests_of("b") == ("a",)
        assert merges.changed == {"a": 3, "b": 3}


def test_of_a_circle_the_latest_does_not_hold():
    """Which merge gives way depends on the times alone, never on the order of the records."""
    asked = (merge("a", "b", 1), merge("b", "c", 3), merge("c", "a", 2), merge("d", "a", 9))
    for requests in permutations(asked):
        merges = of(*requests)
        assert [merges.account_of(user) for user in "abcd"] == ["b", None, "b", "b"]
        assert len(merges) == 3


def test_what_gave_way_holds_once_the_circle_is_open():
    """A merge that did not hold does so when another one of its circle ends."""
    merges = of(merge("a", "b", 1), merge("b", "a", 2))
    merges.put(3, "a", None)
    assert merges.account_of("b") == "a"
    assert merges.account_of("a") is None


def test_the_latest_record_of_a_guest_counts():
    """Merged elsewhere the history goes there, and the same record again changes nothing."""
    merges = of(merge("a", "b"), merge("a", "c"))
    assert merges.resolved("a") == "c"
    assert merges.guests_of("b") == ()
    merges.changed.clear()
    merges.put(3, "a", merge("a", "c"))
    assert merges.changed == {}


def test_everything_changes_where_the_topic_begins_anew():
    """Emptied, nobody is anybody's guest, and who was one has changed."""
    merges = of(merge("a", "b"), merge("b", "c"))
    merges.changed.clear()
    merges.clear()
    assert len(merges) == 0
    assert merges.changed.keys() == {"a", "b"}


def test_the_record_is_read_as_it_was_written():
    """A merge names its account and is never open."""
    request = merge("a", "b")
    read = decode_data_request(b"a", encode(request))
    assert read == request
    assert not read.is_open


@pytest.mark.parametrize(
    ("fields", "cause"),
    [({}, "missing_field"), ({"into": "a"}, "bad_field"), ({"into": [1]}, "bad_field"), ({"into": ""}, "bad_field")],
)
def test_a_merge_needs_another_user(fields, cause):
    """Into nobody, or into itself, is refused, and the reason quotes no id."""
    record = encode({"user_id": "a", "request_id": "r", "ts": 1, "action": "merge"} | fields)
    with pytest.raises(BadRecord) as refused:
        decode_data_request(b"a", record)
    assert refused.value.cause == cause
    assert "'a'" not in refused.value.detail


def test_a_circle_is_judged_anew_when_a_merge_is_asked_for_again():
    """The latest does not hold, also where it became that by a repetition; a reader of the last records agrees."""
    first, back = DataRequest("a", "m-1", 1, "merge", (), "b"), DataRequest("b", "m-2", 2, "merge", (), "a")
    again = DataRequest("a", "m-3", 3, "merge", (), "b")
    merges, after = Merges(), Merges()
    for request in (first, back, again):
        merges.put(0, request.user_id, request)
    for request in (back, again):
        after.put(0, request.user_id, request)
    assert [one.account_of("a") for one in (merges, after)] == [None, None]
    assert [one.account_of("b") for one in (merges, after)] == ["a", "a"]
