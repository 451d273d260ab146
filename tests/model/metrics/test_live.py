"""The scoreboard by hand and beside a recount of the whole log: credit, bounds, restarting."""

import json
from dataclasses import replace
from math import inf, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.live import ArmTally, Credit, ExperimentUsers, PublishedList, Scoreboard, ScoreboardConfig, Tally


def listed(user_id, at_ms, items, rec_id=None, mode="personalized", version="v1", arm=None):
    """Return a published list; its identity is made of user and time unless given."""
    rec_id = rec_id or f"{user_id}@{at_ms}"
    return PublishedList(rec_id, user_id, at_ms, mode, version, tuple(items), None if arm is None else "x", arm)


def test_the_last_list_before_the_event_is_tested():
    """Of lists at 10 and 20 an event at 15 is credited to the first, one at 25 to the second, in place two."""
    board = Scoreboard()
    first, second = listed("u", 10, "ab"), listed("u", 20, "cd")
    board.add_list(first)
    assert board.add_event("u", "b", 15) == Credit(first, 2.0, inf, is_named=False)
    board.add_list(second)
    assert board.add_event("u", "z", 25) == Credit(second, inf, inf, is_named=False)
    assert (board.total.tests, board.total.hits, board.total.gain) == (2, 1, 1 / log2(3))


def test_a_list_of_the_same_millisecond_comes_after():
    """A list at 10 is none for an event at 10, whichever was added first."""
    board = Scoreboard()
    board.add_list(listed("u", 10, "a"))
    assert board.add_event("u", "a", 10) is None
    assert board.total == Tally()


def test_an_event_may_name_its_list():
    """An event that names an earlier list of its user is credited to that one, and counted as named."""
    board = Scoreboard()
    lists = [listed("u", at, item, rec_id=item) for at, item in ((1, "a"), (2, "b"), (3, "c"))]
    for shown in lists:
        board.add_list(shown)
    assert board.add_event("u", "a", 9, rec_id="a") == Credit(lists[0], 1.0, inf, is_named=True)
    assert board.add_event("u", "b", 9, rec_id="unknown") == Credit(lists[2], inf, inf, is_named=False)
    assert (board.total.tests, board.total.named) == (2, 1)


def test_a_named_list_comes_before_its_event():
    """Named by an event that a clock behind stamped 99, a list of 100 is tested; unnamed it is not."""
    board = Scoreboard()
    shown = listed("u", 100, "a", rec_id="r")
    board.add_list(shown)
    assert board.add_event("u", "b", 99) is None
    assert board.add_event("u", "a", 99, rec_id="r") == Credit(shown, 1.0, inf, is_named=True)


def test_a_list_of_another_user_is_not_credited():
    """Naming somebody else's list falls back to the user's own last one; without one nothing is tested."""
    board = Scoreboard()
    board.add_list(listed("u", 1, "a", rec_id="r"))
    assert board.add_event("v", "a", 2, rec_id="r") is None
    own = listed("v", 3, "b")
    board.add_list(own)
    assert board.add_event("v", "c", 4, rec_id="r") == Credit(own, inf, inf, is_named=False)


def test_only_the_latest_lists_are_kept():
    """With four lists kept, the first of five can be named no more; the second can."""
    board = Scoreboard(ScoreboardConfig(lists=4))
    for at in range(1, 6):
        board.add_list(listed("u", at, "a", rec_id=f"r{at}"))
    assert not board.add_event("u", "b", 9, rec_id="r1").is_named
    assert board.add_event("u", "c", 9, rec_id="r2").is_named


def test_a_list_published_twice_is_one():
    """Published again at 30, a list of 10 is the last one, keeps its first time, and takes one place of four."""
    board = Scoreboard(ScoreboardConfig(lists=2))
    board.add_list(listed("u", 10, "a", rec_id="r"))
    board.add_list(listed("u", 20, "b", rec_id="s"))
    board.add_list(listed("u", 30, "a", rec_id="r"))
    assert board.add_event("u", "z", 40).published == listed("u", 10, "a", rec_id="r")
    assert board.add_event("u", "y", 40, rec_id="s").is_named


def test_known_items_are_learnt_and_not_tested():
    """The second event of a user on an item, a producer's duplicate too, tests nothing; another user's does."""
    board = Scoreboard()
    board.add_list(listed("u", 1, "a"))
    board.add_list(listed("v", 1, "a"))
    assert board.add_event("u", "a", 2) is not None
    assert board.add_event("u", "a", 2) is None
    assert board.add_event("v", "a", 3) is not None
    assert board.total.tests == 2


def test_an_item_is_known_for_so_many_further_items():
    """With two items remembered, the third makes the first unknown: it is tested again."""
    board = Scoreboard(ScoreboardConfig(items=2))
    board.add_list(listed("u", 1, "a"))
    assert [board.add_event("u", item, 2) is not None for item in "abcbca"] == [True, True, True, False, False, True]


def test_popularity_is_asked_about_the_same_event():
    """Before u's event on b, b was touched twice and a once, and u knows b's rival a: b is first for u."""
    board = Scoreboard(ScoreboardConfig(renew_every=1))
    for user, item in (("x", "b"), ("y", "b"), ("u", "a")):
        board.add_event(user, item, 1)
    board.add_list(listed("u", 2, "c"))
    credit = board.add_event("u", "b", 3)
    assert (credit.rank, credit.popular_rank) == (inf, 1.0)
    assert (board.total.popularity_hits, board.total.popularity_gain, board.total.apart) == (1, 1.0, 1)


def test_only_k_places_count():
    """With k = 2 the third place of a list is no hit and gains nothing."""
    board = Scoreboard(ScoreboardConfig(k=2))
    board.add_list(listed("u", 1, "abc"))
    board.add_event("u", "b", 2)
    board.add_event("u", "c", 2)
    assert (board.total.tests, board.total.hits, board.total.gain) == (2, 1, 1 / log2(3))


def test_the_window_is_of_the_latest_tests():
    """With a window of two, three tests with hits on the first two leave one hit of two in it."""
    board = Scoreboard(ScoreboardConfig(window=2))
    board.add_list(listed("u", 1, "ab"))
    for item in "abc":
        board.add_event("u", item, 2)
    assert (board.total.tests, board.total.hits) == (3, 2)
    assert (board.latest().tests, board.latest().hits) == (2, 1)
    [group] = board.describe()["versions"]
    assert (group["version"], group["mode"]) == ("v1", "personalized")
    assert (group["total"]["hits"], group["latest"]["hits"]) == (2, 1)
    assert (group["total"]["hit_rate"], group["latest"]["hit_rate"]) == (2 / 3, 0.5)


def test_users_untouched_for_longest_are_forgotten():
    """With two users kept, the third takes the place of the one who was touched first, list and all."""
    board = Scoreboard(ScoreboardConfig(users=2))
    for user in "uv":
        board.add_list(listed(user, 1, "a"))
    board.add_event("u", "b", 2)
    board.add_event("w", "a", 3)  # v goes
    assert board.add_event("u", "a", 4) is not None
    assert board.add_event("v", "a", 5) is None


def test_users_go_when_all_remember_too_many_items():
    """With five items remembered, two users with two each stay; w's second is the sixth and u goes, list and all."""
    board = Scoreboard(ScoreboardConfig(remembered=5))
    for user in "uvw":
        board.add_list(listed(user, 1, "z"))
    for user, item in ("ua", "ub", "va", "vb", "wa", "wa"):
        board.add_event(user, item, 2)
    assert board.add_event("u", "a", 3) is None  # five: u knows it, and is now the latest touched
    for user, item in ("va", "wb"):
        board.add_event(user, item, 4)
    assert board.add_event("u", "c", 5) is None
    assert board.add_event("v", "a", 5) is None
    assert board.add_event("v", "c", 5) is not None


def test_versions_beyond_the_bound_leave_their_figures_in_the_total():
    """With two groups kept, tests of three versions are all in the total; the version tested longest ago is gone."""
    board = Scoreboard(ScoreboardConfig(groups=2))
    for n in range(3):
        board.add_list(listed("u", n, "a", version=f"v{n}"))
        board.add_event("u", str(n), n + 1)
    assert board.total.tests == 3
    assert [group["version"] for group in board.describe()["versions"]] == ["v2", "v1"]


def test_sides_of_an_experiment_are_counted_by_user():
    """In arm b user u has two tests and one hit, v one test and one hit: T 3, H 2, tt 5, hh 2, th 3."""
    board = Scoreboard()
    board.add_list(listed("u", 1, "a", arm="b"))
    board.add_list(listed("v", 1, "a", arm="b"))
    board.add_list(listed("w", 1, "a", arm="c"))
    board.add_list(listed("n", 1, "a"))
    for user, item in (("u", "a"), ("u", "z"), ("v", "a"), ("w", "z"), ("n", "a")):
        board.add_event(user, item, 2)
    other, arm = board.describe()["arms"]
    sums = ArmTally.restored(arm["total"]).sums()
    assert (arm["experiment"], arm["arm"], other["arm"]) == ("x", "b", "c")
    assert (sums.users, sums.tests, sums.hits) == (2, 3, 2)
    assert (sums.tests_squared, sums.hits_squared, sums.products) == (2 * 2 + 1, 1 + 1, 2 * 1 + 1)
    assert arm["latest"]["tests"] == 3


def test_an_arm_knows_which_versions_made_its_lists():
    """Of u's four tests in arm b, v1's lists had two, v2's one, and one was of a list without a version."""
    board = Scoreboard()
    for at, version in enumerate(["v1", "v2", None, "v1"]):
        board.add_list(listed("u", 10 * at, "a", version=version, arm="b"))
        board.add_event("u", f"z{at}", 10 * at + 1)
    [arm] = board.describe()["arms"]
    found = ArmTally.restored(arm["total"])
    assert (found.tally.tests, found.versioned, found.versions) == (4, 3, {"v2": 1, "v1": 2})


def test_versions_of_an_arm_are_bounded():
    """Of 51 versions in turn the first is forgotten, and its test still counts as one of a version."""
    board = Scoreboard()
    for at in range(51):
        board.add_list(listed("u", 10 * at, "a", version=f"v{at}", arm="b"))
        board.add_event("u", f"z{at}", 10 * at + 1)
    found = ArmTally.restored(board.describe()["arms"][0]["total"])
    assert (found.versioned, len(found.versions), "v0" in found.versions) == (51, 50, False)


def add_all(board, log, status="new"):
    """Tell a board of a log of lists and (user, item, time) events."""
    for record in log:
        if isinstance(record, PublishedList):
            board.add_list(record)
        else:
            board.add_event(*record, status=status)


users, items = st.sampled_from("uvw"), st.sampled_from("abcdef")
lists = st.tuples(
    users,
    st.lists(items, unique=True, max_size=4),
    st.sampled_from(["v1", "v2", None]),
    st.sampled_from(["b", "c", None]),
)
logs = st.lists(st.one_of(lists, st.tuples(users, items)), max_size=60)


def as_log(drawn):
    """Give times to what was drawn, one millisecond apart."""
    return [
        (row[0], row[1], at) if len(row) == 2 else listed(row[0], at, row[1], version=row[2], arm=row[3])
        for at, row in enumerate(drawn)
    ]


def recounted(log, k):
    """Return what the whole log says, looked up from its start for every event: list, hit, popular hit."""
    tests = []
    for at, record in enumerate(log):
        if isinstance(record, PublishedList):
            continue
        user, item, _ = record
        before = log[:at]
        shown = [one for one in before if isinstance(one, PublishedList) and one.user_id == user]
        events = [one for one in before if not isinstance(one, PublishedList)]
        known = {one[1] for one in events if one[0] == user}
        if not shown or item in known:
            continue
        touched = [one[1] for one in events]
        ranking = sorted(dict.fromkeys(touched), key=lambda one: -touched.count(one))
        popular = [one for one in ranking if one not in known][:k]
        tests.append((shown[-1], item in shown[-1].items[:k], item in popular))
    return tests


SMALL = ScoreboardConfig(k=2, window=5, renew_every=1)


@settings(max_examples=150, deadline=None)
@given(logs)
def test_figures_are_those_of_a_recount(drawn):
    """Totals, window, versions and arms equal a recount that looks every event up in the whole log before it."""
    log = as_log(drawn)
    board = Scoreboard(SMALL)
    add_all(board, log)
    tests = recounted(log, 2)
    total, latest = board.total, board.latest()
    assert total.tests == len(tests)
    assert (total.hits, total.popularity_hits) == (sum(t[1] for t in tests), sum(t[2] for t in tests))
    assert total.apart == sum(t[1] != t[2] for t in tests)
    assert (latest.tests, latest.hits) == (len(tests[-5:]), sum(t[1] for t in tests[-5:]))
    for group in board.describe()["versions"]:
        own = [t for t in tests if (t[0].version, t[0].mode) == (group["version"], group["mode"])]
        assert (group["total"]["tests"], group["total"]["hits"]) == (len(own), sum(t[1] for t in own))
    for arm in board.describe()["arms"]:
        own = [t for t in tests if t[0].arm == arm["arm"]]
        each = [[t[1] for t in own if t[0].user_id == user] for user in {t[0].user_id for t in own}]
        sums = ArmTally.restored(arm["total"]).sums()
        assert (sums.users, sums.tests, sums.hits) == (len(each), len(own), sum(t[1] for t in own))
        assert sums.tests_squared == sum(len(hits) ** 2 for hits in each)
        assert sums.hits_squared == sum(sum(hits) ** 2 for hits in each)
        assert sums.products == sum(len(hits) * sum(hits) for hits in each)


@settings(max_examples=100, deadline=None)
@given(logs, st.integers(0, 60))
def test_a_restart_that_recalls_everything_changes_nothing(drawn, cut):
    """Described as JSON, restored, and told the counted records once more, a board goes on to the same figures."""
    log = as_log(drawn)
    whole, first = Scoreboard(SMALL), Scoreboard(SMALL)
    add_all(whole, log)
    add_all(first, log[:cut])
    second = Scoreboard(SMALL)
    assert second.restore(json.loads(json.dumps(first.describe())), first.take_users(whole=True).users)
    add_all(second, log[:cut], status="counted")
    assert second.describe() == first.describe()
    add_all(second, log[cut:])
    assert second.describe() == whole.describe()


@settings(max_examples=100, deadline=None)
@given(logs, st.integers(0, 60), st.integers(0, 60))
def test_a_restart_that_recalls_little_changes_no_figure(drawn, cut, back):
    """Restored with its window and told some of the counted records once more, a board has the same figures."""
    log = as_log(drawn)
    first, second = Scoreboard(SMALL), Scoreboard(SMALL)
    add_all(first, log[:cut])
    assert second.restore(json.loads(json.dumps(first.describe())), first.take_users(whole=True).users)
    second.window.restore(json.loads(json.dumps(first.window.describe())))
    before = json.dumps(first.describe())
    assert json.dumps(second.describe()) == before
    add_all(second, log[:cut][-back:], status="before")
    assert json.dumps(second.describe()) == before


def test_what_came_before_is_known_and_counted_nowhere():
    """Told of as before, a test is in no figure, not even in the window, but its item and list are known."""
    board = Scoreboard()
    board.add_list(listed("u", 1, "ab", arm="b"))
    assert board.add_event("u", "a", 2, status="before") is not None
    assert (board.total.tests, board.latest().tests, board.describe()["arms"]) == (0, 0, [])
    assert board.add_event("u", "a", 3) is None
    assert board.add_event("u", "b", 3).rank == 2.0


def in_arm_b(board, users, at_ms=1, experiment="x"):
    """Show each user a list of arm b with item a only."""
    for user in users:
        shown = listed(user, at_ms, "a", rec_id=f"{user}{at_ms}{experiment}", arm="b")
        board.add_list(replace(shown, experiment=experiment))


def test_users_of_an_experiment_outlive_a_restart():
    """After a restart that recalls only u's list, u's third test is one of a user with two and one hit: tt 10, th 3."""
    board, second = Scoreboard(), Scoreboard()
    in_arm_b(board, "uv")
    for user, item in (("u", "a"), ("u", "y"), ("v", "y")):
        board.add_event(user, item, 2)
    users = board.take_users()
    assert (users.users, users.is_whole) == ({("b", "u"): (2, 1), ("b", "v"): (1, 0)}, True)
    assert second.restore(board.describe(), users.users)
    in_arm_b(second, "u")
    second.add_event("u", "z", 3)
    sums = ArmTally.restored(second.describe()["arms"][0]["total"]).sums()
    assert (sums.users, sums.tests, sums.tests_squared, sums.products) == (2, 4, 3 * 3 + 1, 3 * 1)


def test_only_changed_users_are_taken_after_the_first_time():
    """Taken again, only who was tested meanwhile comes, then nobody; asked for the whole, all come."""
    board = Scoreboard()
    in_arm_b(board, "uv")
    for user in "uv":
        board.add_event(user, "a", 2)
    board.take_users()
    board.add_event("u", "z", 3)
    assert board.take_users() == ExperimentUsers({("b", "u"): (2, 1)}, is_whole=False)
    assert board.take_users() == ExperimentUsers({}, is_whole=False)
    assert board.take_users(whole=True).users == {("b", "u"): (2, 1), ("b", "v"): (1, 1)}


@pytest.mark.parametrize("users", [{}, {("b", "u"): (2, 1)}, {("b", "u"): (1, 1), ("c", "v"): (1, 1)}])
def test_an_experiment_without_its_users_begins_anew(users):
    """With no users, or ones that do not make up its sums (u has one test with a hit), its figures start from none."""
    board, second = Scoreboard(), Scoreboard()
    in_arm_b(board, "u")
    board.add_event("u", "a", 2)
    assert not second.restore(board.describe(), users)
    assert (second.total.tests, second.describe()["arms"], second.describe()["running"]) == (1, [], None)
    in_arm_b(second, "u")
    second.add_event("u", "z", 3)
    assert second.describe()["arms"][0]["total"]["users"] == 1


def test_further_users_of_an_experiment_are_left_out():
    """With room for two users, the third's two tests are no part of the arm's figures, but are returned; u's go on."""
    board = Scoreboard(ScoreboardConfig(experiment_users=2))
    in_arm_b(board, "uvw")
    for user, item in (("u", "a"), ("v", "a"), ("w", "a"), ("w", "z"), ("u", "z")):
        board.add_event(user, item, 2)
    total = board.describe()["arms"][0]["total"]
    assert (total["users"], total["tests"], total["left_out"], board.total.tests) == (2, 3, 2, 5)


def test_another_experiment_ends_the_one_before():
    """Once a list of y was tested, x's figures stand, only y's users are kept, and an older list does not begin z."""
    board = Scoreboard()
    in_arm_b(board, "uv", 10, "x")
    board.add_event("u", "a", 11)
    board.take_users()
    in_arm_b(board, "w", 12, "z")
    in_arm_b(board, "u", 20, "y")
    for user in "uvw":
        board.add_event(user, "b", 21)
    figures = board.describe()
    assert [(one["experiment"], one["total"]["tests"]) for one in figures["arms"]] == [("y", 1), ("x", 1)]
    assert figures["running"] == {"experiment": "y", "since_ms": 20}
    assert board.take_users() == ExperimentUsers({("b", "u"): (1, 0)}, is_whole=True)


@pytest.mark.parametrize("described", [{}, {"total": 3}, {"total": {"tests": 1}, "versions": [], "arms": []}])
def test_foreign_figures_are_refused(described):
    """What no scoreboard described is a ValueError, and changes nothing."""
    board = Scoreboard()
    with pytest.raises(ValueError, match="what `describe` returns is required"):
        board.restore(described)
    assert board.total == Tally()


def test_an_item_that_the_user_knows_is_tested_where_repeats_are_kept():
    """The second touch of a is a test too: in place one of the list, and in place one of popularity, which has it."""
    board = Scoreboard(ScoreboardConfig(renew_every=1, repeats=True))
    board.add_event("u", "a", 1)
    shown = listed("u", 2, "ab")
    board.add_list(shown)
    assert board.add_event("u", "a", 3) == Credit(shown, 1.0, 1.0, is_named=False)
    assert Scoreboard(ScoreboardConfig(renew_every=1)).config.repeats is False
