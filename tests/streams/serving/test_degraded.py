"""Degraded lists that wait to be made again: the last of each user, and no more than a bound."""

from streams.records.records import Recommendation
from streams.serving.degraded import DegradedLists


def made(user_id, offset, mode="degraded"):
    """Return a list that the event at an offset of partition 3 led to."""
    trigger = {"topic": "w", "partition": 3, "offset": offset, "event_id": "e", "timestamp": 9}
    return Recommendation("r", user_id, 7, mode, None, 10, (), trigger, offset + 1, 7, 8)


def test_what_is_remembered_makes_the_same_trigger():
    """It names the event as its list did, and the partition that it stood in."""
    lists = DegradedLists()
    lists.note([made("a", 5)], [{"traceparent": b"p"}])
    [found] = lists.oldest(10)
    assert (found.user_id, found.sequence, found.partition) == ("a", 6, ("w", 3))
    assert (found.trigger.identity, found.trigger.described, found.trigger.ts) == ("w:3:5", made("a", 5).trigger, 7)
    assert found.headers == {"traceparent": b"p"}


def test_the_last_list_of_a_user_counts():
    """A later list that is degraded takes the place of the earlier one, and a good one ends the waiting."""
    lists = DegradedLists()
    lists.note([made("a", 1), made("b", 2), made("a", 3)], [None] * 3)
    assert [(one.user_id, one.sequence) for one in lists.oldest(10)] == [("b", 3), ("a", 4)]
    lists.note([made("b", 4, "personalized")], [None])
    assert [one.user_id for one in lists.oldest(10)] == ["a"]
    lists.forget(lists.oldest(1))
    assert len(lists) == 0


def test_the_oldest_gives_way():
    """Of three users where two are remembered, the first is left out."""
    lists = DegradedLists(2)
    lists.note([made(user, 1) for user in "abc"], [None] * 3)
    assert [one.user_id for one in lists.oldest(1)] == ["b"]
    assert len(lists) == 2


def test_one_that_cannot_be_made_again_lets_the_others_pass():
    """A list that failed goes behind the others, and is let go when it has failed three times."""
    lists = DegradedLists()
    lists.note([made(user, 1) for user in "ab"], [None] * 2)
    lists.postpone(lists.oldest(1))
    assert [one.user_id for one in lists.oldest(2)] == ["b", "a"]
    lists.forget(lists.oldest(1))
    for left in (1, 0):
        lists.postpone(lists.oldest(1))
        assert len(lists) == left
