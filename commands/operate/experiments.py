"""``reelstream ab``: start, look at and stop an experiment, in which each user is served by one of two arms.

Workers follow by themselves. Figures are what the scorekeeper writes (``quality:live``); nothing is measured here.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.drawing import table
from commands.parts.options import address_options, given_settings
from commands.parts.telling import say_next

if TYPE_CHECKING:
    from redis import Redis

    from model.experiment import Arm, ArmName, Experiment
    from model.metrics.live import ArmTally
    from streams.reports.comparison import ArmComparison
    from streams.reports.experiments import CountedArms
    from streams.settings import Settings

__all__ = ["ab"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=SuggestingGroup)
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
    from streams.serving.known_topics import require_renamed
    from streams.serving.repeats import require_repeats
    from streams.state.experiments import store_experiment

    settings = given_settings(given)
    require_renamed(settings)
    registry = Registry(settings.registry)
    for arm in ("a_version", "b_version"):
        given[arm] = None if given[arm] is None else registry.find_id(given[arm])
    now_ms = time.time_ns() // 1_000_000
    try:
        experiment = Experiment(name, share, _arm("a", given), _arm("b", given), now_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _require_new_name(settings, name)
    for version in sorted(experiment.versions):
        snapshot, _ = registry.load(version)
        require_repeats(version, snapshot, keeps=settings.keep_repeats)
    with _redis(settings) as client:
        store_experiment(client, experiment, is_replacing=is_replacing)
    if as_json:
        click.echo(orjson.dumps(asdict(experiment)).decode())
        return
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, {}), nl=False)
    click.echo("workers follow by themselves")
    say_next("ab", "status", why="compares the arms")


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
    from streams.serving.known_topics import require_renamed
    from streams.state.experiments import remove_experiment

    settings = given_settings(given)
    require_renamed(settings)
    with _redis(settings) as client:
        experiment = remove_experiment(client)
        counted = _counted(client)
    _show(experiment, counted, as_json=as_json)
    if not as_json:
        click.echo("the experiment is over; workers follow by themselves")


def _arm(side: "ArmName", given: Mapping[str, Any]) -> "Arm":
    from model.experiment import Arm

    return Arm(side, given[f"{side}_version"], given[f"{side}_personalize_at"], given[f"{side}_explore"])


def _require_new_name(settings: "Settings", name: str) -> None:
    """Refuse a name that has figures: those of two experiments must not be added up."""
    with _redis(settings) as client:
        quality = _counted(client).quality
    if quality is not None and any(one["experiment"] == name for one in quality.figures["arms"]):
        raise click.UsageError(f"NAME must be one without figures, got {name!r}, of which there are some; take another")


def _counted(client: "Redis") -> "CountedArms":
    """Return what the scorekeeper wrote last, or nothing, with a warning, where that cannot be read."""
    from streams.redis.connection import answered
    from streams.reports.experiments import counted_arms

    with answered("ab: reading the figures"):
        found = counted_arms(client)
    if found.error is not None:
        click.echo(f"reelstream: {found.error}", err=True)
    return found


def _redis(settings: "Settings") -> "Redis":
    from streams.redis.connection import connect_to_read

    return connect_to_read(settings.redis, prefix=settings.prefix)


def _show(experiment: "Experiment | None", counted: "CountedArms", *, as_json: bool) -> None:
    from streams.reports.experiments import arm_tallies, compared_arms, described_experiment

    if as_json:
        click.echo(orjson.dumps(described_experiment(experiment, counted)).decode())
        return
    if experiment is None:
        click.echo("no experiment runs")
        return
    found = compared_arms(experiment, counted)
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, arm_tallies(experiment, counted)), nl=False)
    if found.difference is not None:
        click.echo(f"difference b - a: {found.difference:+.4f}{_bounds(found)}")
    click.echo(found.verdict)
    if counted.quality is not None:
        click.echo(f"figures of {_when(counted.quality.at_ms)}")


def _bounds(found: "ArmComparison") -> str:
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
    from streams.reports.experiments import described_arm

    if tally is None:
        return ()
    found = described_arm(arm, tally)
    counts = (f"{found[name]:,}" for name in ("tests", "own_lists", "hits"))
    interval = f"{found['low']:.4f} to {found['high']:.4f}"
    return f"{found['users']:,}", f"{found['effective_users']:,.1f}", *counts, f"{found['hit_rate']:.4f}", interval


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
