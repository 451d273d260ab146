import json

import numpy as np
import pytest

from model.own_time import OwnTime
from replay.chaos.expected import ACTIONS, RATES, REQUESTS, WATCHES, Record, RecordAddress, expect, judge
from replay.chaos.people.asking import DATA_REQUESTS

NOW = 1_700_000_000_000
DAY = 86_400_000
GENRES = {"a": ("Drama",), "b": ("Drama", "War"), "c": ()}


def at(topic, offset, value, partition=0, timestamp=NOW):
    """Return a record; a mapping becomes JSON."""
    body = json.dumps(value).encode() if isinstance(value, dict) else value
    return Record(RecordAddress(topic, partition, offset), timestamp, body)


def watch(event_id, item="a", ts=NOW, progress=0.5, user="u"):
    """Return the fields of a watch."""
    return {"event_id": event_id, "user_id": user, "item_id": item, "ts": ts, "progress": progress}


def rate(event_id, item="a", ts=NOW, rating=4.0, user="u"):
    """Return the fields of a rating."""
    return {"event_id": event_id, "user_id": user, "item_id": item, "ts": ts, "rating": rating}


def act(event_id, kind, item="a", ts=NOW, user="u"):
    """Return the fields of an action."""
    return {"event_id": event_id, "user_id": user, "item_id": item, "ts": ts, "kind": kind}


def test_actions_count_as_their_kinds_say():
    """A like of 0.75 is heat and affinity, a skip is history alone, and what hides is neither."""
    sent = [act("l", "like", "a"), act("s", "skip", "b"), act("h", "hide", "c")]
    found = expect([at(ACTIONS, n, fields) for n, fields in enumerate(sent)], GENRES)
    user = found.users["u"]
    assert (user.watches, user.ratings, user.actions, user.sequence) == (0, 0, 3, 3)
    assert list(user.recent) == [("b", NOW, "skip", 0.25, False), ("a", NOW, "like", 0.75, True)]
    assert (user.seen, user.hidden, user.genres) == ({"a", "b"}, {"c"}, {"Drama": 0.75})
    assert found.items["actions"] == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert found.trending == {("action", 0): {"a": 0.75}}


def test_the_newest_decision_hides():
    """Unhidden later is not hidden, whatever came last; of one time the later record decides."""
    sent = [
        *(act("1", "unhide", "a", NOW), act("2", "hide", "a", NOW - 1)),
        *(act("3", "unhide", "b", NOW), act("4", "hide", "b", NOW)),
        *(act("5", "hide", "c", NOW), act("6", "unhide", "c", NOW - 1)),
    ]
    found = expect([at(ACTIONS, n, fields) for n, fields in enumerate(sent)], GENRES).users["u"]
    assert (found.hidden, found.seen, list(found.recent)) == ({"b", "c"}, set(), [])


def test_a_kind_must_be_one_of_the_table():
    """A text that names none is unknown; what is no text is a bad field."""
    causes = [judge(ACTIONS, json.dumps(act(1, kind)).encode(), NOW)[0] for kind in ("like", "hide", "lik", 5, None)]
    assert causes == [None, None, "unknown_kind", "bad_field", "missing_field"]


def test_a_user_is_the_sum_of_the_events():
    """Two watches and a rating give counters, times and the set of items touched."""
    found = expect(
        [
            at(WATCHES, 0, watch(1, "a", NOW - DAY)),
            at(WATCHES, 1, watch(2, "b", NOW - 2 * DAY)),
            at(RATES, 0, rate(1, "b", NOW, 3.5)),
        ],
        GENRES,
    ).users["u"]
    assert (found.watches, found.ratings, found.rating_sum) == (2, 1, 3.5)
    assert (found.first_ts, found.last_ts) == (NOW - 2 * DAY, NOW)
    assert found.seen == {"a", "b"}


def test_recents_are_ordered_by_time_then_kind_then_offset():
    """Of one time, ratings stand before watches, and of one kind the later offset first."""
    found = expect(
        [
            at(RATES, 0, rate("r0", "a", NOW, 5.0)),
            at(RATES, 1, rate("r1", "b", NOW, 2.5)),
            at(WATCHES, 7, watch("w7", "c", NOW, 1.0)),
            at(WATCHES, 8, watch("w8", "a", NOW + 1, 0.25), timestamp=NOW + 1),
            at(WATCHES, 9, watch("w9", "b", NOW - 1, 0.0)),
        ],
        GENRES,
    ).users["u"]
    assert list(found.recent) == [
        ("a", NOW + 1, "watch", 0.25, True),
        ("b", NOW, "rate", 0.5, False),  # 2.5 / 5, below the middle of the scale
        ("a", NOW, "rate", 1.0, True),  # 5 / 5
        ("c", NOW, "watch", 1.0, True),
        ("b", NOW - 1, "watch", 0.0, False),
    ]


def test_recents_are_the_newest_200():
    """Of 203 watches the three oldest are left out, whatever their offsets."""
    found = expect([at(WATCHES, n, watch(n, f"i{n}", NOW - n)) for n in range(203)], {}).users["u"]
    assert [entry[0] for entry in found.recent] == [f"i{n}" for n in range(200)]
    assert len(found.seen) == 203


def test_affinity_halves_every_thirty_days():
    """A watch of 60 days before counts a quarter: Drama 0.8 / 4 + 0.5 = 0.7, War 0.8 / 4 = 0.2."""
    found = expect(
        [at(WATCHES, 0, watch(1, "b", NOW - 60 * DAY, 0.8)), at(WATCHES, 1, watch(2, "a", NOW, 0.5))], GENRES
    ).users["u"]
    assert found.genres == pytest.approx({"Drama": 0.7, "War": 0.2})


def test_what_was_not_liked_is_no_affinity():
    """Of two watches of Drama the one that was left at 5 % adds nothing."""
    found = expect([at(WATCHES, 0, watch(1, "a", NOW, 0.05)), at(WATCHES, 1, watch(2, "a", NOW, 0.5))], GENRES)
    assert found.users["u"].genres == pytest.approx({"Drama": 0.5})


def test_a_rating_is_positive_from_the_users_own_middle():
    """Five times four stars make 4 the middle: 3.5 before is positive by the scale, after it is not, and 4 is."""
    stars = [3.5, 4.5, 4.0, 4.0, 4.0, 3.5, 4.0]
    found = expect([at(RATES, n, rate(n, "a", NOW + n, one), timestamp=NOW + n) for n, one in enumerate(stars)], GENRES)
    assert [entry[4] for entry in found.users["u"].recent[::-1]] == [True] * 5 + [False, True]


def test_ten_events_of_each_kind_are_a_newcomers():
    """Of eleven ratings the first ten are, and so is a watch after them."""
    ratings = [at(RATES, n, rate(n, f"i{n}")) for n in range(11)]
    found = expect([*ratings, at(WATCHES, 0, watch("w", "a", progress=1.0))], GENRES)
    assert found.newcomers == {("rate", 0): {f"i{n}": 1.0 for n in range(10)}, ("watch", 0): {"a": 1.0}}
    assert len(found.trending["rate", 0]) == 11


def test_far_times_have_a_clock_of_their_own():
    """A watch of 2033 counts as of now; two of 2001 outnumber one of now, and own time goes on from there."""
    ahead = expect([at(WATCHES, n, watch(n, f"i{n}", ts, 1.0), timestamp=ts) for n, ts in enumerate(
        (NOW, NOW + 3650 * DAY, NOW + 7 * DAY)
    )], GENRES)  # fmt: skip
    assert ahead.clocks == {("watch", 0): (NOW + 7 * DAY, NOW + 7 * DAY)}
    assert ahead.trending["watch", 0] == pytest.approx({"i0": 0.5, "i1": 0.5, "i2": 1.0})
    old = NOW - 8000 * DAY
    back = expect(
        [at(WATCHES, n, watch(n, f"i{n}", ts, 1.0)) for n, ts in enumerate((NOW, old, old, old + 7 * DAY))], GENRES
    )
    assert back.clocks == {("watch", 0): (old + 7 * DAY, NOW + 7 * DAY)}
    assert back.trending["watch", 0] == pytest.approx({"i0": 0.5, "i1": 2**-11, "i2": 0.5, "i3": 1.0})


@pytest.mark.parametrize("seed", range(5))
def test_the_audits_clock_is_that_of_the_state(seed):
    """Over 400 drawn times, a fifth of them years off, both find the same own time and the same heat."""
    rng = np.random.default_rng(seed)
    off = (0, 0, 0, 0, -4000 * DAY, 900 * DAY, -4000 * DAY)
    times = [
        NOW - 900 * DAY + number * DAY // 5 + off[int(rng.integers(4 + 3 * (number % 3 == 0)))] for number in range(400)
    ]
    found = expect([at(WATCHES, n, watch(n, f"i{n}", ts, 1.0)) for n, ts in enumerate(times)], {})
    clock = OwnTime.beginning(times[0], 7 * DAY)
    own = [clock.take(ts) for ts in times]
    assert found.clocks == {("watch", 0): (clock.newest, clock.own)}
    assert found.trending["watch", 0] == pytest.approx(
        {f"i{n}": 2.0 ** ((moment - clock.own) / (7 * DAY)) for n, moment in enumerate(own)}
    )


def test_items_are_summed_over_partitions_and_hot_is_not():
    """Counters join both partitions; heat is each topic's of a partition, as of its newest, and halves in 7 days."""
    found = expect(
        [
            at(WATCHES, 0, watch(1, "a", NOW, 1.0)),
            at(WATCHES, 1, watch(2, "a", NOW - 7 * DAY, 0.8)),
            at(RATES, 0, rate(3, "a", NOW - 14 * DAY, 5.0, user="v"), partition=1),
            at(RATES, 1, rate(4, "b", NOW - 14 * DAY, 2.0, user="v"), partition=1),
        ],
        GENRES,
    )
    assert found.items == {
        "watches": {"a": 2.0},
        "ratings": {"a": 1.0, "b": 1.0},
        "rating_sum": {"a": 5.0, "b": 2.0},
        "actions": {},
    }
    assert found.trending == {
        ("watch", 0): pytest.approx({"a": 1.4}),  # 1, and 0.8 / 2
        ("rate", 1): {"a": 1.0},  # two stars are below the middle of the scale
    }
    assert found.clocks == {("watch", 0): (NOW, NOW), ("rate", 1): (NOW - 14 * DAY, NOW - 14 * DAY)}


def test_a_repeated_id_counts_once_for_each_user_and_topic():
    """The first of three equal watches counts; the same id as a rating, or of another user, is another event."""
    found = expect(
        [
            at(WATCHES, 0, watch("e", "a")),
            at(WATCHES, 1, watch("e", "b")),
            at(WATCHES, 2, watch("e", "a")),
            at(WATCHES, 3, watch("e", "a", user="v")),
            at(RATES, 0, rate("e", "a")),
        ],
        GENRES,
    )
    assert (found.events, found.duplicates) == (3, 2)
    assert found.users["u"].seen == {"a"}
    assert found.positions == {(WATCHES, 0): 3, (RATES, 0): 0}


def test_an_id_is_forgotten_after_512_others():
    """The 513th id pushes out the first, whose repetition counts again; the second was pushed out by that one."""
    ids = [*range(513), 0, 512, 1]
    found = expect([at(WATCHES, n, watch(i)) for n, i in enumerate(ids)], GENRES)
    assert (found.events, found.duplicates) == (515, 1)  # 513, then 0 again, then 1 again; 512 is remembered


def test_times_are_clamped():
    """A time before 1970 counts as 0, one past the record's own as that, and without one the latest is 2100."""
    found = expect([at(WATCHES, 0, watch(1, ts=-5)), at(WATCHES, 1, watch(2, ts=NOW + 1))], GENRES).users["u"]
    assert (found.first_ts, found.last_ts) == (0, NOW)
    found = expect([at(WATCHES, 0, watch(1, ts=2**63 - 1), timestamp=-1)], GENRES).users["u"]
    assert found.last_ts == 4_102_444_800_000


def test_bad_records_are_dead_by_place_and_touch_nothing():
    """A bad record makes no user, and the position is that of the last good one."""
    found = expect(
        [at(WATCHES, 0, watch(1)), at(WATCHES, 1, b"{"), at(REQUESTS, 0, {"request_id": "r", "user_id": "x"})], GENRES
    )
    assert found.dead == {RecordAddress(WATCHES, 0, 1): "not_json"}
    assert set(found.users) == {"u"}
    assert found.requests == {"r"}
    assert found.positions == {(WATCHES, 0): 0}


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" " * 65_537, "too_large"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (json.dumps(watch(1) | {"progress": float("nan")}).encode(), "not_json"),
        (b"[]", "not_an_object"),
        (json.dumps(watch(1) | {"ts": None}).encode(), "missing_field"),
        (json.dumps(watch(1) | {"ts": True}).encode(), "bad_field"),
        (json.dumps(watch(1) | {"progress": 1.01}).encode(), "bad_field"),
        (json.dumps(watch(1) | {"event_id": "x" * 65}).encode(), "bad_field"),
        (json.dumps(watch(1) | {"event_id": "x" * 64}).encode(), None),
        (json.dumps(watch(7) | {"ts": -1}).encode(), None),
        (json.dumps(watch(7) | {"user_id": " u"}).encode(), "bad_field"),
        (json.dumps(watch(7) | {"ts": 2**63}).encode(), "bad_field"),
        (json.dumps(watch(7) | {"ts": NOW // 1000}).encode(), "wrong_unit"),
        (json.dumps(watch(7) | {"ts": NOW * 1000}).encode(), "wrong_unit"),
        (json.dumps(watch(7) | {"ts": NOW * 10**6}).encode(), "wrong_unit"),
        (json.dumps(watch(7) | {"ts": 20_231_114}).encode(), "wrong_unit"),
        (json.dumps(watch(7) | {"ts": 20_231_114_221_320}).encode(), "wrong_unit"),
        (json.dumps(watch(7) | {"ts": 20_231_116}).encode(), None),
        (json.dumps(watch(7) | {"ts": 789_652_004_000}).encode(), None),
    ],
)
def test_a_record_is_judged_by_its_contract(value, cause):
    """Each rule of docs/reference/records.md has its cause."""
    assert judge(WATCHES, value, NOW)[0] == cause


def test_a_request_is_judged_by_its_own_rules():
    """Whoever can be told is answered, whatever else is wrong, and who has no id is not."""
    asked = {"request_id": "r", "user_id": 5}
    for k in (0, 200, 201, None):
        assert judge(REQUESTS, json.dumps(asked | {"k": k}).encode(), NOW)[0] is None
    assert judge(REQUESTS, json.dumps({"user_id": 5}).encode(), NOW)[0] == "missing_field"
    assert judge(REQUESTS, json.dumps(asked | {"request_id": ""}).encode(), NOW)[0] == "bad_field"


def back(event_id, of, user="u"):
    """Return the fields of a withdrawal."""
    return {"event_id": event_id, "user_id": user, "ts": NOW, "withdraws": of}


def test_what_is_taken_back_had_never_been():
    """Counters, history, what was seen, affinity and heat are those of the rest; the first time and the clock stay."""
    sent = [watch("1", "a", NOW - DAY), watch("2", "b"), watch("3", "b", NOW - 5), back("w", "2"), watch("4", "a")]
    sent += [back("v", "4"), back("x", "1")]
    found = expect([at(WATCHES, n, fields) for n, fields in enumerate(sent)], GENRES)
    user = found.users["u"]
    assert (user.watches, user.withdrawn, user.sequence) == (1, 3, 7)
    assert (user.first_ts, user.last_ts, user.seen) == (NOW - DAY, NOW - 5, {"b"})
    assert list(user.recent) == [("b", NOW - 5, "watch", 0.5, True)]
    assert user.genres == {"Drama": 0.5, "War": 0.5}
    assert found.items["watches"] == {"b": 1}
    assert found.trending["watch", 0] == {"b": pytest.approx(0.5 * 2 ** (-5 / (7 * DAY)))}
    assert found.clocks["watch", 0] == (NOW, NOW)
    assert (found.events, found.duplicates, found.withdrawals, found.withdrawn) == (4, 0, 3, 3)


def test_an_event_that_was_taken_back_before_does_not_count():
    """Nor do copies of it, or of its withdrawal; of somebody without more nothing is left, but the user is known."""
    sent = [back("w", "1"), watch("1"), back("w", "1"), watch("1"), back("v", "w")]
    found = expect([at(WATCHES, n, fields) for n, fields in enumerate(sent)], GENRES)
    user = found.users["u"]
    assert (user.sequence, user.withdrawn, user.recent, user.seen) == (0, 0, [], frozenset())
    assert (found.events, found.duplicates, found.withdrawals) == (0, 2, 3)


def test_a_decision_before_stands_again():
    """What hid an item was taken back, and what unhid another."""
    sent = [act("1", "hide", "a", NOW), act("2", "hide", "b", NOW), act("3", "unhide", "b", NOW + 1)]
    sent += [back("w", "1"), back("v", "3")]
    found = expect([at(ACTIONS, n, fields, timestamp=NOW + 9) for n, fields in enumerate(sent)], GENRES)
    assert found.users["u"].hidden == {"b"}


def test_later_ratings_are_judged_without_it():
    """A five that was taken back raises no mean; what was judged before stays."""
    sent = [rate(str(n), "a", NOW, 5.0 if n == 0 else 2.0) for n in range(6)]
    sent += [rate("6", "b", NOW, 2.0), back("w", "0"), rate("7", "c", NOW, 2.0)]
    found = expect([at(RATES, n, fields) for n, fields in enumerate(sent)], GENRES)
    liked = {item: likes for item, _, _, _, likes in found.users["u"].recent}
    assert (liked["b"], liked["c"]) == (False, True)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        (back("w", "w"), "bad_field"),
        (back("w", ""), "bad_field"),
        (back("w", 7), None),
        ({"withdraws": "e", "user_id": "u", "ts": 1}, "missing_field"),
        (back("w", None), "missing_field"),  # an event without an item
    ],
)
def test_a_withdrawal_is_judged_by_its_own_fields(fields, cause):
    """It names another id than its own, and lacks what an event has."""
    assert judge(WATCHES, json.dumps(fields).encode(), NOW)[0] == cause


def asked(offset, timestamp=NOW, **fields):
    """Return a record of somebody's request."""
    return at(DATA_REQUESTS, offset, {"request_id": f"q{offset}", "ts": NOW, **fields}, timestamp=timestamp)


def forgotten(below, **fields):
    """Return what a worker answers to a request, by a name of its own."""
    done = {"request_id": "f", "ts": NOW, "partition": 0, "below": {WATCHES: [below], RATES: [0], ACTIONS: [0]}}
    return {"user_id": "u", "request_id": "f", "forgotten": [done], **fields}


def test_a_forgotten_user_begins_anew_and_the_sums_stay():
    """Of three watches two are before the forgetting: the user has one, the item all of them."""
    watches = [at(WATCHES, n, watch(n, "a", progress=1.0), timestamp=NOW + n) for n in range(3)]
    found = expect([*watches, asked(0, NOW + 2, **forgotten(2))], GENRES)
    assert (found.users["u"].watches, found.users["u"].sequence, list(found.users)) == (1, 1, ["u"])
    assert found.items["watches"] == {"a": 3.0}
    assert found.trending["watch", 0] == {"a": 3.0}
    assert (found.late, found.listed) == ((), {"u": 1})
    assert found.has_begun_anew("u")
    assert expect([*watches, asked(0, NOW + 2, **forgotten(3))], GENRES).users == {}


def test_an_event_after_the_answer_is_not_to_go():
    """An event that was recorded after a worker's answer is told where the answer forgets it."""
    found = expect([at(WATCHES, 0, watch(1), timestamp=NOW + 1), asked(0, **forgotten(1))], GENRES)
    assert found.late == ("'u' by f: watch-events 0 at 0",)


def test_ids_of_before_a_forgetting_are_another_users():
    """The same event again after it counts, and a withdrawal of one before it takes nothing back."""
    back = {"event_id": "w", "withdraws": 2, "user_id": "u", "ts": NOW}
    sent = [watch(1), watch(2), watch(1), back]
    records = [*(at(WATCHES, n, one) for n, one in enumerate(sent)), asked(0, NOW + 1, **forgotten(2))]
    found = expect(records, GENRES)
    assert (found.users["u"].watches, found.users["u"].withdrawn, found.items["watches"]) == (1, 0, {"a": 3.0})


def test_an_account_is_listed_by_all_its_parts():
    """Two events of the account and three of its guests make a sequence of 5, and what one of them hides is hidden."""
    sent = [
        *((WATCHES, watch(n, user="ann")) for n in range(2)),
        *((WATCHES, watch(n, user="g1")) for n in range(2)),
        (ACTIONS, act(1, "hide", "b", user="g2")),
    ]
    records = [at(topic, n, fields) for n, (topic, fields) in enumerate(sent)]
    merges = [asked(n, user_id=f"g{n}", action="merge", into="ann") for n in (1, 2)]
    found = expect([*records, *merges], GENRES)
    assert (found.listed, found.hidden) == ({"ann": 5}, {"ann": {"b"}})
    assert set(found.users) == {"ann", "g1", "g2"}
    assert found.people.guests_of == {"ann": {"g1", "g2"}}
    of_guests = expect([*records[2:], *merges], GENRES)
    assert of_guests.users["ann"].sequence == 0
    assert (of_guests.listed, of_guests.maybe) == ({"ann": 3}, frozenset())
    assert expect(merges, GENRES).maybe == {"ann"}


def test_an_account_that_lost_a_guest_need_not_be_listed():
    """A guest who is forgotten, or goes to another account, changes a history without an event."""
    records = [at(WATCHES, 0, watch(1, user="ann")), at(WATCHES, 1, watch(2, user="bob"))]
    merges = [asked(n, user_id="g", action="merge", into=into) for n, into in enumerate(("ann", "bob"))]
    assert expect([*records, *merges], GENRES).listed == {"bob": 1}
