from dataclasses import replace

import pytest

from replay.chaos.compare import compare
from replay.chaos.expected import Expected, RecordAddress, UserState
from replay.chaos.gauge import FileSize, cut_back, last_file
from replay.chaos.observed import Observed, ObservedUser
from replay.chaos.people.looking import UserKeysFound
from replay.chaos.people.outcome import Forgetting, Outcome
from replay.chaos.sabotage import torn_versions

TS = 1_700_000_000_000
BAD = RecordAddress("watch-events", 0, 7)
EXPECTED = Expected(
    users={
        "u": UserState(
            watches=1,
            ratings=1,
            rating_sum=4.0,
            first_ts=TS,
            last_ts=TS + 1,
            recent=[("b", TS + 1, "rate", 0.8, True), ("a", TS, "watch", 0.5, True)],
            seen=frozenset({"a", "b"}),
            genres={"Drama": 1.25},
            actions=1,
            hidden=frozenset({"c"}),
        )
    },
    items={"watches": {"a": 1.0}, "ratings": {"b": 1.0}, "rating_sum": {"b": 4.0}, "actions": {"c": 1.0}},
    trending={("watch", 0): {"a": 0.5}, ("rate", 0): {"b": 1.0}},
    newcomers={("watch", 0): {"a": 0.5}, ("rate", 0): {"b": 1.0}},
    clocks={("watch", 0): (TS, TS), ("rate", 0): (TS + 1, TS + 1)},
    dead={BAD: "not_json"},
    requests=frozenset({"r1"}),
    positions={("watch-events", 0): 3, ("rate-events", 0): 5},
    events=2,
    duplicates=0,
)
USER = ObservedUser(
    counters={
        "watches": 1.0,
        "ratings": 1.0,
        "rating_sum": 4.0,
        "actions": 1.0,
        "hidden": 1.0,
        "first_ts": float(TS),
        "last_ts": float(TS + 1),
    },
    recent=[("b", TS + 1, "rate", 0.8, True), ("a", TS, "watch", 0.5, True)],
    seen=frozenset({"a", "b"}),
    genres={"Drama": 1.25 * (1 + 1e-9)},
    list_sequence=3,
    recs_sequence=3,
    listed=("d",),
    hidden=frozenset({"c"}),
)
STATE = Observed(
    users={"u": USER},
    items={"watches": {"a": 1.0}, "ratings": {"b": 1.0}, "rating_sum": {"b": 4.0}, "actions": {"c": 1.0}},
    trending={("watch", 0): {"a": 0.5}, ("rate", 0): {"b": 1.0 - 1e-9}},
    newcomers={("watch", 0): {"a": 0.5}, ("rate", 0): {"b": 1.0 + 1e-9}},
    clocks={("watch", 0): (TS, TS), ("rate", 0): (TS + 1, TS + 1)},
)
TOPICS = Observed(dead={(BAD, "not_json"): 1}, sequences={"u": {1, 3}, "only-asked": {0}}, answered=frozenset({"r1"}))


def differing(state=STATE, topics=TOPICS):
    """Return what differs, and how often, without what is allowed."""
    return {row.what: row.different for row in compare(EXPECTED, state, topics) if row.different and not row.is_info}


def with_user(**changed):
    """Return the state with one thing of the user changed."""
    return replace(STATE, users={"u": replace(USER, **changed)})


def test_equal_states_have_no_difference():
    """Weights that differ by a billionth, and a list for a user who only asked, are no differences."""
    assert differing() == {}


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (replace(STATE, users={}), "users"),
        (replace(STATE, users={"u": USER, "v": USER}), "users"),
        (with_user(counters=USER.counters | {"watches": 2.0}), "users: counters"),
        (with_user(counters=USER.counters | {"rating_sum": 4.5}), "users: counters"),
        (with_user(counters={"watches": 1.0, "hidden": 1.0}), "users: counters"),
        (with_user(counters=USER.counters | {"first_ts": float(TS - 1)}), "users: times"),
        (with_user(counters=USER.counters | {"last_ts": float(TS)}), "users: times"),
        (with_user(recent=USER.recent[::-1]), "users: recents"),
        (with_user(recent=USER.recent[:1]), "users: recents"),
        (with_user(recent=[USER.recent[0], ("a", TS, "watch", 0.6, True)]), "users: recents"),
        (with_user(recent=[USER.recent[0], ("a", TS, "watch", 0.5, False)]), "users: recents"),
        (with_user(seen=frozenset({"a"})), "users: seen"),
        (with_user(seen=frozenset({"a", "b", "c"})), "users: seen"),
        (with_user(hidden=frozenset()), "users: hidden"),
        (with_user(counters=USER.counters | {"hidden": 0.0}), "users: how many are hidden"),
        (with_user(listed=("d", "c")), "users: hidden items in the stored list"),
        (with_user(counters=USER.counters | {"actions": 2.0}), "users: counters"),
        (with_user(genres={"Drama": 1.26}), "users: genres"),
        (with_user(genres={}), "users: genres"),
        (with_user(genres={"Drama": 1.25, "War": 0.1}), "users: genres"),
        (with_user(list_sequence=1), "users: stored list saw all events"),
        (with_user(recs_sequence=1), "users: stored list saw all events"),
        (replace(STATE, items=dict(STATE.items) | {"watches": {"a": 2.0}}), "items: watches"),
        (replace(STATE, items=dict(STATE.items) | {"ratings": {}}), "items: ratings"),
        (replace(STATE, items=dict(STATE.items) | {"rating_sum": {"b": 3.5}}), "items: rating_sum"),
        (replace(STATE, items=dict(STATE.items) | {"actions": {}}), "items: actions"),
        (replace(STATE, trending=dict(STATE.trending) | {("rate", 0): {"b": 1.4}}), "items: trending weights"),
        (replace(STATE, trending={}), "items: trending weights"),
        (replace(STATE, newcomers={}), "items: newcomers' trending weights"),
        (replace(STATE, clocks=dict(STATE.clocks) | {("watch", 0): (TS, TS + 1)}), "items: clocks of trending"),
    ],
)
def test_a_planted_difference_of_the_state_is_found(state, what):
    """Each thing that can be wrong in Redis shows in its own row."""
    assert what in differing(state)
    if what != "items: trending weights":
        assert set(differing(state)) <= {what, "users: times"}


@pytest.mark.parametrize(
    ("topics", "what"),
    [
        (replace(TOPICS, dead={}), "dead letters: missing"),
        (replace(TOPICS, dead={(BAD, "not_json"): 1, (BAD, "empty"): 1}), "dead letters: unexpected"),
        (replace(TOPICS, sequences={"u": {0, 1}}), "lists: last on the topic saw all events"),
        (replace(TOPICS, sequences={"u": {3, 4}}), "lists: last on the topic saw all events"),
        (replace(TOPICS, sequences={}), "lists: last on the topic saw all events"),
        (replace(TOPICS, answered=frozenset()), "requests without a list"),
    ],
)
def test_a_planted_difference_of_the_topics_is_found(topics, what):
    """A missing or wrong dead letter, a list too few, and one that counts what never happened, each show."""
    assert differing(topics=topics) == {what: 1}


@pytest.mark.parametrize(
    ("state", "topics"),
    [
        (replace(STATE, films={"ghost-1": "catalog:items", "a": "catalog:items"}), TOPICS),
        (STATE, replace(TOPICS, films={"ghost-1": "recommendations 0 at 7"})),
    ],
)
def test_a_film_of_an_aborted_transaction_is_found(state, topics):
    """A film that was never committed is one difference wherever it is shown, and other films are none."""
    rows = compare(EXPECTED, state, topics, frozenset({"ghost-1", "ghost-2"}))
    assert [(row.what, row.compared, row.different) for row in rows if row.different and not row.is_info] == [
        ("items of aborted transactions shown", 2, 1)
    ]


GUEST = replace(EXPECTED.users["u"], actions=0)
PEOPLE = replace(
    EXPECTED,
    users={"u": EXPECTED.users["u"], "g": GUEST},
    people=Outcome(
        {"gone": (Forgetting("f", {"watch-events": (5,)}, TS),)}, {"g": "u"}, {"u": frozenset({"g"})}, requests=2
    ),
)
KEYS = UserKeysFound(
    {"u": frozenset({"", ":guests"}), "g": frozenset({"", ":merged"})}, {"g": "u"}, {"u": frozenset({"g"})}
)
ACCOUNT = replace(USER, list_sequence=5, recs_sequence=5)
GUEST_FOUND = replace(USER, counters=USER.counters | {"actions": 0.0}, list_sequence=-1, recs_sequence=-1, listed=())
STATE_OF_PEOPLE = replace(STATE, users={"u": ACCOUNT, "g": GUEST_FOUND}, keys=KEYS)
TOPICS_OF_PEOPLE = replace(TOPICS, sequences={"u": {3, 5}, "g": {2}, "gone": {7}})


def differing_people(expected=PEOPLE, state=STATE_OF_PEOPLE, sent=None):
    """Return what differs where a guest has an account and somebody is forgotten."""
    rows = compare(expected, state, TOPICS_OF_PEOPLE, sent=sent)
    return {row.what: row.different for row in rows if row.different and not row.is_info}


def test_an_account_and_a_forgotten_user_have_no_difference():
    """The account's list saw the events of both, the guest has none, and nothing is left of the forgotten user."""
    assert differing_people() == {}
    assert differing_people(sent={"f": {("watch-events", 0): 5}}) == {}


@pytest.mark.parametrize(
    ("expected", "state", "sent", "what"),
    [
        (
            PEOPLE,
            replace(STATE_OF_PEOPLE, users={"u": USER, "g": GUEST_FOUND}),
            {},
            "users: stored list saw all events",
        ),
        (
            PEOPLE,
            replace(STATE_OF_PEOPLE, users={"u": ACCOUNT, "g": replace(GUEST_FOUND, recs_sequence=2)}),
            {},
            "users: lists of guests",
        ),
        (
            PEOPLE,
            replace(STATE_OF_PEOPLE, users={"u": replace(ACCOUNT, listed=("d", "a")), "g": GUEST_FOUND}),
            {},
            "users: items of all parts in an account's list",
        ),
        (
            PEOPLE,
            replace(STATE_OF_PEOPLE, keys=replace(KEYS, of_user={**KEYS.of_user, "gone": frozenset({":ids:rate"})})),
            {},
            "forgetting: keys of users without an event",
        ),
        (
            PEOPLE,
            replace(STATE_OF_PEOPLE, keys=replace(KEYS, of_user={**KEYS.of_user, "forgotten:1f": frozenset({""})})),
            {},
            "forgetting: keys of users without an event",
        ),
        (PEOPLE, replace(STATE_OF_PEOPLE, keys=replace(KEYS, account_of={})), {}, "merging: accounts of guests"),
        (PEOPLE, replace(STATE_OF_PEOPLE, keys=replace(KEYS, guests_of={})), {}, "merging: guests of accounts"),
        (PEOPLE, STATE_OF_PEOPLE, {"f": {("watch-events", 0): 6}}, "forgetting: earlier events that stay"),
        (replace(PEOPLE, late=("an event",)), STATE_OF_PEOPLE, {}, "forgetting: later events that go"),
        (
            replace(PEOPLE, people=replace(PEOPLE.people, unanswered={"h": "v"})),
            STATE_OF_PEOPLE,
            {},
            "forgetting: not answered",
        ),
    ],
)
def test_a_planted_difference_of_people_is_found(expected, state, sent, what):
    """Each thing that can be wrong about a merge or a forgetting shows in its own row."""
    assert differing_people(expected, state, sent) == {what: 1}


def test_a_repeated_dead_letter_is_allowed():
    """At-least-once delivery may repeat a dead letter: it is told, and no difference."""
    topics = replace(TOPICS, dead={(BAD, "not_json"): 2})
    assert differing(topics=topics) == {}
    (row,) = (row for row in compare(EXPECTED, STATE, topics) if row.what == "dead letters: repeated")
    assert (row.different, row.is_info) == (1, True)


def test_a_difference_is_shown_with_both_values():
    """The example of a row names the key, what was expected and what was got."""
    (row,) = (row for row in compare(EXPECTED, with_user(genres={"Drama": 9.5}), TOPICS) if row.what == "users: genres")
    assert row.examples == ("'u': expected {'Drama': 1.25}, got {'Drama': 9.5}",)


@pytest.fixture
def files(tmp_path):
    """Return a folder of append-only files as Valkey leaves it, with 1000 bytes in the last one."""
    (tmp_path / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\n"
        "file appendonly.aof.1.incr.aof seq 1 type i\n"
        "file appendonly.aof.2.incr.aof seq 2 type i\n"
    )
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(b"x" * 50)
    (tmp_path / "appendonly.aof.2.incr.aof").write_bytes(b"x" * 1000)
    return tmp_path


@pytest.mark.parametrize(
    ("age_s", "applied", "kept"),
    [
        (0.5, 31, 800),  # ended at 10, so as it was at 9.5: measured at 9
        (1.5, 31, 500),  # at 8.5: measured at 8
        (0.5, 30, 500),  # at 9 all 30 were applied, so further back: at 8 there were 20
        (0.5, 20, 400),  # at 7 there were 10
        (0.5, 10, 800),  # never fewer than 10, so nothing is gained by going further back
        (5.0, 31, 400),  # at 5, before the file's first measure: as far back as is known
    ],
)
def test_the_file_is_cut_back_to_what_it_was(files, age_s, applied, kept):
    """The last append-only file gets the length that it had so long before the end, or before something was applied."""
    last = "appendonly.aof.2.incr.aof"
    sizes = [
        FileSize(4.0, "appendonly.aof.1.incr.aof", 50, 5),
        FileSize(7.0, last, 400, 10),
        FileSize(8.0, last, 500, 20),
        FileSize(9.0, last, 800, 30),
    ]
    assert cut_back(files, sizes, ended_s=10.0, age_s=age_s, applied=applied) == 1000 - kept
    assert last_file(files).stat().st_size == kept
    assert (files / "appendonly.aof.1.incr.aof").stat().st_size == 50


def test_a_version_is_torn_until_its_description_is_there(tmp_path):
    """A folder without a description, or with a file that is still being written, is torn."""
    for name, files in {
        "v000001-a": ["weights.safetensors", "version.json"],
        "v000002-b": ["weights.safetensors"],
        "v000003-c": ["version.json", ".weights.safetensors.1f"],
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    assert torn_versions(tmp_path) == {"v000002-b", "v000003-c"}
    assert torn_versions(tmp_path / "none") == set()
