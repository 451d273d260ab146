"""``reelstream ab``: start, look at and stop an experiment, in which each user is served by one of two arms.

Workers follow by themselves. Figures are what the scorekeeper writes (``quality:live``); nothing is measured here.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.operate.comparison import ArmComparison, compare, tests_of_own_lists
from commands.parts.options import address_options, given_settings
from commands.parts.tables import table

if TYPE_CHECKING:
    from redis import Redis

    from model.experiment import Arm, ArmName, Experiment
    from model.metrics.live import ArmTally
    from streams.settings import Settings
    from streams.state.quality import ExperimentUserCounts, LiveQuality

__all__ = ["ab"]

_NO_SCOREKEEPER = "there are no figures, because no scorekeeper has written any (quality:live is absent)"
_UNREADABLE = "there are no figures, because what the scorekeeper has stored cannot be read"

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def ab() -> None:
    """Compare two ways to serve, each for a share of the users."""


@ab.command()
@click.argument("name")
@click.option("--a", "a_version", metavar="VERSION", help="Version for arm a. [whatever serves]")
@click.option("--b", "b_version", metavar="VERSION", help="Version for arm b. [whatever serves]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the users in arm b.",
)
@click.option("--a-personalize-at", type=click.IntRange(min=1), help="Threshold of arm a. [the worker's]")
@click.option("--b-personalize-at", type=click.IntRange(min=1), help="Threshold of arm b. [the worker's]")
@click.option("--a-explore", type=click.IntRange(0, 10), help="Places left to chance in arm a. [the worker's]")
@click.option("--b-explore", type=click.IntRange(0, 10), help="Places left to chance in arm b. [the worker's]")
@click.option("--replace", "is_replacing", is_flag=True, help="End the one that runs, if any.")
@address_options
@_json_option
def start(name: str, *, share: float, is_replacing: bool, as_json: bool, **given: Any) -> None:
    """Start experiment NAME; a hash of the name and the user's id decides who is in which arm.

    Versions that are named are loaded first, so one that is unknown, torn, or treats repeats in another way is refused
    before anything changes.
    """
    from model.experiment import Experiment
    from streams.registry.registry import Registry
    from streams.serving.repeats import require_repeats
    from streams.state.experiments import store_experiment

    settings = given_settings(given)
    now_ms = time.time_ns() // 1_000_000
    try:
        experiment = Experiment(name, share, _arm("a", given), _arm("b", given), now_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _require_new_name(settings, name)
    for version in sorted(experiment.versions):
        snapshot, _ = Registry(settings.registry).load(version)
        require_repeats(version, snapshot, keeps=settings.keep_repeats)
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
    """Show the experiment that runs, how both arms do, and whether they can be told from chance.

    The first interval of the difference is for one look, at a time that was chosen beforehand; the second allows for
    any number of looks.
    """
    from streams.state.experiments import find_experiment

    with _redis(given_settings(given)) as client:
        experiment = find_experiment(client)
        counted = _counted(client)
    _show(experiment, counted, as_json=as_json)


@ab.command()
@address_options
@_json_option
def stop(*, as_json: bool, **given: Any) -> None:
    """End the experiment that runs, and show its last figures; users are served as before."""
    from streams.state.experiments import remove_experiment

    with _redis(given_settings(given)) as client:
        experiment = remove_experiment(client)
        counted = _counted(client)
    _show(experiment, counted, as_json=as_json)
    if not as_json:
        click.echo("the experiment is over; workers follow by themselves")


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the scorekeeper has stored, of one moment; ``users`` are those of the experiment that ran last."""

    quality: "LiveQuality | None" = None
    users: "ExperimentUserCounts" = field(default_factory=dict)
    why_none: str = _NO_SCOREKEEPER


def _arm(side: "ArmName", given: Mapping[str, Any]) -> "Arm":
    from model.experiment import Arm

    return Arm(side, given[f"{side}_version"], given[f"{side}_personalize_at"], given[f"{side}_explore"])


def _require_new_name(settings: "Settings", name: str) -> None:
    """Refuse a name that has figures: those of two experiments must not be added up."""
    with _redis(settings) as client:
        quality = _counted(client).quality
    if quality is not None and any(one["experiment"] == name for one in quality.figures["arms"]):
        raise click.UsageError(f"NAME must be one without figures, got {name!r}, of which there are some; take another")


def _counted(client: "Redis") -> _Counted:
    """Return what the scorekeeper wrote last, or nothing, with a warning, where that cannot be read."""
    from streams.errors import StateAway, StateError
    from streams.redis.connection import answered
    from streams.state.quality import find_quality_and_users

    try:
        with answered("ab: reading the figures"):
            return _Counted(*find_quality_and_users(client))
    except StateAway:
        raise
    except StateError as error:
        click.echo(f"reelstream: {error}", err=True)
        return _Counted(why_none=_UNREADABLE)


def _redis(settings: "Settings") -> "Redis":
    from streams.redis.connection import connect_to_read

    return connect_to_read(settings.redis)


def _show(experiment: "Experiment | None", counted: _Counted, *, as_json: bool) -> None:
    if experiment is None:
        click.echo(orjson.dumps({"experiment": None}).decode() if as_json else "no experiment runs")
        return
    quality = counted.quality
    arms = {} if quality is None else _figures(experiment, quality)
    found = ArmComparison(counted.why_none)
    if quality is not None:
        found = compare(experiment, arms, _users_of(experiment, quality, counted.users))
    if as_json:
        at_ms = None if quality is None else quality.at_ms
        rows = [_described(arm, arms[arm.name]) for arm in experiment.arms if arm.name in arms]
        described = {"experiment": asdict(experiment), "at_ms": at_ms, "arms": rows}
        click.echo(orjson.dumps(described | {"comparison": asdict(found)}).decode())
        return
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, arms), nl=False)
    if found.difference is not None:
        click.echo(f"difference b - a: {found.difference:+.4f}{_bounds(found)}")
    click.echo(found.verdict)
    if quality is not None:
        click.echo(f"figures of {_when(quality.at_ms)}")


def _figures(experiment: "Experiment", quality: "LiveQuality") -> "dict[str, ArmTally]":
    """Return the figures of this experiment's arms, a first."""
    from model.metrics.live import ArmTally

    rows = [one for one in quality.figures["arms"] if one["experiment"] == experiment.name]
    found = {one["arm"]: ArmTally.restored(one["total"]) for one in rows}
    return {arm.name: found[arm.name] for arm in experiment.arms if arm.name in found}


def _users_of(
    experiment: "Experiment", quality: "LiveQuality", users: "ExperimentUserCounts"
) -> dict[str, list[tuple[int, int]]]:
    """Return tests and hits of each user by arm; of nobody where the stored users are another experiment's."""
    running = quality.figures["running"]
    if running is None or running["experiment"] != experiment.name:
        return {}
    return {arm.name: [counts for (side, _), counts in users.items() if side == arm.name] for arm in experiment.arms}


def _described(arm: "Arm", tally: "ArmTally") -> dict[str, Any]:
    """Return the figures of an arm with its 95 % interval, of which users are the unit."""
    from model.metrics.intervals import effective_users, ratio_interval

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


def _bounds(found: ArmComparison) -> str:
    if found.low is None:
        return ""
    return (
        f" ({found.low:+.4f} to {found.high:+.4f} for one look, "
        f"{found.always_low:+.4f} to {found.always_high:+.4f} for any number of looks)"
    )


def _heading(experiment: "Experiment") -> str:
    since = _when(experiment.started_ms)
    return f"experiment {experiment.name}, since {since}; {100 * experiment.share:g} % of the users are on b"


def _arms_table(experiment: "Experiment", figures: "Mapping[str, ArmTally]") -> str:
    heads = ("arm", "version", "personalised from", "left to chance")
    rows = [heads + (("users", "effective", "tests", "own lists", "hits", "HR@10", "95 % interval") if figures else ())]
    for arm in experiment.arms:
        own = ("worker's" if value is None else str(value) for value in (arm.personalize_at, arm.explore))
        rows.append((arm.name, arm.version or "what serves", *own, *_told(arm, figures.get(arm.name))))
    return table(rows)


def _told(arm: "Arm", tally: "ArmTally | None") -> tuple[str, ...]:
    if tally is None:
        return ()
    found = _described(arm, tally)
    counts = (f"{found[name]:,}" for name in ("tests", "own_lists", "hits"))
    interval = f"{found['low']:.4f} to {found['high']:.4f}"
    return f"{found['users']:,}", f"{found['effective_users']:,.1f}", *counts, f"{found['hit_rate']:.4f}", interval


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
