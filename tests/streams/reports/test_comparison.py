"""What is said about two arms: when nothing, when too little is known, and how sure a difference is."""

import pytest

from model.experiment import Arm, Experiment
from model.metrics.intervals import UserSums
from model.metrics.live import ArmTally, Tally
from streams.reports.comparison import compare

EXPLORING = Experiment("x", 0.5, Arm("a"), Arm("b", explore=1), 0)
PINNED = Experiment("x", 0.5, Arm("a"), Arm("b", version="v2"), 0)
NEVER_PERSONAL = Experiment("x", 0.5, Arm("a"), Arm("b", personalize_at=1000), 0)


def users(n, hits, tests=1):
    """Return users of so many tests each, the first of whom hit with all of them."""
    return [(tests, tests * (user < hits)) for user in range(n)]


def tally(counts, **versions):
    """Return the figures of an arm whose lists these versions made; v1 all of them unless told."""
    sums = UserSums.of(counts)
    versions = versions or {"v1": sums.tests}
    return ArmTally(
        Tally(tests=sums.tests, hits=sums.hits),
        sums.users,
        sums.tests_squared,
        sums.hits_squared,
        sums.products,
        versioned=sum(versions.values()),
        versions={version: n for version, n in versions.items() if n},
    )


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (users(1000, 100), users(1000, 200), "arm b is better, however often one looks"),  # 0.1 > 3.4 * 0.0156
        (users(1000, 200), users(1000, 100), "arm a is better, however often one looks"),
        (users(1000, 100), users(1000, 135), "arm b is better, if this is the one look"),  # 1.96 < 0.035 / 0.0144 < 3.4
        (users(1000, 100), users(1000, 120), "not distinguishable"),  # 0.02 < 1.96 * 0.0140
        (users(12, 1), users(12, 4), "not distinguishable"),
        (users(12, 0), users(12, 12), "arm b is better, however often one looks"),
        (users(2, 1), users(1000, 100), "too few users to tell: at least 3 effective users in each arm are required"),
        ([*users(100, 10), (5000, 0)], users(100, 10), "too few users to tell"),  # 5100^2 / (100 + 5000^2) = 1.04
        (users(100, 0), users(100, 0), "nothing is judged: no tested list of either arm has hit yet"),
    ],
)
@pytest.mark.parametrize("is_by_lot", [True, False])
def test_what_is_said_follows_from_users_and_hits(a, b, verdict, is_by_lot):
    """From every user and from their sums alike: who is better and how sure, no difference, or too few users."""
    found = compare(EXPLORING, {"a": tally(a), "b": tally(b)}, {"a": a, "b": b} if is_by_lot else None)
    assert found.verdict.startswith(verdict)
    assert found.is_by_lot == (is_by_lot and found.low is not None)


def test_an_arm_whose_version_made_none_of_its_lists_is_not_judged():
    """Refused by the workers, v2 served nobody: v1 made the lists of arm b, which hit twice as often."""
    arms = {"a": tally(users(1000, 100)), "b": tally(users(1000, 200), v1=1000)}
    found = compare(PINNED, arms)
    assert found.verdict.startswith("arm b is not judged: its version v2 made none of its tested lists, v1 did")
    assert (found.difference, found.low, found.always_low) == (pytest.approx(0.1), None, None)
    assert compare(PINNED, arms | {"b": tally(users(1000, 200), v1=999, v2=1)}).low is not None


@pytest.mark.parametrize("experiment", [EXPLORING, PINNED])
def test_lists_that_no_version_made_are_not_judged(experiment):
    """Where nothing served, arm b's lists came from trending, however often they hit."""
    arms = {"a": tally(users(1000, 100)), "b": tally(users(1000, 200), v1=0)}
    expected = "arm b is not judged: no model version made any of its tested lists"
    assert compare(experiment, arms).verdict == expected


def test_an_arm_that_is_to_stay_cold_is_judged():
    """An arm with a threshold that nobody reaches has lists without a version; against one with them it is compared."""
    cold = tally(users(1000, 200), v1=0)
    assert compare(NEVER_PERSONAL, {"a": tally(users(1000, 100)), "b": cold}).verdict.startswith("arm b is better")
    found = compare(NEVER_PERSONAL, {"a": tally(users(1000, 100), v1=0), "b": cold})
    assert found.verdict.startswith("arm a is not judged")
    both = Experiment("x", 0.5, Arm("a", personalize_at=9), Arm("b", personalize_at=1000), 0)
    assert compare(both, {"a": cold, "b": cold}).verdict.startswith("nothing is judged: no model version made any")


@pytest.mark.parametrize("known", [{}, {"a": [(1, 1)], "b": [(1, 0)]}])
def test_users_who_do_not_make_up_the_figures_are_not_drawn(known):
    """Of another moment or of nobody, users say nothing about these sums, which are taken alone."""
    arms = {"a": tally(users(1000, 100)), "b": tally(users(1000, 200))}
    assert compare(EXPLORING, arms, known) == compare(EXPLORING, arms)
