from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.catalogue import Catalogue
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from replay.datasets.dataset import Dataset, Provenance
from replay.schedule import Disturbance, Selection, Speed, plan, usual_events
from streams.errors import DataError, SettingsError
from streams.records.codec import DECODERS, encode
from streams.records.records import Action, Rating, Watch


def log(rows, name="tiny"):
    """Return a log of (user, item, stars, ms) rows, which must be in time order."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "ts"]).astype(
        {"user_id": object, "item_id": object}
    )
    return Dataset(name, Catalogue(), frame, Provenance("test", "none", "0" * 64))


def line(n):
    """Return a log of n rows, one each second, each by another user."""
    return log([(f"u{i}", "i", 4.0, i * 1000) for i in range(n)])


THREE = log([("1", "10", 4.0, 1000), ("2", "20", 0.5, 3000), ("1", "30", 5.0, 7000)])


def test_ratings_by_default_at_once():
    """Without options each row is one rating, due now, in order."""
    planned = list(plan(THREE))
    assert [(p.topic, p.record, p.due_s) for p in planned] == [
        ("rate-events", Rating("tiny-r-1-10-1000", "1", "10", 1000, 4.0), 0.0),
        ("rate-events", Rating("tiny-r-2-20-3000", "2", "20", 3000, 0.5), 0.0),
        ("rate-events", Rating("tiny-r-1-30-7000", "1", "30", 7000, 5.0), 0.0),
    ]


def test_watches_are_seen_to_the_end():
    """As watches, rows have progress 1 and ids of their own."""
    first = next(iter(plan(THREE, selection=Selection("watch"))))
    assert (first.topic, first.record) == ("watch-events", Watch("tiny-w-1-10-1000", "1", "10", 1000, 1.0))


def test_both_is_a_watch_then_a_rating_of_the_same_time():
    """Each row becomes two deliveries, the watch first."""
    planned = list(plan(THREE, selection=Selection("both")))
    assert [p.topic for p in planned] == ["watch-events", "rate-events"] * 3
    assert [p.record.ts for p in planned] == [1000, 1000, 3000, 3000, 7000, 7000]
    assert len({p.record.event_id for p in planned}) == 6


def test_shares_are_sent_as_watches_of_that_progress():
    """Below half a star no rating can be; a log that mixes both is sent as what its rows are."""
    told = THREE.interactions.assign(kind="watch", weight=[0.8, 0.05, 1.0], rating=[4.0, 0.25, 5.0])
    shares = replace(THREE, interactions=told)
    assert usual_events(THREE) == "rate"
    assert usual_events(shares) == "kind"
    assert [one.record.progress for one in plan(shares, selection=Selection("kind"))] == [0.8, 0.05, 1.0]
    with pytest.raises(DataError, match=r"0\.5 stars and more.*got shares in none, such as 0\.05; .*--events watch"):
        plan(shares)
    assert usual_events(replace(shares, interactions=told.assign(kind="play"))) == "watch"
    mixed = replace(shares, interactions=told.assign(kind=["rate", "watch", "watch"]))
    assert [type(one.record) for one in plan(mixed, selection=Selection(usual_events(mixed)))] == [Rating, Watch, Watch]


def test_rows_may_say_their_kind():
    """A watch, a rating and a like of one log go to three topics, each under an id of its own."""
    kinds = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 1, is_positive=True)))
    told = log([("1", "10", 2.0, 1000)] * 3)
    told = replace(told, interactions=told.interactions.assign(kind=["watch", "rate", "like"]))
    planned = list(plan(told, selection=Selection("kind"), kinds=kinds))
    assert [(p.topic, p.record) for p in planned] == [
        ("watch-events", Watch("tiny-w-1-10-1000", "1", "10", 1000, 1.0)),
        ("rate-events", Rating("tiny-r-1-10-1000-2", "1", "10", 1000, 2.0)),
        ("action-events", Action("tiny-a-1-10-1000-3", "1", "10", 1000, "like")),
    ]
    with pytest.raises(DataError, match=r"none must say .* one of hide, rate, unhide, watch, got \['like'\]"):
        plan(told, selection=Selection("kind"))
    with pytest.raises(DataError, match="got no such column"):
        plan(THREE, selection=Selection("kind"))


def test_speed_divides_event_time():
    """Events 2 s and then 4 s apart, at double speed, are due after 0, (3-1)/2 = 1 and (7-1)/2 = 3 s."""
    assert [p.due_s for p in plan(THREE, speed=Speed(speed=2))] == [0.0, 1.0, 3.0]


def test_rate_spaces_evenly():
    """Four a second: one each 0.25 s, whatever the event times."""
    assert [p.due_s for p in plan(THREE, speed=Speed(rate=4))] == [0.0, 0.25, 0.5]


def test_selection_by_time_takes_the_first_bound_and_leaves_the_last():
    """From 3,000 to 7,000 ms holds the row at 3,000 alone; the earliest row of a limit is kept."""
    assert [p.record.ts for p in plan(THREE, selection=Selection(since=3000, until=7000))] == [3000]
    assert [p.record.ts for p in plan(THREE, selection=Selection(since=1001, limit=1))] == [3000]
    assert len(plan(THREE, selection=Selection("both", limit=2))) == 4


def test_an_empty_selection_tells_the_period():
    """The message gives what the log covers and what was asked for."""
    with pytest.raises(DataError, match=r"tiny covers 1970-01-01 00:00 to 1970-01-01 00:00, got none of it from"):
        plan(THREE, selection=Selection(since=8000))


def test_equal_rows_are_numbered_and_long_ids_digested():
    """Two rows of one user, item and time differ in their ids; an id never passes 64 characters."""
    planned = list(plan(log([("1", "2", 3.0, 5), ("1", "2", 4.0, 5), ("u" * 60, "i", 3.0, 6)])))
    assert [p.record.event_id for p in planned][:2] == ["tiny-r-1-2-5", "tiny-r-1-2-5-2"]
    assert len(planned[2].record.event_id) == 2 + 48
    assert planned[2].record.event_id.startswith("r-")


def test_ids_with_dashes_do_not_collide():
    """User a-b with item c is not user a with item b-c."""
    planned = plan(log([("a-b", "c", 3.0, 5), ("a", "b-c", 3.0, 5)]))
    assert len({p.record.event_id for p in planned}) == 2


def test_a_number_stays_with_its_row_under_a_limit():
    """A shorter replay sends the same ids as the beginning of a longer one."""
    rows = log([("1", "2", 3.0, 5)] * 4)
    ids = [p.record.event_id for p in plan(rows)]
    assert [p.record.event_id for p in plan(rows, selection=Selection(limit=2))] == ids[:2]


def test_copies_follow_their_event_within_fifty_deliveries():
    """Every event is repeated once, unchanged: the copy is 1 to 50 places of the plain stream behind."""
    planned = list(plan(line(500), disturbance=Disturbance(duplicate=1.0)))
    counts = Counter(p.record.event_id for p in planned)
    assert len(planned) == 1000
    assert set(counts.values()) == {2}
    first = {}
    newest = -1
    for p in planned:
        second = p.record.ts // 1000
        if not p.is_copy:
            first[p.record.event_id] = p.record
            newest = second
        else:
            assert first[p.record.event_id] == p.record
            assert 1 <= newest - second <= 50 or newest == 499


def test_late_events_keep_their_time_and_are_marked():
    """Marked is what comes after an event of a later row, never further than 200 rows behind; nothing is lost."""
    planned = list(plan(line(5000), disturbance=Disturbance(late=0.05)))
    seconds = [p.record.ts // 1000 for p in planned]
    newest = np.maximum.accumulate(seconds)
    assert sorted(seconds) == list(range(5000))
    assert [p.is_late for p in planned] == [second < high for second, high in zip(seconds, newest, strict=True)]
    assert max(newest - seconds) <= 200
    # 5,000 draws at 0.05: 250 expected, standard deviation sqrt(5000 * .05 * .95) = 15.4; six of them is 92
    assert 250 - 92 <= sum(p.is_late for p in planned) <= 250 + 92


def test_shares_are_met():
    """Of 20,000 events 1 % are repeated: 200 expected, standard deviation 14.1, within six of them."""
    assert 200 - 85 <= plan(line(20_000), disturbance=Disturbance(duplicate=0.01)).is_copy.sum() <= 200 + 85


def test_late_events_are_due_with_the_delivery_before_them():
    """Due times never go back, so a late event does not hurry the stream."""
    schedule = plan(line(1000), speed=Speed(speed=10), disturbance=Disturbance(late=0.2, duplicate=0.2))
    assert (np.diff(schedule.due_s) >= 0).all()
    on_time = [p for p in schedule if not p.is_late and not p.is_copy]
    assert all(p.due_s == p.record.ts / 1000 / 10 for p in on_time if p.record.ts)


def test_the_seed_decides_alone():
    """The same arguments give the same stream, twice over one schedule too; another seed gives another."""
    disturbance = Disturbance(duplicate=0.1, late=0.1, seed=5)
    schedule = plan(line(300), disturbance=disturbance)
    assert list(schedule) == list(schedule) == list(plan(line(300), disturbance=disturbance))
    assert list(schedule) != list(plan(line(300), disturbance=Disturbance(duplicate=0.1, late=0.1, seed=6)))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab-"), st.sampled_from(["1", "-2", "x" * 64]), st.integers(0, 3)), min_size=1),
    st.sampled_from(["watch", "rate", "both"]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_every_stream_keeps_the_contract(rows, events, duplicate, late):
    """Whatever the ids: each record decodes to itself, ids are unique but for copies, every event is delivered."""
    data = log([(u, i, 3.0, ts) for u, i, ts in sorted(rows, key=lambda row: row[2])])
    planned = list(plan(data, selection=Selection(events), disturbance=Disturbance(duplicate, late)))
    assert all(DECODERS[p.topic](encode(p.record), DEFAULT_KINDS) == p.record for p in planned)
    originals = [p.record.event_id for p in planned if not p.is_copy]
    assert len(set(originals)) == len(originals) == len(rows) * (2 if events == "both" else 1)
    assert {p.record.event_id for p in planned} == set(originals)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Speed(2, 2), "one of speed and rate is required"),
        (lambda: Speed(speed=0), "speed must be a number above 0, got 0"),
        (lambda: Speed(rate=float("nan")), "rate must be a number above 0, got nan"),
        (lambda: Selection(limit=0), "limit must be at least 1, got 0"),
        (lambda: Disturbance(duplicate=1.01), "duplicate must be a share from 0 to 1, got 1.01"),
        (lambda: Disturbance(late=-0.01), "late must be a share from 0 to 1, got -0.01"),
    ],
)
def test_arguments_out_of_bounds_are_refused(make, message):
    """One past each bound raises, with the value."""
    with pytest.raises(SettingsError, match=message):
        make()
