"""``reelstream quality``: how often the published lists are right, by what the scorekeeper has counted."""

import sys
import time
from dataclasses import asdict
from typing import Any

import click
import orjson

from commands.parts.drawing import Row, table
from commands.parts.options import address_options, given_settings

__all__ = ["quality"]

_NOTHING_STATUS = 1


@click.command()
@address_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quality(*, as_json: bool, **given: Any) -> None:
    """Show how often published lists were right.

    A list is right if it holds the next item that its user touches. Popularity is tested on the same events. Exit with
    1 if nothing has been tested yet.
    """
    from streams.redis.connection import answered, connect_to_read
    from streams.reports.quality import quality_of

    settings = given_settings(given)
    with answered("quality"), connect_to_read(settings.redis, prefix=settings.prefix) as client:
        found = quality_of(client)
    is_tested = found["figures"] is not None and found["figures"]["total"]["tests"] > 0
    if as_json:
        click.echo(orjson.dumps(found).decode())
    elif not is_tested:
        click.echo(_why_nothing(is_alive=found["scorekeeper"]), err=True)
    else:
        click.echo(_text(found["figures"], found["at_ms"]), nl=False)
        if not found["scorekeeper"]:
            click.echo("no scorekeeper is running: nothing is added to these figures now")
    sys.exit(0 if is_tested else _NOTHING_STATUS)


def _why_nothing(*, is_alive: bool) -> str:
    if not is_alive:
        return "nothing has been tested: no scorekeeper is running; start one with `reelstream scorekeeper`"
    return "nothing has been tested yet: the scorekeeper waits for events of users who have a list"


def _lead(one: dict[str, Any]) -> str:
    named = f"{one['experiment']}: {one['arm']} - {one['other']} = {one['value']:+.4f}"
    if one["low"] is None:
        return f"{named}, too few users to tell"
    return f"{named}, 95 % {one['low']:+.4f} to {one['high']:+.4f} for one look"


def _text(figures: dict[str, Any], at_ms: int) -> str:
    from streams.reports.quality import interval_of_version

    k = figures["k"]
    header = ("", f"HR@{k}", "95 %", f"NDCG@{k}", "popularity", "tests", "named")
    rows: list[Row] = [
        header,
        *(
            _row(name, tally, asdict(interval_of_version(tally)) if tally["tests"] else None)
            for name, tally in (("all", figures["total"]), ("latest", figures["latest"]))
        ),
    ]
    rows += [
        _row(f"{one['version'] or 'no version'} {one['mode']}", one["total"], one["interval"])
        for one in figures["versions"]
    ]
    rows += [_row(f"{one['experiment']}: {one['arm']}", one["total"], one["interval"]) for one in figures["arms"]]
    leads = [_lead(one) for one in figures["differences"]]
    if leads:
        leads.append("`reelstream ab status` compares the arms of the experiment that runs more exactly, and judges.")
    age_s = max(0.0, time.time() - at_ms / 1000)
    notes = [
        "Each event of a user with a list is tested once, on the list it names or the last before it; items that the",
        "user knew are not. Popularity is asked about the same events. Intervals of versions take tests, those of",
        f"experiments users, as the draws of chance. Written {age_s:.0f} s ago.",
    ]
    return "\n".join([table(rows).rstrip("\n"), *leads, *notes]) + "\n"


def _row(name: str, tally: dict[str, Any], interval: dict[str, float] | None) -> Row:
    bounds = "" if interval is None else f"{interval['low']:.4f} to {interval['high']:.4f}"
    rates = (f"{tally['ndcg']:.4f}", f"{tally['popularity_hit_rate']:.4f}")
    return (name, f"{tally['hit_rate']:.4f}", bounds, *rates, f"{tally['tests']:,}", f"{tally['named']:,}")
