"""Which events were read before."""

from streams.records.duplicates import RememberedEvents

FIRST, SECOND, THIRD = (("rate-events", "u", event_id) for event_id in "123")


def test_an_event_is_a_repeat_once_it_was_asked_for():
    """The same identity is new once; another user's, or another topic's, is another event."""
    remembered = RememberedEvents(10)
    assert not remembered.is_repeat(FIRST)
    assert remembered.is_repeat(FIRST)
    assert not remembered.is_repeat(("rate-events", "v", "1"))
    assert not remembered.is_repeat(("watch-events", "u", "1"))


def test_the_events_that_came_first_are_forgotten_first():
    """With room for two a third pushes the first out, though that came back meanwhile."""
    remembered = RememberedEvents(2)
    assert [remembered.is_repeat(one) for one in (FIRST, SECOND, FIRST, THIRD)] == [False, False, True, False]
    assert len(remembered) == 2
    assert [remembered.is_repeat(one) for one in (SECOND, FIRST)] == [True, False]


def test_a_users_events_are_forgotten():
    """Those of one user are new again, those of others are not."""
    remembered = RememberedEvents(10)
    for one in (FIRST, ("rate-events", "v", "1")):
        remembered.is_repeat(one)
    remembered.forget({FIRST[1]})
    assert remembered.is_repeat(("rate-events", "v", "1"))
    assert not remembered.is_repeat(FIRST)


def test_after_a_clearing_everything_is_new():
    """Who begins anew takes each event again."""
    remembered = RememberedEvents(2)
    remembered.is_repeat(FIRST)
    remembered.clear()
    assert (len(remembered), remembered.is_repeat(FIRST)) == (0, False)
