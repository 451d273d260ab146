"""What may be said about two arms of an experiment from what the scorekeeper has counted of them.

A verdict needs lists that the arms are about, users enough, and a difference that the lot alone seldom makes. How
seldom is said with it, for one look and for any number of looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.experiment import Arm, Experiment
from model.metrics.intervals import UserSums, always_limit, difference, effective_users, student_limit
from model.metrics.live import ArmTally
from model.metrics.lots import limit_by_lot

__all__ = ["MIN_EFFECTIVE_USERS", "ArmComparison", "compare", "tests_of_own_lists"]

MIN_EFFECTIVE_USERS = 3  # on each side; below, one or two users are most of an arm
_ONE_LOOK = (
    "if this is the one look that was planned: equal arms come to this in 5 of 100 experiments, and in about "
    "16 of 100 where one looks every day for four weeks"
)
_ANY_LOOKS = "however often one looks: the interval that allows for that is off 0 as well"


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """The hit rate of arm b minus that of arm a, and what may be said about it.

    Parameters
    ----------
    verdict : in words.
    difference : None where either arm has no tests.
    low, high : its 95 % interval for one look that was planned beforehand; None where nothing is judged.
    always_low, always_high : the interval that holds for any number of looks.
    is_by_lot : whether the first interval comes from redrawing the lot of every user; else from sums over users.
    """

    verdict: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    always_low: float | None = None
    always_high: float | None = None
    is_by_lot: bool = False


def compare(
    experiment: Experiment,
    tallies: Mapping[str, ArmTally],
    users: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> ArmComparison:
    """Compare the figures of two arms.

    Parameters
    ----------
    experiment : what the arms are.
    tallies : by arm; one without tests is absent.
    users : by arm, tests and hits of each user; sums over users are taken where these do not make them up.
    """
    if not tallies:
        return ArmComparison("no list of this experiment has been tested yet")
    if len(tallies) == 1:
        return ArmComparison(f"only lists of arm {next(iter(tallies))} have been tested yet")
    a, b = tallies["a"].sums(), tallies["b"].sums()
    lead = b.rate - a.rate
    why_not = _why_not(experiment, tallies)
    if why_not is not None:
        return ArmComparison(why_not, lead)
    effective = min(effective_users(a), effective_users(b))
    of_a, of_b = ((users or {}).get(arm, ()) for arm in ("a", "b"))
    is_by_lot = (UserSums.of(of_a), UserSums.of(of_b)) == (a, b)
    limit = limit_by_lot(of_b, of_a) if is_by_lot else student_limit(effective)
    once = difference(b, a, limit)
    always = difference(b, a, max(limit, always_limit(effective_users(a, b))))
    better = "b" if lead > 0 else "a"
    if once.low <= 0 <= once.high:
        verdict = "not distinguishable from chance: the 95 % interval of the difference holds 0"
    elif always.low <= 0 <= always.high:
        verdict = f"arm {better} is better, {_ONE_LOOK}"
    else:
        verdict = f"arm {better} is better, {_ANY_LOOKS}"
    return ArmComparison(verdict, lead, once.low, once.high, always.low, always.high, is_by_lot)


def tests_of_own_lists(arm: Arm, tally: ArmTally) -> int:
    """Return the tests of lists that the version of an arm made; of any version where the arm names none."""
    return tally.versioned if arm.version is None else tally.versions.get(arm.version, 0)


def _why_not(experiment: Experiment, tallies: Mapping[str, ArmTally]) -> str | None:
    """Return why nothing can be said about these arms, if so."""
    for arm in experiment.arms:
        tally = tallies[arm.name]
        may_be_cold = arm.version is None and arm.personalize_at is not None  # cold start may be what it is about
        if tests_of_own_lists(arm, tally) == 0 and not may_be_cold:
            return _not_served(arm, tally)
    if not any(tally.versioned for tally in tallies.values()):
        return "nothing is judged: no model version made any of the tested lists"
    if not any(tally.tally.hits for tally in tallies.values()):
        return "nothing is judged: no tested list of either arm has hit yet"
    fewest = min(tallies, key=lambda arm: effective_users(tallies[arm].sums()))
    sums = tallies[fewest].sums()
    if effective_users(sums) >= MIN_EFFECTIVE_USERS:
        return None
    return (
        f"too few users to tell: at least {MIN_EFFECTIVE_USERS} effective users in each arm are required, got "
        f"{effective_users(sums):.1f} in arm {fewest}, whose {sums.tests:,} tests are mostly those of a few of its "
        f"{sums.users:,} users"
    )


def _not_served(arm: Arm, tally: ArmTally) -> str:
    if tally.versioned == 0:
        return f"arm {arm.name} is not judged: no model version made any of its tested lists"
    made = ", ".join(list(tally.versions)[-3:])
    return (
        f"arm {arm.name} is not judged: its version {arm.version} made none of its tested lists, {made} did; where "
        "workers cannot load a version, their log says `experiment.refused` and why"
    )
