"""``reelstream rebuild``: the event state once more from the first event on, and then in the live one's place."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.parts.options import address_options, given_settings, partitions_option
from commands.parts.telling import progress_lines, say_next

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from streams.rebuild.rebuild import RebuildConfig, ReplayTotals
    from streams.rebuild.switch import SwitchSummary
    from streams.rebuild.target import RebuildTarget
    from streams.settings import Settings

__all__ = ["rebuild"]

INTERRUPTED = 130  # as of shells: 128 + SIGINT
LINE_S = 10.0  # between two lines where there is no terminal


@dataclass(frozen=True, slots=True)
class _RebuildOutcome:
    """What was done; ``switched`` only where the databases were swapped, ``lists`` where they were copied elsewhere."""

    target: "RebuildTarget"
    replayed: "ReplayTotals"
    switched: "SwitchSummary | None" = None
    lists: int | None = None


@click.command()
@address_options
@partitions_option
@click.option("--to", help="Database number of the same server, or URL of another. [the next empty database]")
@click.option("--from-archive", "archive", metavar="URL", help="Events that the topics no longer hold come from here.")
@click.option("--no-switch", is_flag=True, help="Leave the live database in its place; a later rebuild goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rebuild(*, to: str | None, archive: str | None, no_switch: bool, as_json: bool, **given: Any) -> None:
    """Replay all events into an empty database.

    It then takes the live one's place; workers serve meanwhile. Interrupted, it goes on where it was when it is started
    again. See docs/how-to/rebuild.md.
    """
    from streams.kafka.topics import verify_topics
    from streams.rebuild.rebuild import RebuildConfig
    from streams.records.positions import DAY_MS
    from streams.serving.known_topics import require_renamed
    from streams.state.store import StateConfig

    settings = given_settings(given)
    verify_topics(settings)
    require_renamed(settings)
    config = RebuildConfig(state=StateConfig(idle_ms=settings.idle_days * DAY_MS))
    try:
        outcome = asyncio.run(_rebuild(settings, config, to, archive, is_switched=not no_switch))
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on where this one was", err=True)
        sys.exit(INTERRUPTED)
    _print(settings, outcome, as_json=as_json)


def _require_rights(settings: "Settings", where: "RebuildTarget") -> None:
    from streams.redis.connection import connect_to_read
    from streams.state.rights import require_rights

    is_swapped = where.index is not None
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        require_rights(client, "rebuild" if is_swapped else "rebuild elsewhere", _tell_missing)
    if not is_swapped:
        with connect_to_read(where.url, prefix=settings.prefix) as client:
            require_rights(client, "rebuild target", _tell_missing)


def _tell_missing(line: str) -> None:
    click.echo(f"reelstream: {line}", err=True)


async def _rebuild(
    settings: "Settings", config: "RebuildConfig", to: str | None, archive: str | None, *, is_switched: bool
) -> _RebuildOutcome:
    from streams.archive.parquet import EventArchive
    from streams.rebuild.rebuild import Rebuild
    from streams.rebuild.switch import hand_over, switch
    from streams.rebuild.target import find_target
    from streams.redis.connection import connect
    from streams.serving.known_topics import recognise_topics
    from streams.settings import without_password

    source = EventArchive(archive) if archive else None
    where = await find_target(settings, to)
    await asyncio.to_thread(_require_rights, settings, where)
    _tell(f"{'going on with' if where.is_resumed else 'rebuilding into'} {without_password(where.url)}")
    await asyncio.to_thread(recognise_topics, settings.at(settings.kafka, where.url))
    live, target = connect(settings.redis, prefix=settings.prefix), connect(where.url, prefix=settings.prefix)
    try:
        with _progress() as progress:
            work = Rebuild(settings, target, config, source, progress)
            try:
                await work.start()
                replayed = await work.replay()
                if not is_switched:
                    return _RebuildOutcome(where, replayed)
                if where.index is not None:
                    switched = await switch(settings, work, live, target, where, _tell)
                    return _RebuildOutcome(where, replayed, switched=switched)
            finally:
                await work.stop()
        return _RebuildOutcome(where, replayed, lists=(await hand_over(live, target)).lists)
    finally:
        await _close(live, target)


async def _close(*clients: "Redis") -> None:
    for client in clients:
        await client.aclose()


def _print(settings: "Settings", outcome: _RebuildOutcome, *, as_json: bool) -> None:
    from streams.settings import without_password

    replayed, switched = outcome.replayed, outcome.switched
    n = replayed.records + replayed.archived
    url = without_password(outcome.target.url)
    if as_json:
        facts = {"target": url, "resumed": outcome.target.is_resumed, "switched": switched is not None}
        rate = {"events_per_s": round(n / replayed.seconds, 1), "lists": outcome.lists}
        click.echo(orjson.dumps(facts | asdict(replayed) | rate | (asdict(switched) if switched else {})).decode())
        return
    archived = f", {replayed.archived:,} of them from the archive" if replayed.archived else ""
    click.echo(f"replayed {n:,} events in {replayed.seconds:.1f} s, {n / replayed.seconds:,.0f} events/s{archived}")
    if switched:
        click.echo(
            f"switched: {switched.workers} workers waited {switched.pause_s:.2f} s; "
            f"{switched.lists:,} lists were copied, {switched.changed:,} users' of them once more while they waited"
        )
        if switched.unknown:
            click.echo(f"{switched.unknown:,} users had a list, but the topics hold no event of them; they are gone")
        click.echo(f"the old state is in database {outcome.target.index} of the same server")
        say_next("redis", "clear", "--redis", url, "--yes", why="deletes it once you are content with the new one")
    elif outcome.lists is not None:
        click.echo(
            f"{outcome.lists:,} lists were copied. Stop the workers, the trainer and the scorekeeper, set "
            f"REELSTREAM_REDIS to {url}, and start them again; they read by themselves what came meanwhile"
        )
    else:
        click.echo(f"rebuilt in {url}, not switched; {without_password(settings.redis)} serves on")
        say_next("rebuild", why="goes on from here and switches; with the same options but --no-switch")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how far the replay is on stderr: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} events/s"), TimeRemainingColumn())
    began, said = time.monotonic(), ["rebuild: no event applied yet"]
    with (
        progress_lines(lambda: said[0], every_s=LINE_S),
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar,
    ):
        task = bar.add_task("rebuild", total=None, rate="0")

        def tell(done: int, total: int) -> None:
            rate = f"{done / max(time.monotonic() - began, 1e-3):,.0f}"
            said[0] = f"rebuild: {done:,} of {total:,} events, {rate} events/s"
            bar.update(task, completed=done, total=total, rate=rate)

        yield tell


def _tell(line: str) -> None:
    click.echo(f"rebuild: {line}", err=True)
