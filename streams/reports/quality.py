"""How often the published lists are right, with intervals: from what the scorekeeper has counted."""

from dataclasses import asdict
from itertools import combinations
from typing import Any

from redis import Redis

from model.metrics.intervals import Interval, difference, effective_users, ratio_interval, wilson
from model.metrics.live import ArmTally
from streams.redis.heartbeat import find_alive
from streams.reports.comparison import MIN_EFFECTIVE_USERS
from streams.state.quality import LiveQuality, find_quality

__all__ = ["arm_differences", "described_quality", "interval_of_arm", "interval_of_version", "quality_of"]


def quality_of(client: Redis) -> dict[str, Any]:
    """Return what a scorekeeper has stored, with intervals, and whether one is alive."""
    return described_quality(find_quality(client), is_alive=bool(find_alive(client, "scorekeeper")))


def described_quality(stored: LiveQuality | None, *, is_alive: bool) -> dict[str, Any]:
    """Return the figures as plain values, with the intervals of versions and arms and the arms' differences."""
    if stored is None:
        return {"scorekeeper": is_alive, "at_ms": None, "figures": None}
    figures = stored.figures
    versions = [one | {"interval": asdict(interval_of_version(one["total"]))} for one in figures["versions"]]
    arms = [one | {"interval": asdict(interval_of_arm(one["total"]))} for one in figures["arms"]]
    return {
        "scorekeeper": is_alive,
        "at_ms": stored.at_ms,
        "figures": {**figures, "versions": versions, "arms": arms, "differences": arm_differences(figures["arms"])},
    }


def interval_of_version(total: dict[str, Any]) -> Interval:
    """Return the hit rate of a version in one mode; each test counts as a draw of its own."""
    return wilson(total["hits"], total["tests"])


def interval_of_arm(total: dict[str, Any]) -> Interval:
    """Return the hit rate of one side of an experiment; each user counts as a draw."""
    return ratio_interval(ArmTally.restored(total).sums())


def arm_differences(arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each two arms of one experiment, by how much the later one hits more often, as ``ab status`` does.

    With too few users to tell there is no interval.
    """
    ordered = sorted(arms, key=lambda one: (one["experiment"], one["arm"]), reverse=True)
    found = []
    for one, other in combinations(ordered, 2):
        if one["experiment"] != other["experiment"]:
            continue
        mine, theirs = (ArmTally.restored(tally["total"]).sums() for tally in (one, other))
        lead = asdict(difference(mine, theirs))
        if min(effective_users(mine), effective_users(theirs)) < MIN_EFFECTIVE_USERS:
            lead |= {"low": None, "high": None}
        found.append({"experiment": one["experiment"], "arm": one["arm"], "other": other["arm"]} | lead)
    return found
