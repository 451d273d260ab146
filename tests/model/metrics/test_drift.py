"""The drift guard by hand: how much must speak against a version, which tests count, and from when on."""

import json
from itertools import count
from math import inf

import pytest

from model.metrics.drift import Drift, DriftConfig, DriftGuard
from model.metrics.live import Credit, PublishedList

REC_IDS = (f"r{n}" for n in count())
SMALL = DriftConfig(min_tests=10, max_tests=30)


def credit(mine, popular, *, version="v1", mode="personalized", at_ms=5, is_by_chance=False, rec_id=None):
    """Return a test, of a list of its own unless one is given, that list and popularity hit or not."""
    shown = PublishedList(rec_id or next(REC_IDS), "u", at_ms, mode, version, ("a",), is_by_chance=is_by_chance)
    return Credit(shown, 1.0 if mine else inf, 1.0 if popular else inf, is_named=False)


def guard_with(mine, popular, both=0, neither=0, config=SMALL, **how):
    """Return a guard told of tests that the list alone, popularity alone, both or neither hit."""
    guard = DriftGuard(config)
    outcomes = [(True, True)] * both + [(False, False)] * neither + [(True, False)] * mine + [(False, True)] * popular
    for outcome in outcomes:
        guard.observe(credit(*outcome, **how))
    return guard


def test_three_standard_errors_behind_is_not_enough_and_more_is():
    """Of 9 tests apart a lead of 9 is just 3 sqrt(9); of 10 apart one of 10 is more than 3 sqrt(10) = 9.49."""
    assert guard_with(mine=0, popular=9, both=1, neither=3).judge("v1", 0) is None
    found = guard_with(mine=0, popular=10, both=1, neither=3).judge("v1", 0)
    assert found == Drift("v1", tests=14, hits=1, popularity_hits=11, apart=10)
    assert found.z == pytest.approx(-(10**0.5))
    assert found.metrics() == {
        "hit_rate": 1 / 14,
        "popularity_hit_rate": 11 / 14,
        "tests": 14.0,
        "z": pytest.approx(-(10**0.5)),
    }


def test_hits_that_both_share_say_nothing():
    """Where list and popularity hit the same events nothing is apart and nothing drifts; nor where the list leads."""
    assert guard_with(mine=0, popular=0, both=30).judge("v1", 0) is None
    assert guard_with(mine=20, popular=0).judge("v1", 0) is None


def test_too_few_tests_say_nothing():
    """Nine lost tests of at least ten are too few, ten are enough: 10 > 3 sqrt(10)."""
    assert guard_with(mine=0, popular=9).judge("v1", 0) is None
    assert guard_with(mine=0, popular=10).judge("v1", 0) is not None


def test_only_personalised_lists_of_the_version_count():
    """Lists of another mode, of no version or of another version are not the version's own."""
    assert guard_with(mine=0, popular=30, mode="cold_start").judge("v1", 0) is None
    assert guard_with(mine=0, popular=30, version=None).judge("v1", 0) is None
    assert guard_with(mine=0, popular=30, version="v2").judge("v1", 0) is None
    assert guard_with(mine=0, popular=30, version="v2").judge("v2", 0) is not None


def test_lists_filled_by_chance_do_not_count():
    """Thirty lost tests of lists with a place left to chance say nothing of the version."""
    assert guard_with(mine=0, popular=30, is_by_chance=True).judge("v1", 0) is None


def test_only_the_first_test_of_a_list_counts():
    """Ten lists tested thirty times each, lost but for the first time, are ten tests and no drift."""
    guard = DriftGuard(SMALL)
    for n in range(30):
        for one in range(10):
            guard.observe(credit(mine=n == 0, popular=True, rec_id=f"old{one}"))
    assert guard.judge("v1", 0) is None
    for _ in range(10):  # new lists: 10 of 20 lost, 10 > 3 sqrt(10)
        guard.observe(credit(mine=False, popular=True))
    assert guard.judge("v1", 0) == Drift("v1", tests=20, hits=10, popularity_hits=20, apart=10)


def test_lists_beyond_the_bound_count_once_more():
    """With two lists remembered, ten lists tested in turn twice are twenty tests."""
    guard = DriftGuard(DriftConfig(min_tests=10, max_tests=30, lists=2))
    for _ in range(2):
        for one in range(10):
            guard.observe(credit(mine=False, popular=True, rec_id=f"old{one}"))
    assert guard.judge("v1", 0).tests == 20


def test_a_version_that_serves_again_begins_anew():
    """Lists from before it served count no more; those of that very millisecond do."""
    guard = guard_with(mine=0, popular=30, at_ms=5)
    assert guard.judge("v1", 5) is not None
    assert guard.judge("v1", 6) is None


def test_only_the_latest_tests_count():
    """After as many good tests as are kept the bad ones before them are forgotten."""
    guard = guard_with(mine=0, popular=30)
    for _ in range(29):
        guard.observe(credit(mine=True, popular=True))
    assert guard.judge("v1", 0) is None  # one lost test is left: 1 < 3 sqrt(1)
    guard = guard_with(mine=0, popular=30)
    for _ in range(15):
        guard.observe(credit(mine=True, popular=True))
    assert guard.judge("v1", 0) == Drift("v1", tests=30, hits=15, popularity_hits=30, apart=15)


def test_versions_beyond_the_bound_are_forgotten():
    """Of five versions the one whose lists were tested longest ago is forgotten, and the others are known."""
    guard = DriftGuard(SMALL)
    for n in range(1, 6):
        for _ in range(30):
            guard.observe(credit(mine=False, popular=True, version=f"v{n}"))
    assert [guard.judge(f"v{n}", 0) is not None for n in range(1, 6)] == [False, True, True, True, True]


def test_places_beyond_k_are_no_hits():
    """The item in place eleven of a list counts as missed."""
    guard = DriftGuard(SMALL)
    for _ in range(30):
        shown = PublishedList(next(REC_IDS), "u", 5, "personalized", "v1", tuple("abcdefghijk"))
        guard.observe(Credit(shown, 11.0, 10.0, is_named=False))
    assert guard.judge("v1", 0) == Drift("v1", tests=30, hits=0, popularity_hits=30, apart=30)


def test_a_guard_outlives_its_process():
    """Restored from JSON, a guard judges by the same tests: of lists in any order of time, and of every version."""
    guard, second = DriftGuard(SMALL), DriftGuard(SMALL)
    for at_ms in (7, 9, 8):
        for _ in range(10):
            guard.observe(credit(mine=False, popular=True, at_ms=at_ms))
            guard.observe(credit(mine=True, popular=at_ms == 9, at_ms=at_ms, version="v2"))
    second.restore(json.loads(json.dumps(guard.describe())))
    assert second.describe() == guard.describe()
    found = [(version, since, second.judge(version, since)) for version in ("v1", "v2") for since in (7, 8)]
    assert found == [(version, since, guard.judge(version, since)) for version, since, _ in found]
    assert found[1][2] == Drift("v1", tests=20, hits=0, popularity_hits=20, apart=20)


def test_a_stored_test_is_one_number():
    """Lists of 7, 9 and 8 ms that popularity, the list, and both hit: 4 * 7 + 1, 4 * 2 + 2 and 4 * -1 + 3."""
    guard = DriftGuard(SMALL)
    for mine, popular, at_ms in ((False, True, 7), (True, False, 9), (True, True, 8)):
        guard.observe(credit(mine, popular, at_ms=at_ms))
    assert guard.describe() == {"versions": [["v1", [29, 10, -1]]]}


def test_a_test_that_is_held_already_says_that_its_list_was_tested():
    """Read again after a restart, a list's first test is not added, and its second one is not its first."""
    guard = DriftGuard(SMALL)
    guard.observe(credit(mine=False, popular=True, rec_id="r"), is_held=True)
    guard.observe(credit(mine=False, popular=True, rec_id="r"))
    assert guard.describe() == {"versions": []}


@pytest.mark.parametrize("wrong", [None, {}, {"versions": 1}, {"versions": [["v1"]]}, {"versions": [["v1", ["x"]]]}])
def test_what_no_guard_described_is_refused(wrong):
    """Anything else is a ValueError, and the guard knows what it knew."""
    guard = guard_with(mine=0, popular=30)
    with pytest.raises(ValueError, match="drift guard: what `describe` returns is required"):
        guard.restore(wrong)
    assert guard.judge("v1", 0).tests == 30
