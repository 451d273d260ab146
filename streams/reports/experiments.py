"""The experiment that runs, how both arms do, and whether they can be told from chance."""

from dataclasses import asdict, dataclass, field
from typing import Any

from redis import Redis

from model.experiment import Arm, Experiment
from model.metrics.intervals import effective_users, ratio_interval
from model.metrics.live import ArmTally
from streams.errors import StateAway, StateError
from streams.reports.comparison import ArmComparison, compare, tests_of_own_lists
from streams.state.experiments import find_experiment
from streams.state.quality import ExperimentUserCounts, LiveQuality, find_quality_and_users

__all__ = [
    "CountedArms",
    "arm_tallies",
    "compared_arms",
    "counted_arms",
    "described_arm",
    "described_experiment",
    "experiment_of",
]

_NO_SCOREKEEPER = "there are no figures, because no scorekeeper has written any (quality:live is absent)"
_UNREADABLE = "there are no figures, because what the scorekeeper has stored cannot be read"


@dataclass(frozen=True, slots=True)
class CountedArms:
    """What the scorekeeper has stored, of one moment; ``users`` are those of the experiment that ran last.

    Parameters
    ----------
    why_none : what is said where there are no figures.
    error : why what is stored could not be read; None where it could.
    """

    quality: LiveQuality | None = None
    users: ExperimentUserCounts = field(default_factory=dict)
    why_none: str = _NO_SCOREKEEPER
    error: StateError | None = None


def experiment_of(client: Redis) -> dict[str, Any]:
    """Return the experiment that runs with its figures and their comparison; ``{"experiment": None}`` without one."""
    return described_experiment(find_experiment(client), counted_arms(client))


def counted_arms(client: Redis) -> CountedArms:
    """Return what the scorekeeper wrote last, or why it cannot be read; raise StateAway where Redis is away."""
    try:
        return CountedArms(*find_quality_and_users(client))
    except StateAway:
        raise
    except StateError as error:
        return CountedArms(why_none=_UNREADABLE, error=error)


def described_experiment(experiment: Experiment | None, counted: CountedArms) -> dict[str, Any]:
    """Return an experiment as plain values."""
    if experiment is None:
        return {"experiment": None}
    arms = arm_tallies(experiment, counted)
    rows = [described_arm(arm, arms[arm.name]) for arm in experiment.arms if arm.name in arms]
    return {
        "experiment": asdict(experiment),
        "at_ms": None if counted.quality is None else counted.quality.at_ms,
        "arms": rows,
        "comparison": asdict(compared_arms(experiment, counted)),
    }


def compared_arms(experiment: Experiment, counted: CountedArms) -> ArmComparison:
    """Return what may be said of the two arms."""
    if counted.quality is None:
        return ArmComparison(counted.why_none)
    users = _users_of(experiment, counted.quality, counted.users)
    return compare(experiment, arm_tallies(experiment, counted), users)


def arm_tallies(experiment: Experiment, counted: CountedArms) -> dict[str, ArmTally]:
    """Return the figures of this experiment's arms, a first; an arm without tests is absent."""
    if counted.quality is None:
        return {}
    rows = [one for one in counted.quality.figures["arms"] if one["experiment"] == experiment.name]
    found = {one["arm"]: ArmTally.restored(one["total"]) for one in rows}
    return {arm.name: found[arm.name] for arm in experiment.arms if arm.name in found}


def described_arm(arm: Arm, tally: ArmTally) -> dict[str, Any]:
    """Return the figures of an arm with its 95 % interval, of which users are the unit."""
    sums = tally.sums()
    found = ratio_interval(sums)
    return {
        "arm": arm.name,
        **asdict(sums),
        "effective_users": effective_users(sums),
        "own_lists": tests_of_own_lists(arm, tally),
        "left_out": tally.left_out,
        "hit_rate": found.value,
        "low": found.low,
        "high": found.high,
    }


def _users_of(
    experiment: Experiment, quality: LiveQuality, users: ExperimentUserCounts
) -> dict[str, list[tuple[int, int]]]:
    """Return tests and hits of each user by arm; of nobody where the stored users are another experiment's."""
    running = quality.figures["running"]
    if running is None or running["experiment"] != experiment.name:
        return {}
    return {arm.name: [counts for (side, _), counts in users.items() if side == arm.name] for arm in experiment.arms}
