import json
from collections import Counter

import numpy as np
import pytest

from replay.chaos.expected import judge
from replay.chaos.faults import FIRST_SHARE, KINDS, LAST_SHARE, plan
from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.stream import (
    ACTIONS,
    CAUSES,
    EVENTS,
    RATES,
    REQUESTS,
    WATCHES,
    StreamConfig,
    break_record,
    make_catalogue,
    read_key,
    stream,
)

END = 1_700_000_000_000
DAY = 86_400_000


@pytest.fixture(scope="module")
def made():
    """Return the records of one stream of 20,000 events, two chunks of it."""
    return list(stream(StreamConfig(20_000, seed=3, ends_ms=END)))


def fields_of(record):
    """Return the fields of a record that keeps its contract, else None."""
    cause, fields = judge(record.topic, record.value, END)
    return fields if cause is None else None


def test_equal_configurations_give_equal_records(made):
    """The stream follows from its configuration, and another seed gives another one."""
    assert list(stream(StreamConfig(20_000, seed=3, ends_ms=END))) == made
    assert list(stream(StreamConfig(20_000, seed=4, ends_ms=END))) != made


def test_the_number_of_events_is_the_number_on_the_event_topics(made):
    """Retries and bad records are among the 20,000, requests are beside them."""
    topics = Counter(record.topic for record in made)
    assert sum(topics[name] for name in EVENTS) == 20_000
    assert topics[WATCHES] > topics[RATES] > topics[ACTIONS] > 1000
    assert 10 < topics[REQUESTS] < 100  # 0.002 * 20,000 = 40


def test_retries_are_the_same_bytes_a_short_way_behind(made):
    """About 2 in 100 events come again, most of them within 60 records and a few 500 to 6000 later."""
    first, distances = {}, []
    for at, record in enumerate(made):
        if record.topic in EVENTS and fields_of(record) is not None:
            if record.value in first:
                distances.append(at - first[record.value])
            first.setdefault(record.value, at)
    near = sum(distance <= 60 for distance in distances)
    assert 300 < near < 500  # 0.02 * 20,000 = 400
    assert 10 < len(distances) - near < 80  # 0.002 * 20,000 = 40
    assert max(distances) > 500


def test_every_cause_of_a_dead_letter_comes(made):
    """Each cause that docs/how-to/dead-letters.md names is there but the key's own, as the key is always the user's."""
    causes = Counter(judge(record.topic, record.value, END)[0] for record in made)
    del causes[None]
    assert set(causes) == set(CAUSES)
    for record in made:
        fields = fields_of(record)
        assert fields is None or read_key(record.key) == str(fields["user_id"])


def test_keys_are_of_every_form(made):
    """Some users are keyed by a number of eight bytes, some by a JSON object, and most by their text."""
    forms = Counter("number" if key[0] == 0 else "object" if key.startswith(b"{") else "text" for _, key, _ in made)
    assert set(forms) == {"number", "object", "text"}
    assert forms["text"] > 10_000
    assert [
        read_key(key) for key in (b"\x00\x00\x00\x00\x00\x0f\x42\x47", b'{"user_id": "zo\\u00eb 3"}', b"u{5}:recent%7D")
    ] == [
        "1000007",
        "zoë 3",
        "u{5}:recent%7D",
    ]


def test_times_are_late_tied_and_of_broken_clocks(made):
    """Some events are days older than one before them, many share a time, a few are before 1970 or after 2090."""
    times = [fields["ts"] for record in made if record.topic in EVENTS and (fields := fields_of(record))]
    sane = [ts for ts in times if 0 <= ts <= END]
    newest = np.maximum.accumulate(sane)
    assert 100 < sum(newest - sane > DAY) < 1000  # 0.03 * 20,000 = 600, 9 of 10 of them by more than a day
    assert max(Counter(sane).values()) > 1
    assert min(times) < 0
    assert max(times) > 3_800_000_000_000


def test_a_few_users_have_most_of_the_events(made):
    """The heaviest user has more events than 512, beyond which ids are forgotten, and most users have few."""
    users = Counter(record.key for record in made)
    assert users.most_common(1)[0][1] > 512
    assert np.median(list(users.values())) < 30


def test_some_items_are_not_in_the_catalogue(made):
    """Films have one or two genres, and users touch some that nobody describes."""
    films = make_catalogue(StreamConfig(20_000, seed=3, ends_ms=END))
    known = {film["item_id"] for film in films}
    touched = {fields.get("item_id", "") for record in made if record.topic in EVENTS and (fields := fields_of(record))}
    assert touched - known
    assert {len(film["genres"]) for film in films} == {1, 2}


def test_a_stream_of_nothing_is_refused():
    """A configuration without events names what it requires."""
    with pytest.raises(ValueError, match="events must be at least 1, got 0"):
        StreamConfig(0, seed=1, ends_ms=END)


@pytest.mark.parametrize(
    ("topic", "told", "missing"),
    [
        (WATCHES, {"progress": 0.5}, {"unknown_kind"}),
        (RATES, {"rating": 3.0}, {"unknown_kind"}),
        (ACTIONS, {"kind": "like"}, set()),
    ],
)
def test_a_broken_record_breaks_its_contract(topic, told, missing):
    """Whatever the generator draws, the record is one that must become a dead letter."""
    fields = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "ts": END, **told}
    rng = np.random.default_rng(1)
    causes = {judge(topic, break_record(fields, rng), END)[0] for _ in range(300)}
    assert causes == set(CAUSES) - missing


def test_nine_faults_are_one_of_each_kind():
    """Each kind comes once before any comes twice, in an order and at shares that follow from the seed."""
    faults = plan(9, seed=5)
    assert sorted(fault.kind for fault in faults) == sorted(KINDS)
    assert plan(9, seed=5) == faults != plan(9, seed=6)
    shares = [fault.share for fault in faults]
    assert shares == sorted(shares)
    assert FIRST_SHARE <= shares[0] <= shares[-1] <= LAST_SHARE
    assert set(Counter(fault.kind for fault in plan(50, seed=5)).values()) <= {5, 6}  # 50 = 5 * 9 + 5


def test_fewer_faults_are_the_first_kinds():
    """Four faults are the first four of the list, and none is none."""
    assert {fault.kind for fault in plan(4, seed=1)} == set(KINDS[:4])
    assert plan(0, seed=1) == ()


def test_some_events_are_taken_back(made):
    """About one in fifty, before or after it, some twice; each withdrawal goes to the topic and key of its event."""
    places, backs = {}, {}
    for at, record in enumerate(made):
        fields = fields_of(record)
        if not fields or record.topic not in EVENTS:
            continue
        if fields.get("withdraws") and fields["withdraws"] != fields["event_id"]:
            backs.setdefault((record.topic, record.key, fields["withdraws"]), []).append(at)
        elif not fields.get("withdraws"):
            places.setdefault((record.topic, record.key, fields.get("event_id")), at)
    known = {named: ats for named, ats in backs.items() if named in places}
    assert 300 < len(backs) < 500
    assert len(known) == len(backs)
    assert 50 < sum(ats[0] < places[named] for named, ats in known.items()) < 150
    assert 50 < sum(len(ats) > 1 for ats in known.values()) < 150


def test_users_are_forgotten_and_merged_in_every_order(made):
    """Merges come before the first event of a guest and after the last, some of them twice, some in a circle."""
    asked = [(at, fields) for at, one in enumerate(made) if one.topic == DATA_REQUESTS and (fields := fields_of(one))]
    merges = [(at, fields) for at, fields in asked if fields.get("action") == "merge"]
    forgettings = [(at, fields) for at, fields in asked if fields.get("action") != "merge"]
    places = {}
    for at, one in enumerate(made):
        if one.topic in EVENTS and (fields := fields_of(one)):
            places.setdefault(str(fields["user_id"]), []).append(at)
    assert 80 < len(merges) < 200  # 0.005 * 20,000 = 100, three in ten of them twice
    assert 30 < len(forgettings) < 120
    ends = [(at, places.get(str(fields["user_id"]), [at, at])) for at, fields in merges]
    assert any(at < found[0] for at, found in ends)
    assert any(at > found[-1] for at, found in ends)
    assert any(found[0] < at < found[-1] for at, found in ends)
    assert any(n > 1 for n in Counter(str(fields) for _, fields in merges).values())
    pairs = {(str(fields["user_id"]), str(fields["into"])) for _, fields in merges}
    assert any((account, guest) in pairs for guest, account in pairs)
    gone = {str(fields["user_id"]): at for at, fields in forgettings}
    assert any(at < gone.get(str(fields["user_id"]), -1) for at, fields in merges)
    assert any(at > place for user, place in gone.items() for at in places.get(user, ()))


def test_bad_requests_of_users_come_too(made):
    """Some break their contract, by a field that is missing and by one that is wrong."""
    asked = [one for one in made if one.topic == DATA_REQUESTS]
    assert {judge(one.topic, one.value, END)[0] for one in asked} == {None, "missing_field", "bad_field"}
    assert all(read_key(one.key) == str(json.loads(one.value)["user_id"]) for one in asked)
