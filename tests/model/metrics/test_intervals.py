"""Intervals beside independent references: scipy's, and sums over users written out."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp
from scipy.stats import t as student

from model.metrics.intervals import (
    UserSums,
    always_limit,
    difference,
    effective_users,
    ratio_interval,
    student_limit,
    wilson,
)


def sums_of(tests, hits):
    """Return the sums of these users, straight from their definition."""
    t, h = np.array(tests), np.array(hits)
    return UserSums(len(t), int(t.sum()), int(h.sum()), int(t @ t), int(h @ h), int(t @ h))


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_is_scipys(tests, share):
    """For any number of hits both bounds are those of scipy's binomtest without correction."""
    hits = round(share * tests)
    found = wilson(hits, tests)
    expected = binomtest(hits, tests).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.value == hits / tests


@pytest.mark.parametrize(("hits", "tests"), [(0, 0), (2, 1), (-1, 3)])
def test_wilson_requires_tests(hits, tests):
    """No tests, more hits than tests and fewer than none are refused, and the message names both."""
    with pytest.raises(ValueError, match=f"got {hits} of {tests}"):
        wilson(hits, tests)


def test_sums_of_three_users_by_hand():
    """Users with 1 of 2, 0 of 1 and 3 of 3 tests hit: rate 4/6, squares 14/9, lean 5/3, 36/14 effective users."""
    # residuals h - R t are 1 - 4/3 = -1/3, 0 - 2/3 = -2/3 and 3 - 2 = 1: squares 1/9 + 4/9 + 1 = 14/9,
    # times t: -2/3 - 2/3 + 3 = 5/3. T^2 = 36, sum of t^2 = 4 + 1 + 9 = 14.
    sums = sums_of([2, 1, 3], [1, 0, 3])
    assert sums == UserSums.of([(2, 1), (1, 0), (3, 3)])
    assert (sums.rate, sums.squares, sums.lean) == pytest.approx((4 / 6, 14 / 9, 5 / 3))
    assert effective_users(sums) == pytest.approx(36 / 14)
    assert effective_users(sums, sums) == pytest.approx(12**2 / 28)


@given(st.lists(st.integers(0, 7), min_size=2, max_size=40))
def test_with_equally_many_tests_a_rate_has_students_interval(hits):
    """Users of seven tests each are so many draws of a mean: the interval is that of scipy's one-sample t-test."""
    assume(len(set(hits)) > 1)
    found = ratio_interval(sums_of([7] * len(hits), hits))
    expected = ttest_1samp(np.array(hits) / 7, 0.0).confidence_interval(0.95)
    assert found.low == pytest.approx(max(0.0, expected.low), abs=1e-9)
    assert found.high == pytest.approx(min(1.0, expected.high), abs=1e-9)


users = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), min_size=2, max_size=40)


def arm(drawn):
    """Return tests and hits as arrays."""
    tests = np.array([tests for tests, _ in drawn])
    return tests, np.array([round(share * tests) for tests, share in drawn])


@given(users)
def test_a_rate_at_either_end_is_so_many_standard_errors_off(drawn):
    """At an end that is not cut off, the mean is Student's limit times the root of sum((h - R t)^2) / T^2 away."""
    tests, hits = arm(drawn)
    sums = sums_of(tests, hits)
    found, limit = ratio_interval(sums), student_limit(effective_users(sums))
    for end in (found.low, found.high):
        error = math.sqrt(((hits - end * tests) ** 2).sum()) / tests.sum()
        if 0 < end < 1 and sums.squares > 0:
            assert abs(sums.rate - end) == pytest.approx(limit * error, abs=1e-9)


@given(users, users, st.floats(0.1, 3.0))
def test_a_lead_at_either_end_is_so_many_standard_errors_off(one, two, limit):
    """At an end that is not cut off, the first arm's hits are off by the limit times the error that the users give."""
    (t, h), (u, g) = arm(one), arm(two)
    found = difference(sums_of(t, h), sums_of(u, g), limit)
    total, n = t.sum() + u.sum(), len(t) + len(u)
    for lead in (found.low, found.high):
        rate = (h.sum() + g.sum() - lead * t.sum()) / total  # of the other arm, if both make up the hits
        mine, theirs = h - (rate + lead) * t, g - rate * u
        error = math.sqrt((len(u) / n) ** 2 * (mine**2).sum() + (len(t) / n) ** 2 * (theirs**2).sum())
        if -1 < lead < 1:
            assert abs(mine.sum()) == pytest.approx(limit * error, abs=1e-6)
            assert mine.sum() == pytest.approx(-theirs.sum(), abs=1e-6)


def test_the_other_way_round_the_interval_is_mirrored():
    """One arm less the other has the ends of the other less the one, with the other sign."""
    one, other = sums_of([2, 1, 3, 9], [1, 0, 3, 2]), sums_of([4, 4, 1], [1, 3, 1])
    there, back = difference(one, other, 1.0), difference(other, one, 1.0)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_users_who_are_alike_within_themselves_make_it_wider_than_tests_would():
    """Of 40 users with 50 tests each, half always hit: over tests 0.022 wide to a side, over users 0.162."""
    sums = sums_of([50] * 40, [50] * 20 + [0] * 20)
    by_tests, by_users = wilson(1000, 2000), ratio_interval(sums)
    assert by_tests.high - by_tests.value == pytest.approx(1.96 * math.sqrt(0.25 / 2000), abs=1e-3)  # 0.0219
    # the 40 rates have a deviation of sqrt(40 / 39 * 0.25); Student's quantile for 39 degrees of freedom is 2.0227
    assert by_users.high - by_users.value == pytest.approx(2.0227 * math.sqrt(0.25 / 39), abs=1e-4)


def test_one_user_of_many_tests_makes_it_wide():
    """A hundred users of ten tests and one of a thousand are 3.96 effective users: 0.26 wide, over tests 0.04."""
    sums = sums_of([10] * 100 + [1000], [1, 2] * 50 + [300])
    assert effective_users(sums) == pytest.approx(2000**2 / (100 * 100 + 1000**2))
    by_tests, by_users = wilson(sums.hits, sums.tests), ratio_interval(sums)
    assert by_tests.high - by_tests.low == pytest.approx(2 * 1.96 * math.sqrt(0.225 * 0.775 / 2000), abs=1e-3)
    assert by_users.high - by_users.low > 0.25


def test_no_hit_is_no_certainty():
    """Twelve users of one test without a hit are as Wilson has it: 0 to z^2 / (12 + z^2) = 0.2425."""
    found = ratio_interval(sums_of([1] * 12, [0] * 12))
    assert (found.value, found.low) == (0.0, pytest.approx(0.0))
    assert found.high == pytest.approx(3.8415 / 15.8415, abs=1e-4)


@pytest.mark.parametrize("n", [2, 5, 30, 1000])
def test_students_limit_is_his_quantile_with_the_spread_about_the_supposed_mean(n):
    """A t statistic of q with n draws is sqrt(n / (n - 1 + q^2)) q where squares are taken about the supposed mean."""
    draws = np.random.default_rng(n).normal(size=n)
    about = draws.sum() / math.sqrt((draws**2).sum())
    q = draws.mean() / draws.std(ddof=1) * math.sqrt(n)
    assert about == pytest.approx(math.sqrt(n / (n - 1 + q * q)) * q)
    quantile = student.ppf(0.975, n - 1)
    assert student_limit(n) == pytest.approx(math.sqrt(n / (n - 1 + quantile**2)) * quantile)


def test_one_effective_user_has_the_limit_that_fewer_and_fewer_tend_to():
    """Just above one effective user the limit is next to 1, and at one it is 1."""
    assert student_limit(1.0) == 1.0
    assert student_limit(1.0 + 1e-9) == pytest.approx(1.0, abs=1e-6)


def test_the_limit_for_any_number_of_looks_by_hand():
    """With 100 effective users r is (5.9915 + 1.7903 + 1) / 100: the root of 1.1139 * log(9.7817 / 0.0025) is 3.036."""
    assert always_limit(100) == pytest.approx(3.036, abs=1e-3)
    assert all(always_limit(n) > 3.0 for n in (1, 3, 30, 1000, 100_000))


def test_one_user_leaves_everything_open():
    """One user says nothing about others: the interval of a rate is 0 to 1, that of a difference -1 to 1."""
    one, others = sums_of([5], [2]), sums_of([4, 4], [1, 3])
    assert (ratio_interval(one).low, ratio_interval(one).high) == (0.0, 1.0)
    assert (difference(others, one).low, difference(others, one).high) == (-1.0, 1.0)


def test_no_tests_are_refused():
    """A side without tests has neither a rate nor a difference."""
    nobody, somebody = UserSums(0, 0, 0, 0, 0, 0), sums_of([5], [2])
    with pytest.raises(ValueError, match="at least one test is required"):
        ratio_interval(nobody)
    with pytest.raises(ValueError, match="at least one test is required"):
        difference(somebody, nobody)
