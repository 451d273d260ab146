"""``reelstream archive``: the archived events, listed and checked."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.options import archive_option, given_settings
from commands.parts.telling import say_next, waiting
from streams.settings import VARIABLES

if TYPE_CHECKING:
    from replay.audit import ArchiveComparison, PartitionCoverage
    from streams.archive.parquet import EventArchive
    from streams.settings import Settings

__all__ = ["archive"]

_prefix_option = click.option("--prefix", help="Put before topic names. [REELSTREAM_PREFIX]")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=SuggestingGroup)
def archive() -> None:
    """Look at the archived events."""


@archive.command("list")
@archive_option
@_prefix_option
@_json_option
def list_archive(*, url: str, as_json: bool, **given: Any) -> None:
    """Show what is archived of each partition of this installation, by the names of the files."""
    from replay.audit import cover
    from streams.archive.parquet import EventArchive
    from streams.kafka.topics import event_topics

    store = EventArchive(url)
    names = event_topics(given_settings(given).prefix)
    covered = cover(store, names)
    if as_json:
        click.echo(orjson.dumps({"archive": store.url, "partitions": [asdict(one) for one in covered]}).decode())
        return
    for one in covered:
        click.echo(_line(one))
    if not covered:
        click.echo(f"no events of {', '.join(names)} in {store.url}")


@archive.command()
@archive_option
@click.option("--kafka", help="Compare with the topics there, host:port,... [REELSTREAM_KAFKA]")
@_prefix_option
@_json_option
def verify(*, url: str, as_json: bool, **given: Any) -> None:
    """Read every file of this installation; look for gaps, and compare with what the topics hold where Kafka is given.

    Exit status 1 if a file is torn, if offsets are missing, or if an event is not as in its topic.
    """
    from streams.archive.parquet import EventArchive

    store = EventArchive(url)
    has_kafka = bool(given.get("kafka") or os.environ.get(VARIABLES["kafka"]))
    with waiting(f"reading {store.url}", quiet=as_json) as say:
        report = _verified(store, given_settings(given), say, has_kafka=has_kafka)
    click.echo(orjson.dumps(report).decode() if as_json else _text(report))
    if report["whole"] and not as_json:
        say_next("train", "--from-archive", url)
    sys.exit(0 if report["whole"] else 1)


def _verified(
    store: "EventArchive", settings: "Settings", say: Callable[[str], None], *, has_kafka: bool
) -> dict[str, Any]:
    from replay.audit import compare_with_topics, cover, examine
    from streams.errors import DataError
    from streams.kafka.topics import event_topics

    names = event_topics(settings.prefix)
    counts = {"events": 0, "rejected": 0, "duplicates": 0}
    torn, files = [], 0
    for file, found in examine(store, names):
        files += 1
        say(f"{files:,} files")
        if isinstance(found, DataError):
            torn.append({"file": file.path, "error": str(found)})
        else:
            counts = {name: n + found[name] for name, n in counts.items()}
    covered = cover(store, names)
    if has_kafka:
        say("comparing with the topics")
    compared: tuple[ArchiveComparison, ...] = (
        () if torn or not has_kafka else tuple(compare_with_topics(store, settings))
    )
    faults = len(torn) + sum(len(one.gaps) for one in covered)
    faults += sum(one.missing + one.different for one in compared)
    return {
        "archive": store.url,
        "whole": faults == 0,
        "files": files,
        **counts,
        "torn": torn,
        "strays": len(store.strays()),
        "partitions": [asdict(one) for one in covered],
        "topics": None if torn or not has_kafka else [asdict(one) for one in compared],
    }


def _line(one: "PartitionCoverage") -> str:
    trouble = f", {len(one.gaps)} gaps" * bool(one.gaps) + f", {len(one.overlaps)} overlaps" * bool(one.overlaps)
    days = one.dates[0] if one.dates[0] == one.dates[1] else " to ".join(one.dates)
    return f"{one.topic}/{one.partition}: offsets {one.first} to {one.next - 1} in {one.files} files, {days}{trouble}"


def _text(report: dict[str, Any]) -> str:
    lines = [
        f"{report['archive']}: {report['files']} files, {report['events']:,} events",
        f"{report['rejected']:,} bad records and {report['duplicates']:,} duplicates left out",
    ]
    lines += [one["error"] for one in report["torn"]]
    for one in report["partitions"]:
        place = f"{one['topic']}/{one['partition']}"
        lines += [f"{place}: offsets 0 to {one['first'] - 1}, before the oldest file, are in no file"] * (
            one["first"] > 0
        )
        lines += [f"{place}: offsets {first} to {last} are in no file" for first, last in one["gaps"]]
        lines += [f"{place}: offsets {first} to {last} are in several files" for first, last in one["overlaps"]]
    if report["strays"]:
        lines.append(f"{report['strays']} other files, such as a killed writer leaves; they are not read")
    if report["topics"] is None:
        lines.append("not compared with the topics" + ", as files are torn" * bool(report["torn"]))
    else:
        lines += _compared(report["topics"])
    return "\n".join([*lines, "whole" if report["whole"] else "NOT whole"])


def _compared(found: list[dict[str, Any]]) -> list[str]:
    total = {name: sum(one[name] for one in found) for name in ("compared", "waiting", "missing", "different")}
    lines = [
        f"{one['topic']}/{one['partition']}: {one['missing']:,} missing, {one['different']:,} different"
        for one in found
        if one["missing"] or one["different"]
    ]
    return [
        *lines,
        f"{total['compared']:,} compared with the topics: {total['missing']} missing, {total['different']} different",
        f"{total['waiting']:,} records are not archived yet",
    ]
