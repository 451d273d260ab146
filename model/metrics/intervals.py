"""How far a hit rate may be from what is measured, with the right unit of chance.

Tests of one version are taken as so many draws (``wilson``). Where users, not events, are put into one arm of an
experiment by lot, all tests of a user are one draw: the rate is a ratio of two means over users, and its variance is
that of a ratio (``ratio_interval``, ``difference``). Ratios are no binomials: an interval over events would be too
narrow wherever a user's tests are alike.

References
----------
.. [1] Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
.. [2] Deng, Knoblich and Lu, "Applying the delta method in metric analytics: a practical guide with novel ideas",
   KDD 2018, section 3.1 (a ratio whose randomisation unit is coarser than its analysis unit).
"""

from dataclasses import dataclass
from math import sqrt

__all__ = ["Z95", "Interval", "UserSums", "difference", "ratio_interval", "wilson"]

Z95 = 1.959963984540054  # a normal variable lies within it with probability 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UserSums:
    """What the variance of a hit rate over users needs; t are the tests of a user, h those that hit.

    Parameters
    ----------
    users : how many users.
    tests, hits : sums of t and of h over users.
    tests_squared, hits_squared, products : sums of t * t, of h * h and of t * h.
    """

    users: int
    tests: int
    hits: int
    tests_squared: int
    hits_squared: int
    products: int

    @property
    def rate(self) -> float:
        """Hits by tests."""
        return self.hits / self.tests

    @property
    def variance(self) -> float:
        """Variance of the rate by the delta method [2]_, infinite for fewer than two users.

        With R the rate, T the sum of t and n users it is ``n / (n - 1) * sum((h - R t)^2) / T^2``.
        """
        if self.users < 2:  # noqa: PLR2004 - one user says nothing about others
            return float("inf")
        rate = self.rate
        squares = self.hits_squared - 2.0 * rate * self.products + rate * rate * self.tests_squared
        return self.users / (self.users - 1) * max(0.0, squares) / (self.tests * self.tests)


def wilson(hits: int, tests: int, z: float = Z95) -> Interval:
    """Return the share of hits with Wilson's score interval [1]_, which stays within 0 and 1.

    Parameters
    ----------
    hits, tests : how many of how many.
    z : half-width in standard errors.

    Raises
    ------
    ValueError
        If there are no tests, or more hits than tests.
    """
    if not 0 <= hits <= tests or tests == 0:
        raise ValueError(f"wilson: hits out of at least one test are required, got {hits!r} of {tests!r}")
    share = hits / tests
    shrink = 1.0 + z * z / tests
    centre = (share + z * z / (2.0 * tests)) / shrink
    half = z / shrink * sqrt(share * (1.0 - share) / tests + z * z / (4.0 * tests * tests))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def ratio_interval(sums: UserSums, z: float = Z95) -> Interval:
    """Return a hit rate with its interval over users, cut off at 0 and 1; one user alone leaves all of that open.

    Raises
    ------
    ValueError
        If there are no tests.
    """
    _require_tests("ratio_interval", sums)
    half = z * sqrt(sums.variance)
    return Interval(sums.rate, max(0.0, sums.rate - half), min(1.0, sums.rate + half))


def difference(sums: UserSums, other: UserSums, z: float = Z95) -> Interval:
    """Return by how much the first rate is above the other, cut off at -1 and 1; no user may be in both.

    Raises
    ------
    ValueError
        If either has no tests.
    """
    _require_tests("difference", sums)
    _require_tests("difference", other)
    lead = sums.rate - other.rate
    half = z * sqrt(sums.variance + other.variance)
    return Interval(lead, max(-1.0, lead - half), min(1.0, lead + half))


def _require_tests(where: str, sums: UserSums) -> None:
    if sums.tests < 1:
        raise ValueError(f"{where}: at least one test is required, got {sums!r}")
