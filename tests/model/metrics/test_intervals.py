"""Intervals beside independent references: scipy's Wilson interval, and sums over users written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from model.metrics.intervals import UserSums, difference, ratio_interval, wilson


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


def test_a_ratio_by_hand():
    """Users with 1 of 2, 0 of 1 and 3 of 3 tests hit make a rate of 4/6 with a variance of 7/108."""
    # Residuals h - R t are 1 - 4/3 = -1/3, 0 - 2/3 = -2/3 and 3 - 2 = 1: squares 1/9 + 4/9 + 1 = 14/9.
    # Times n / (n - 1) = 3/2 and over T^2 = 36 that is 7/108.
    sums = sums_of([2, 1, 3], [1, 0, 3])
    assert sums.rate == pytest.approx(4 / 6)
    assert sums.variance == pytest.approx(7 / 108)
    found = ratio_interval(sums, z=1.0)
    half = math.sqrt(7 / 108)
    assert (found.low, found.value, found.high) == pytest.approx((4 / 6 - half, 4 / 6, 4 / 6 + half))


users = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), min_size=2, max_size=40)


@given(users)
def test_the_variance_is_that_of_the_residuals_over_users(drawn):
    """However users differ, the sums give what a pass over the users gives: var(h - R t) * n / T^2."""
    t = np.array([tests for tests, _ in drawn])
    h = np.array([round(share * tests) for tests, share in drawn])
    residuals = h - h.sum() / t.sum() * t  # their mean is 0
    expected = residuals.var(ddof=1) * len(t) / t.sum() ** 2
    assert sums_of(t, h).variance == pytest.approx(expected, abs=1e-12)


def test_users_who_are_alike_within_themselves_make_it_wider_than_tests_would():
    """Of 40 users with 50 tests each, half always hit: over tests 0.02 wide to a side, over users 0.16."""
    sums = sums_of([50] * 40, [50] * 20 + [0] * 20)
    by_tests, by_users = wilson(1000, 2000), ratio_interval(sums)
    assert by_tests.high - by_tests.value == pytest.approx(1.96 * math.sqrt(0.25 / 2000), abs=1e-3)  # 0.0219
    # residuals are +-25: variance = 40/39 * 40 * 625 / 2000^2, its root 0.0801
    assert by_users.high - by_users.value == pytest.approx(1.96 * math.sqrt(40 / 39 * 40 * 625 / 2000**2), abs=1e-4)


def test_a_difference_adds_both_variances():
    """The first rate less the other, with the root of the sum of their variances to either side."""
    one, other = sums_of([2, 1, 3], [1, 0, 3]), sums_of([4, 4], [1, 3])
    found = difference(one, other, z=1.0)
    half = math.sqrt(one.variance + other.variance)
    assert (found.value, found.high - found.value) == pytest.approx((4 / 6 - 0.5, half))


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
