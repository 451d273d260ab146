"""How far a hit rate may be from what is measured, with the right unit of chance.

Tests of one version are taken as so many draws (``wilson``). Where users, not events, are put into one arm of an
experiment by lot, all tests of a user are one draw: the rate is a ratio of two means over users (``ratio_interval``,
``difference``). Ratios are no binomials: an interval over events would be too narrow wherever a user's tests are alike.

Few users make most of the tests. A rate then rests on fewer users than there are, T^2 / sum(t^2) of them if t are the
tests of a user and T their sum: the effective users. They are what Student's t is told here, and the residuals are
those about the rates that are tested, not those that fit best: a user who makes half of an arm pulls the best fit
along, and seems to differ little from it. ``model.metrics.lots`` is exact where every user is known.

References
----------
.. [1] Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
.. [2] Deng, Knoblich and Lu, "Applying the delta method in metric analytics: a practical guide with novel ideas",
   KDD 2018, section 3.1 (a ratio whose randomisation unit is coarser than its analysis unit).
.. [3] Kish, "Survey sampling", 1965, section 11.7 (the size of an even sample that says as much as an uneven one).
.. [4] Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
   sequences", Annals of Statistics 2024.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, log, sqrt

__all__ = [
    "MISSED",
    "Z95",
    "Interval",
    "UserSums",
    "always_limit",
    "difference",
    "effective_users",
    "ratio_interval",
    "student_limit",
    "wilson",
]

Z95 = 1.959963984540054  # a normal variable lies within it with probability 0.95
MISSED = 0.05  # share of intervals that may miss what they are about
_NARROWEST_AT = 100  # effective users of both sides at which the interval for any number of looks is narrowest


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UserSums:
    """What the uncertainty of a hit rate over users needs; t are the tests of a user, h those that hit.

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

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> "UserSums":
        """Return the sums of users of whom tests and hits are given."""
        each = tuple(counts)
        return cls(
            len(each),
            sum(tests for tests, _ in each),
            sum(hits for _, hits in each),
            sum(tests * tests for tests, _ in each),
            sum(hits * hits for _, hits in each),
            sum(tests * hits for tests, hits in each),
        )

    @property
    def rate(self) -> float:
        """Hits by tests."""
        return self.hits / self.tests

    @property
    def squares(self) -> float:
        """Sum of (h - R t)^2, with R the rate; 0 only where all users have that rate, as whole numbers are summed."""
        tests, hits = self.tests, self.hits
        whole = tests * tests * self.hits_squared - 2 * tests * hits * self.products + hits * hits * self.tests_squared
        return whole / (tests * tests)

    @property
    def lean(self) -> float:
        """Sum of (h - R t) t: above 0 where users with more tests hit more often."""
        return (self.tests * self.products - self.hits * self.tests_squared) / self.tests


def effective_users(*sides: UserSums) -> float:
    """Return how many users of equally many tests would say as much [3]_, T^2 / sum(t^2); at most the users."""
    return sum(one.tests for one in sides) ** 2 / sum(one.tests_squared for one in sides)


def student_limit(effective: float) -> float:
    """Return how many standard errors about a supposed rate a measured one lies within, with probability 0.95.

    With t the quantile of Student's distribution for m effective users, m - 1 degrees of freedom, it is the root of
    ``m t^2 / (m - 1 + t^2)``. For equally many tests of each user that makes Student's interval.
    """
    if effective <= 1.0:
        return 1.0  # to which it tends
    from scipy.special import stdtrit  # noqa: PLC0415 - a worker, which makes no intervals, does without

    t = float(stdtrit(effective - 1.0, 1.0 - MISSED / 2.0))
    return sqrt(effective / ((effective - 1.0) / (t * t) + 1.0))


def always_limit(effective: float) -> float:
    """Return within how many standard errors it lies at all times, with probability 0.95, however often one looks.

    The boundary of an asymptotic confidence sequence [4]_: with n effective users and a constant r it is the root of
    ``(1 + 1 / (n r)) log((n r + 1) / 0.05^2)``.
    """
    r = (-2.0 * log(MISSED) + log(-2.0 * log(MISSED)) + 1.0) / _NARROWEST_AT
    return sqrt((1.0 + 1.0 / (effective * r)) * log((effective * r + 1.0) / (MISSED * MISSED)))


def wilson(hits: float, tests: float, z: float = Z95) -> Interval:
    """Return the share of hits with Wilson's score interval [1]_, which stays within 0 and 1.

    Parameters
    ----------
    hits, tests : how many of how many; effective numbers need not be whole.
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


def ratio_interval(sums: UserSums) -> Interval:
    """Return a hit rate with its 95 % interval over users, within 0 and 1; one user alone leaves all of that open.

    It holds the rates R of which ``(H / T - R)^2`` is at most ``limit^2 sum((h - R t)^2) / T^2`` with Student's limit.
    Without any spread between users, as where nothing hit, it is Wilson's over the effective users.

    Raises
    ------
    ValueError
        If there are no tests.
    """
    _require_tests("ratio_interval", sums)
    rate, effective = sums.rate, effective_users(sums)
    if sums.users < 2:  # noqa: PLR2004 - one user says nothing about others
        return Interval(rate, 0.0, 1.0)
    if sums.squares == 0.0:
        return wilson(rate * effective, effective)
    scale = (student_limit(effective) / sums.tests) ** 2
    low, high = _within(scale * sums.squares, scale * sums.lean, scale * sums.tests_squared)
    return Interval(rate, max(0.0, rate - high), min(1.0, rate - low))


def difference(sums: UserSums, other: UserSums, limit: float | None = None) -> Interval:
    """Return by how much the first rate is above the other, with its 95 % interval; no user may be in both.

    It holds the leads d of which the first arm's hits are no further from what the lead makes expected than ``limit``
    standard errors. With e = h - R t the residuals about the two rates R that differ by d and make up the hits of both,
    the hits of the first arm are off by U = sum(e) over its users. U varies by the lot with

        V = (share of users in the other)^2 * sum(e^2) of the first + (share in the first)^2 * sum(e^2) of the other.

    One user on either side leaves all from -1 to 1 open.

    Parameters
    ----------
    sums, other : the two arms.
    limit : standard errors; Student's by default, of the arm with fewer effective users.

    Raises
    ------
    ValueError
        If either has no tests.
    """
    _require_tests("difference", sums)
    _require_tests("difference", other)
    lead = sums.rate - other.rate
    if min(sums.users, other.users) < 2:  # noqa: PLR2004 - one user says nothing about others
        return Interval(lead, -1.0, 1.0)
    if limit is None:
        limit = student_limit(min(effective_users(sums), effective_users(other)))
    users, tests = sums.users + other.users, sums.tests + other.tests
    mine, theirs = (other.users / users) ** 2, (sums.users / users) ** 2  # weights of the squares in V
    to, fro = other.tests / tests, -sums.tests / tests  # by how much the rates move with d
    scale = (limit * tests / (sums.tests * other.tests)) ** 2
    low, high = _within(
        scale * (mine * sums.squares + theirs * other.squares),
        scale * (mine * to * sums.lean + theirs * fro * other.lean),
        scale * (mine * to * to * sums.tests_squared + theirs * fro * fro * other.tests_squared),
    )
    return Interval(lead, max(-1.0, lead - high), min(1.0, lead - low))


def _within(constant: float, linear: float, square: float) -> tuple[float, float]:
    """Return the ends of all x with ``x^2 <= constant + 2 linear x + square x^2``, without end where they have none."""
    if square >= 1.0:
        return -inf, inf
    root = sqrt(linear * linear + (1.0 - square) * constant)
    far = abs(linear) + root  # the nearer end comes from it, as a difference of the two would lose its digits
    if far == 0.0:
        return 0.0, 0.0
    ends = (far / (1.0 - square), -constant / far)
    return (min(ends), max(ends)) if linear >= 0 else (-max(ends), -min(ends))


def _require_tests(where: str, sums: UserSums) -> None:
    if sums.tests < 1:
        raise ValueError(f"{where}: at least one test is required, got {sums!r}")
