"""``reelstream ab``: start, look at and stop an experiment, in which each user is served by one of two arms.

Workers follow by themselves. Figures are what the scorekeeper writes (``quality:live``); nothing is measured here.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import sqrt
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.options import address_options, given_settings
from commands.tables import table

if TYPE_CHECKING:
    from redis import Redis

    from model.experiment import Arm, Experiment, Side
    from streams.settings import Settings

__all__ = ["Comparison", "ab", "compare"]

FEWEST_USERS = 30  # on each side; below, the normal distribution says little about a ratio of sums
_NORMAL_95 = 1.96  # standard errors on each side of a 95 % interval
_NO_SCOREKEEPER = "there are no figures, because no scorekeeper has written any (quality:live is absent)"
Row = Mapping[str, Any]

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
    from model.experiment import Experiment  # noqa: PLC0415 - with the rest
    from streams.registry import Registry  # noqa: PLC0415 - loads torch

    settings = given_settings(given)
    now_ms = time.time_ns() // 1_000_000
    try:
        experiment = Experiment(name, share, _arm("a", given), _arm("b", given), now_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for version in sorted(experiment.versions):
        Registry(settings.registry).load(version)
    _store(settings, experiment, is_replacing=is_replacing)
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
    with _redis(given_settings(given)) as client:
        experiment = _experiment(client)
        quality = _quality(client)
    _show(experiment, quality, as_json=as_json)


@ab.command()
@address_options
@_json_option
def stop(*, as_json: bool, **given: Any) -> None:
    """End the experiment that runs, and show its last figures; users are served as before."""
    from streams.connection import answered  # noqa: PLC0415 - only commands that ask need Redis
    from streams.errors import StateError  # noqa: PLC0415 - same
    from streams.experiments import decode_experiment  # noqa: PLC0415 - same
    from streams.keys import EXPERIMENT  # noqa: PLC0415 - same

    with _redis(given_settings(given)) as client:
        quality = _quality(client)
        with answered("ab: ending the experiment"):
            stored = client.get(EXPERIMENT)
            client.delete(EXPERIMENT)
    if stored is None:
        raise StateError("ab: a running experiment is required, got none; `reelstream ab start` starts one")
    _show(decode_experiment(stored), quality, as_json=as_json)
    if not as_json:
        click.echo("the experiment is over; workers follow by themselves")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The hit rate of arm b minus that of arm a, its 95 % interval, and what may be said about it."""

    difference: float | None
    low: float | None
    high: float | None
    verdict: str


def compare(arms: Mapping[str, Row]) -> Comparison:
    """Compare the figures of two arms.

    The arms are drawn independently, so the squares of their standard errors add up; an arm's standard error is read
    from its interval, which reaches 1.96 of them to each side and may be cut off at 0 or 1.

    Parameters
    ----------
    arms : by side, ``users``, ``hit_rate``, ``low`` and ``high``; a side without tests is absent.
    """
    if not arms:
        return Comparison(None, None, None, "no list of this experiment has been tested yet")
    if len(arms) == 1:
        return Comparison(None, None, None, f"only lists of arm {next(iter(arms))} have been tested yet")
    a, b = arms["a"], arms["b"]
    difference = b["hit_rate"] - a["hit_rate"]
    errors = [_standard_error(row) for row in (a, b)]
    fewest = min(a["users"], b["users"])
    if fewest < FEWEST_USERS or None in errors:
        too_few = f"too few users to tell: {fewest} on one side, at least {FEWEST_USERS} on each are required"
        return Comparison(difference, None, None, too_few)
    reach = _NORMAL_95 * sqrt(sum(error**2 for error in errors if error is not None))
    low, high = difference - reach, difference + reach
    if low <= 0 <= high:
        verdict = "not distinguishable from chance: the 95 % interval of the difference holds 0"
    else:
        better = "b" if difference > 0 else "a"
        verdict = f"arm {better} is better: chance alone would hardly make this difference (its 95 % interval is off 0)"
    return Comparison(difference, low, high, verdict)


def _standard_error(row: Row) -> float | None:
    rate, low, high = row["hit_rate"], row["low"], row["high"]
    return None if low is None or high is None else max(high - rate, rate - low) / _NORMAL_95


def _arm(side: "Side", given: Mapping[str, Any]) -> "Arm":
    from model.experiment import Arm  # noqa: PLC0415 - with the rest

    return Arm(side, given[f"{side}_version"], given[f"{side}_personalize_at"], given[f"{side}_explore"])


def _store(settings: "Settings", experiment: "Experiment", *, is_replacing: bool) -> None:
    from streams.connection import answered  # noqa: PLC0415 - only commands that ask need Redis
    from streams.errors import StateError  # noqa: PLC0415 - same
    from streams.experiments import encode_experiment  # noqa: PLC0415 - same
    from streams.keys import EXPERIMENT  # noqa: PLC0415 - same

    with _redis(settings) as client:
        with answered(f"ab: starting {experiment.name}"):
            stored = client.set(EXPERIMENT, encode_experiment(experiment), nx=not is_replacing)
        if stored is None:
            running = _experiment(client)
            raise StateError(
                f"ab: no running experiment is required, got {running and running.name!r}; "
                "end it first with `reelstream ab stop`, or give --replace"
            )


def _experiment(client: "Redis") -> "Experiment | None":
    from streams.connection import answered  # noqa: PLC0415 - only commands that ask need Redis
    from streams.experiments import decode_experiment  # noqa: PLC0415 - same
    from streams.keys import EXPERIMENT  # noqa: PLC0415 - same

    with answered("ab: reading the experiment"):
        found: Any = client.get(EXPERIMENT)
    return None if found is None else decode_experiment(found)


def _quality(client: "Redis") -> dict[str, Any] | None:
    """Return what the scorekeeper wrote last, or None where it wrote nothing."""
    from streams.connection import answered  # noqa: PLC0415 - only commands that ask need Redis
    from streams.keys import QUALITY  # noqa: PLC0415 - same

    with answered("ab: reading the figures"):
        found: Any = client.get(QUALITY)
    return None if found is None else dict(orjson.loads(found))


def _redis(settings: "Settings") -> "Redis":
    from streams.connection import connect_to_read  # noqa: PLC0415 - only commands that ask need Redis

    return connect_to_read(settings.redis)


def _show(experiment: "Experiment | None", quality: Mapping[str, Any] | None, *, as_json: bool) -> None:
    if experiment is None:
        click.echo(orjson.dumps({"experiment": None}).decode() if as_json else "no experiment runs")
        return
    arms = _figures(experiment, quality)
    found = compare(arms) if quality is not None else Comparison(None, None, None, _NO_SCOREKEEPER)
    if as_json:
        at_ms = None if quality is None else quality["at_ms"]
        described = {"experiment": asdict(experiment), "at_ms": at_ms, "arms": list(arms.values())}
        click.echo(orjson.dumps(described | {"comparison": asdict(found)}).decode())
        return
    click.echo(_heading(experiment))
    click.echo(_arms_table(experiment, arms), nl=False)
    if found.difference is not None:
        interval = "" if found.low is None else f" ({found.low:+.4f} to {found.high:+.4f})"
        click.echo(f"difference b - a: {found.difference:+.4f}{interval}")
    click.echo(found.verdict)
    if quality is not None:
        click.echo(f"figures of {_when(quality['at_ms'])}")


def _figures(experiment: "Experiment", quality: Mapping[str, Any] | None) -> dict[str, Row]:
    """Return the figures of this experiment's arms, by side, a first."""
    rows = [] if quality is None else [row for row in quality["arms"] if row["experiment"] == experiment.name]
    return {row["arm"]: row for row in sorted(rows, key=lambda row: str(row["arm"]))}


def _heading(experiment: "Experiment") -> str:
    since = _when(experiment.started_ms)
    return f"experiment {experiment.name}, since {since}; {100 * experiment.share:g} % of the users are on b"


def _arms_table(experiment: "Experiment", figures: Mapping[str, Row]) -> str:
    heads = ("arm", "version", "personalised from", "left to chance")
    rows = [heads + (("users", "tests", "hits", "HR@10", "95 % interval") if figures else ())]
    for arm in experiment.arms:
        own = ("worker's" if value is None else str(value) for value in (arm.personalize_at, arm.explore))
        rows.append((arm.name, arm.version or "what serves", *own, *_told(figures.get(arm.name))))
    return table(rows)


def _told(row: Row | None) -> tuple[str, ...]:
    if row is None:
        return ()
    interval = "-" if row["low"] is None or row["high"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
    return f"{row['users']:,}", f"{row['tests']:,}", f"{row['hits']:,}", f"{row['hit_rate']:.4f}", interval


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
