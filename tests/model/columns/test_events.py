"""Events as columns say what the same events say one by one."""

import numpy as np
import pytest

from model.columns.events import EventColumns
from model.columns.histories import ColumnHistories, events_of, order_by_user
from model.history import Interaction
from model.vocabulary import CodedIds

EVENTS = [
    ("bo", Interaction("x", 5, "watch", 0.05, is_positive=False)),
    ("al", Interaction("y", 6, "rate", 0.2, is_positive=False)),
    ("bo", Interaction("y", 7, "rate", 0.6, is_positive=False)),
    ("al", Interaction("z", 7, "share", 0.5, is_positive=False)),
    ("cy", Interaction("x", 8, "share", 0.3)),
    ("al", Interaction("x", 9, "rate", 1.0)),
]


@pytest.fixture(scope="module")
def events():
    """Return the events as columns."""
    return EventColumns.of([user for user, _ in EVENTS], [one for _, one in EVENTS])


def test_nothing_is_lost_on_the_way_to_columns_and_back(events):
    """Users and interactions are those that were put in, in their order."""
    assert list(zip(events.users, events.interactions(), strict=True)) == EVENTS


def test_events_are_wanted_as_interactions_are(events):
    """What was chosen and disliked counts twice its weight and 0.9 at most, and an unwelcome share nothing."""
    assert events.wanted().tolist() == [np.float32(one.wanted) for _, one in EVENTS]
    assert events.wanted().tolist() == pytest.approx([0.1, 0.4, 0.9, 0.0, 1.0, 1.0])


def test_histories_in_columns_are_those_of_a_mapping(events):
    """Users come in the order of their first events, each with the own events in order, and nobody else is there."""
    wanted = {}
    for user, one in EVENTS:
        wanted[user] = (*wanted.get(user, ()), one)
    found = ColumnHistories(events.taken(order_by_user(events)))
    assert dict(found) == wanted
    assert list(found) == ["bo", "al", "cy"]
    assert found.lengths().tolist() == [2, 3, 1]
    assert "nobody" not in found
    assert events_of(found) is found.events
    again = events_of(wanted)
    assert list(zip(again.users, again.interactions(), strict=True)) == [
        (user, one) for user, history in wanted.items() for one in history
    ]


def test_no_events_are_no_histories():
    """Of no events there are no users."""
    nothing = EventColumns.of([], [])
    assert dict(ColumnHistories(nothing.taken(order_by_user(nothing)))) == {}


def test_columns_of_unequal_length_are_refused(events):
    """An event that lacks a time is no event."""
    with pytest.raises(ValueError, match=r"one length are required, got \[5, 6\]"):
        EventColumns(events.users, events.items, events.times[:5], events.kinds, events.weights, events.positive)


def test_ids_of_a_column_are_held_once():
    """Codes name the ids in the order of their first use; ids that occur nowhere have no place in that order."""
    column = CodedIds.of(["b", "a", "b"])
    assert (column.codes.tolist(), column.ids) == ([0, 1, 0], ("b", "a"))
    assert CodedIds.of(column) is column
    other = CodedIds(np.array([3, 1, 3, 0], dtype=np.int32), ("a", "b", "c", "d"))
    assert other.by_first_use().tolist() == [3, 1, 0]
    assert other.counts().tolist() == [1, 1, 0, 2]
    assert list(other.taken(slice(1, 3))) == ["b", "d"]
