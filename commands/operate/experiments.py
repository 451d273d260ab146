"""``reelstream ab``: start, look at and stop an experiment, in which each user is served by one of two arms.

Workers follow by themselves. Figures are what the scorekeeper writes (``quality:live``); nothing is measured here.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.parts.options import address_options, given_settings
from commands.parts.tables import table

if TYPE_CHECKING:
    from redis import Redis

    from model.experiment import Arm, ArmName, Experiment
    from model.metrics.intervals import UserSums
    from streams.settings import Settings
    from streams.state.quality import LiveQuality

__all__ = ["ArmComparison", "ab", "compare"]

MIN_USERS = 30  # on each side; below, the normal distribution says little about a ratio of sums
_NO_SCOREKEEPER = "there are no figures, because no scorekeeper has written any (quality:live is absent)"

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def ab() -> None:
    """Compare two ways to serve, each for a share of the users."""


@ab.command()
@click.argument("name")
@click.option("--a", "a_version", metavar="VERSION", help="Version for side a. [whatever serves]")
@click.option("--b", "b_version", metavar="VERSION", help="Version for side b. [whatever serves]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the users on side b.",
)
@click.option("--a-personalize-at", type=click.IntRange(min=1), help="Threshold of side a. [the worker's]")
@click.option("--b-personalize-at", type=click.IntRange(min=1), help="Threshold of side b. [the worker's]")
@click.option("--a-explore", type=click.IntRange(0, 10), help="Places left to chance on side a. [the worker's]")
@click.option("--b-explore", type=click.IntRange(0, 10), help="Places left to chance on side b. [the worker's]")
@click.option("--replace", "is_replacing", is_flag=True, help="End the one that runs, if any.")
@address_options
@_json_option
def start(name: str, *, share: float, is_replacing: bool, as_json: bool, **given: Any) -> None:
    """Start experiment NAME; a hash of the name and the user's id decides who is on which side.

    Versions that are named are loaded first, so an unknown or torn one is refused before anything changes.
    """
    from model.experiment import Experiment
    from streams.registry.registry import Registry
    from streams.state.experiments import store_experiment

    settings = given_settings(given)
    now_ms = time.time_ns() // 1_000_000
    try:
        experiment = Experiment(name, share, _arm("a", given), _arm("b", given), now_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _require_new_name(settings, name)
    for version in sorted(experiment.versions):
        Registry(settings.registry).load(version)
    with _redis(settings) as client:
        store_experiment(client, experiment, is_replacing=is_replacing)
    if as_json:
        click.echo(orjson.dumps(asdict(experiment)).decode())
        return
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, {}), nl=False)
    click.echo("workers follow by themselves; `reelstream ab status` compares")


@ab.command()
@address_options
@_json_option
def status(*, as_json: bool, **given: Any) -> None:
    """Show the experiment that runs, how both arms do, and whether they can be told from chance."""
    from streams.state.experiments import find_experiment

    with _redis(given_settings(given)) as client:
        experiment = find_experiment(client)
        quality = _quality(client)
    _show(experiment, quality, as_json=as_json)


@ab.command()
@address_options
@_json_option
def stop(*, as_json: bool, **given: Any) -> None:
    """End the experiment that runs, and show its last figures; users are served as before."""
    from streams.state.experiments import remove_experiment

    with _redis(given_settings(given)) as client:
        experiment = remove_experiment(client)
        quality = _quality(client)
    _show(experiment, quality, as_json=as_json)
    if not as_json:
        click.echo("the experiment is over; workers follow by themselves")


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """The hit rate of arm b minus that of arm a, its 95 % interval, and what may be said about it."""

    difference: float | None
    low: float | None
    high: float | None
    verdict: str


def compare(arms: "Mapping[str, UserSums]") -> ArmComparison:
    """Compare the figures of two arms.

    Parameters
    ----------
    arms : by side; one without tests is absent.
    """
    from model.metrics.intervals import difference

    if not arms:
        return ArmComparison(None, None, None, "no list of this experiment has been tested yet")
    if len(arms) == 1:
        return ArmComparison(None, None, None, f"only lists of arm {next(iter(arms))} have been tested yet")
    lead = difference(arms["b"], arms["a"])
    fewest = min(sums.users for sums in arms.values())
    if fewest < MIN_USERS:
        too_few = f"too few users to tell: {fewest} on one side, at least {MIN_USERS} on each are required"
        return ArmComparison(lead.value, None, None, too_few)
    if lead.low <= 0 <= lead.high:
        verdict = "not distinguishable from chance: the 95 % interval of the difference holds 0"
    else:
        better = "b" if lead.value > 0 else "a"
        verdict = f"arm {better} is better: chance alone would hardly make this difference (its 95 % interval is off 0)"
    return ArmComparison(lead.value, lead.low, lead.high, verdict)


def _arm(side: "ArmName", given: Mapping[str, Any]) -> "Arm":
    from model.experiment import Arm

    return Arm(side, given[f"{side}_version"], given[f"{side}_personalize_at"], given[f"{side}_explore"])


def _require_new_name(settings: "Settings", name: str) -> None:
    """Refuse a name that has figures: those of two experiments must not be added up."""
    with _redis(settings) as client:
        quality = _quality(client)
    if quality is not None and any(one["experiment"] == name for one in quality.figures["arms"]):
        raise click.UsageError(f"NAME must be one without figures, got {name!r}, of which there are some; take another")


def _quality(client: "Redis") -> "LiveQuality | None":
    """Return what the scorekeeper wrote last, or None, with a warning, where that is nothing that can be read."""
    from streams.errors import StateAway, StateError
    from streams.redis.connection import answered
    from streams.state.quality import find_quality

    try:
        with answered("ab: reading the figures"):
            return find_quality(client)
    except StateAway:
        raise
    except StateError as error:
        click.echo(f"reelstream: {error}", err=True)
        return None


def _redis(settings: "Settings") -> "Redis":
    from streams.redis.connection import connect_to_read

    return connect_to_read(settings.redis)


def _show(experiment: "Experiment | None", quality: "LiveQuality | None", *, as_json: bool) -> None:
    if experiment is None:
        click.echo(orjson.dumps({"experiment": None}).decode() if as_json else "no experiment runs")
        return
    arms = _figures(experiment, quality)
    found = compare(arms) if quality is not None else ArmComparison(None, None, None, _NO_SCOREKEEPER)
    if as_json:
        at_ms = None if quality is None else quality.at_ms
        rows = [{"arm": arm, **asdict(sums), **_interval(sums)} for arm, sums in arms.items()]
        described = {"experiment": asdict(experiment), "at_ms": at_ms, "arms": rows}
        click.echo(orjson.dumps(described | {"comparison": asdict(found)}).decode())
        return
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, arms), nl=False)
    if found.difference is not None:
        interval = "" if found.low is None else f" ({found.low:+.4f} to {found.high:+.4f})"
        click.echo(f"difference b - a: {found.difference:+.4f}{interval}")
    click.echo(found.verdict)
    if quality is not None:
        click.echo(f"figures of {_when(quality.at_ms)}")


def _figures(experiment: "Experiment", quality: "LiveQuality | None") -> "dict[str, UserSums]":
    """Return the figures of this experiment's arms, by side, a first."""
    from model.metrics.live import ArmTally

    rows = [] if quality is None else [one for one in quality.figures["arms"] if one["experiment"] == experiment.name]
    found = {one["arm"]: ArmTally.restored(one["total"]).sums() for one in rows}
    return {arm.name: found[arm.name] for arm in experiment.arms if arm.name in found}


def _interval(sums: "UserSums") -> dict[str, float]:
    """Return the hit rate of an arm with its 95 % interval, of which users are the unit."""
    from model.metrics.intervals import ratio_interval

    found = ratio_interval(sums)
    return {"hit_rate": found.value, "low": found.low, "high": found.high}


def _heading(experiment: "Experiment") -> str:
    since = _when(experiment.started_ms)
    return f"experiment {experiment.name}, since {since}; {100 * experiment.share:g} % of the users are on b"


def _arms_table(experiment: "Experiment", figures: "Mapping[str, UserSums]") -> str:
    heads = ("arm", "version", "personalised from", "left to chance")
    rows = [heads + (("users", "tests", "hits", "HR@10", "95 % interval") if figures else ())]
    for arm in experiment.arms:
        own = ("worker's" if value is None else str(value) for value in (arm.personalize_at, arm.explore))
        rows.append((arm.name, arm.version or "what serves", *own, *_told(figures.get(arm.name))))
    return table(rows)


def _told(sums: "UserSums | None") -> tuple[str, ...]:
    if sums is None:
        return ()
    found = _interval(sums)
    interval = f"{found['low']:.4f} to {found['high']:.4f}"
    return f"{sums.users:,}", f"{sums.tests:,}", f"{sums.hits:,}", f"{found['hit_rate']:.4f}", interval


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
