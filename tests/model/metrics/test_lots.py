"""The lot drawn anew: beside all lots there are, and over experiments between equal arms whatever users are like."""

from itertools import product
from math import sqrt

import numpy as np
import pytest

from model.metrics.intervals import Z95, UserSums, difference
from model.metrics.lots import limit_by_lot

A = [(3, 1), (12, 2), (1, 1), (40, 4), (7, 0), (2, 1)]
B = [(5, 3), (9, 4), (30, 12), (4, 0)]


def test_the_limit_is_that_of_all_lots():
    """Of ten users there are 1,024 lots with six in ten chances each; 20,000 draws come to their 95th percentile."""
    users = np.array([*B, *A])
    rate = users[:, 1].sum() / users[:, 0].sum()
    residuals = users[:, 1] - rate * users[:, 0]
    share = len(B) / len(users)
    lots = []
    for lot in product([0, 1], repeat=len(users)):
        drawn = np.array(lot, dtype=bool)
        error = (1 - share) ** 2 * (residuals[drawn] ** 2).sum() + share**2 * (residuals[~drawn] ** 2).sum()
        lots.append((abs(residuals[drawn].sum()) / sqrt(error), share ** drawn.sum() * (1 - share) ** (~drawn).sum()))
    lots.sort()
    beyond = 1.0 - np.cumsum([chance for _, chance in lots])
    low, high = (lots[int(np.argmax(beyond <= at))][0] for at in (0.055, 0.045))
    assert low <= limit_by_lot(B, A, draws=19_999) <= high


def test_one_set_of_users_has_one_limit():
    """Nothing but the users decides; in another order it is the same up to the draws' own chance."""
    assert limit_by_lot(B, A) == limit_by_lot(B, A)
    assert limit_by_lot(B[::-1], A[::-1]) == pytest.approx(limit_by_lot(B, A), rel=0.1)


def test_users_who_do_not_differ_leave_the_normal_limit():
    """Where everybody hits at the same rate no lot makes a difference."""
    assert limit_by_lot([(2, 1)] * 5, [(4, 2)] * 5) == Z95


@pytest.mark.parametrize(("first", "other"), [([], A), (B, []), ([(0, 0)], [(0, 0)])])
def test_users_with_tests_are_required(first, other):
    """An empty arm, or no test at all, is refused."""
    with pytest.raises(ValueError, match="users with tests in both arms are required"):
        limit_by_lot(first, other)


def equal_arms(generator, n, m, bots):
    """Return two arms of users alike: lognormal activity, a rate for each, and bots with 3,000 tests without a hit."""
    tests = np.maximum(1, np.rint(generator.lognormal(2.3, 1.5, n + m))).astype(int)
    tests = np.where(generator.random(n + m) < bots, 3000, tests)
    hits = generator.binomial(tests, np.where(tests == 3000, 0.0, generator.beta(0.9, 5.1, n + m)))
    users = list(zip(tests.tolist(), hits.tolist(), strict=True))
    return users[:n], users[n:]


@pytest.mark.parametrize(("n", "m", "bots"), [(12, 12, 0.0), (30, 30, 0.0), (300, 30, 0.0), (60, 60, 0.03)])
def test_equal_arms_are_told_apart_five_times_in_a_hundred(n, m, bots):
    """Of 1,000 experiments 50 are expected, within four deviations of 6.9, however few the users and heavy the bots."""
    generator, off = np.random.default_rng(5), 0
    for _ in range(1000):
        a, b = equal_arms(generator, n, m, bots)
        found = difference(UserSums.of(b), UserSums.of(a), limit_by_lot(b, a, draws=199))
        off += not found.low <= 0 <= found.high
    assert 50 - 4 * 6.9 <= off <= 50 + 4 * 6.9
