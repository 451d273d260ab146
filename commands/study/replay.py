"""``reelstream replay``: send a recorded log to the topics, at any speed, with disturbances if wanted."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from commands.parts.log_options import log_options, taken_log_options, tell_notes
from commands.parts.options import partitions_option
from commands.parts.telling import progress_lines, say_next, waiting
from streams.errors import SettingsError, StreamError
from streams.settings import Settings

if TYPE_CHECKING:
    from replay.producer import DeliveryProgress, OfferReport, ReplayReport
    from streams.kafka.sender import UndeliveredRecord

__all__ = ["replay"]

INTERRUPTED = 130  # as of shells: 128 + SIGINT
MAX_SHOWN = 20  # records that were not taken, one line each; the count is of all


class _Factor(click.ParamType):
    """A factor such as ``50000x`` or ``50000``."""

    name = "factor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(str(value).lower().removesuffix("x").replace(",", ""))
        except ValueError:
            self.fail(f"a factor such as 50000x is required, got {value!r}", param, ctx)


class _Moment(click.ParamType):
    """An ISO date or time, UTC where it names no zone, as milliseconds."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"an ISO date or time such as 1998-01-31 is required, got {value!r}", param, ctx)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(zoned.timestamp() * 1000)


@click.command()
@click.argument("dataset")
@click.option("--speed", type=_Factor(), help="Event time compressed, such as 50000x.")
@click.option("--rate", type=float, help="Events each second, evenly.")
@click.option("--max-speed", is_flag=True, help="As fast as the broker takes them.")
@click.option("--limit", type=int, help="Only the first rows, this many.")
@click.option("--from", "since", type=_Moment(), help="Only rows of this time or later (ISO, UTC).")
@click.option("--to", "until", type=_Moment(), help="Only rows before this time (ISO, UTC).")
@click.option(
    "--events",
    type=click.Choice(["watch", "rate", "both", "kind"]),
    help="What each row is sent as; kind: as its column of kinds says. [default: rate; of shares watch or kind]",
)
@click.option("--duplicate", type=float, default=0.0, help="Share of events delivered a second time, 0 to 1.")
@click.option("--late", type=float, default=0.0, help="Share of events delivered late, 0 to 1.")
@click.option("--hints/--no-hints", default=True, show_default=True, help="Send what the log says of its users.")
@click.option("--shuffle-ties", "seed", type=int, default=0, show_default=True, help="Seed of ties and of trouble.")
@click.option("--kafka", help="Bootstrap addresses, host:port,... [REELSTREAM_KAFKA]")
@click.option("--prefix", help="Put before topic names. [REELSTREAM_PREFIX]")
@partitions_option
@log_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(*, dataset: str, seed: int, as_json: bool, **given: Any) -> None:
    """Send a recorded log to the topics.

    The catalogue goes first, then what the log says of its users (`--hints`), then the events; one of --speed,
    --rate and --max-speed says how fast. DATASET is a release such as ml-100k, or the path of a zip, a folder or a
    ratings file.
    """
    from replay.datasets.readers import require_dataset

    require_dataset(dataset)
    options = taken_log_options(given)
    settings = Settings.from_environment(**{name: given.pop(name) for name in ("kafka", "prefix", "partitions")})
    speed, rate = _pace(given["speed"], given["rate"], max_speed=given["max_speed"])

    from replay.datasets.readers import read_dataset
    from replay.producer import offer_catalogue, offer_hints
    from replay.producer import replay as send
    from replay.schedule import Disturbance, Selection, Speed, plan, usual_events
    from streams.kafka.topics import verify_topics

    timing = Speed(speed, rate)
    disturbance = Disturbance(given["duplicate"], given["late"], seed)
    verify_topics(settings)
    with waiting(f"reading {dataset}") as say:
        log = read_dataset(dataset, seed=seed, options=options, kinds=settings.kinds)
        events = given["events"] or usual_events(log, settings.kinds)
        selection = Selection(events, given["since"], given["until"], given["limit"])
        schedule = plan(log, selection=selection, speed=timing, disturbance=disturbance, kinds=settings.kinds)
        say("sending its items and hints")
        items = offer_catalogue(settings, log.catalogue)
        hints = offer_hints(settings, log.hints if given["hints"] else ())
    tell_notes(log)
    first = str(schedule.rows["user_id"].iloc[0])
    del log  # the schedule holds the rows that are sent, and sending may take days
    with _progress_bar(len(schedule)) as progress:
        sent = send(settings, schedule, progress=progress)
    _report(sent, items, hints, as_json=as_json)
    if not as_json:
        say_next("recommend", first, why="the list of a user of this log")


def _pace(speed: float | None, rate: float | None, *, max_speed: bool) -> tuple[float | None, float | None]:
    given = [
        name
        for name, is_given in (("--speed", speed is not None), ("--rate", rate is not None), ("--max-speed", max_speed))
        if is_given
    ]
    if len(given) != 1:
        raise SettingsError(f"replay: exactly one of --speed, --rate and --max-speed is required, got {given!r}")
    return speed, rate


def _report(sent: "ReplayReport", items: "OfferReport", hints: "OfferReport", *, as_json: bool) -> None:
    """Print what was sent; raise if something was not delivered, exit 130 after an interrupt."""
    not_taken = (*items.not_taken, *hints.not_taken, *sent.not_taken)
    facts = {
        "items": items.delivered,
        "hints": hints.delivered,
        "sent": sent.events,
        "duplicates": sent.duplicates,
        "late": sent.late,
        "errors": len(not_taken),
        "not_taken": [_row(one) for one in not_taken[:MAX_SHOWN]],
        "seconds": round(sent.seconds, 3),
        "rate": round(sent.rate, 1),
        "interrupted": sent.interrupted,
        "topics": dict(sent.topics),
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo(
            f"sent {items.delivered:,} items, hints of {hints.delivered:,} users and {sent.events:,} events "
            f"({sent.duplicates:,} duplicates, {sent.late:,} late) in {sent.seconds:.1f} s, {sent.rate:,.0f} events/s"
        )
        for one in not_taken[:MAX_SHOWN]:
            row = _row(one)
            click.echo(f"not taken: {row['topic']} {row['id']} of key {row['key']}: {row['reason']}")
    if not_taken:
        raise StreamError(
            f"replay: every record must be delivered, got {len(not_taken)} refused: {not_taken[0].reason}"
        )
    if sent.interrupted:
        sys.exit(INTERRUPTED)


def _row(not_taken: "UndeliveredRecord") -> dict[str, str]:
    record = not_taken.record
    return {
        "topic": record.topic,
        "id": record.name,
        "key": (record.key or b"").decode(errors="backslashreplace"),
        "reason": not_taken.reason,
    }


@contextmanager
def _progress_bar(total: int) -> Iterator["DeliveryProgress"]:
    """Show deliveries, their rate and the event date on stderr: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[date]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} events/s"),
        TimeRemainingColumn(),
    )
    said = ["replay: no event delivered yet"]
    with (
        progress_lines(lambda: said[0]),
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar,
    ):
        task = bar.add_task("replay", total=total, date="", rate="0")

        def tell(n: int, ts: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed or 0.0
            date = datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
            said[0] = f"replay: {n:,} of {total:,} events, up to {date}"
            bar.update(task, completed=n, date=date, rate=f"{speed:,.0f}")

        yield tell
