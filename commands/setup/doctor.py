"""``reelstream doctor``: what is wrong with an installation, and the cure."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.parts.options import address_options, given_settings, partitions_option
from commands.parts.telling import address_cure

if TYPE_CHECKING:
    from streams.diagnosis.findings import Finding
    from streams.settings import Settings

__all__ = ["doctor"]

STATUS = {"ok": 0, "warning": 0, "error": 1}
STRICT_STATUS = {"ok": 0, "warning": 1, "error": 1}
MARKS = {"ok": "ok", "warning": "WARNING", "error": "ERROR"}


@click.command()
@address_options
@partitions_option
@click.option("--replication", type=int, help="Copies of each partition. [REELSTREAM_REPLICATION]")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, strict: bool, as_json: bool, **given: Any) -> None:
    """Say what is wrong with the installation, and the cure.

    Looked at are brokers, topics, Redis, clocks, models, libraries and processes. Nothing is changed. Exit status 1 if
    something will not work.
    """
    from streams.diagnosis.findings import worst

    found = []
    for one in _looks(given_settings(given)):
        found.append(one)
        if not as_json:
            _tell(one)
    status = (STRICT_STATUS if strict else STATUS)[worst(found)]
    if as_json:
        click.echo(orjson.dumps({"severity": worst(found), "findings": [asdict(one) for one in found]}).decode())
    else:
        counts = {name: sum(one.severity == name for one in found) for name in MARKS}
        click.echo(f"{counts['error']} errors, {counts['warning']} warnings, {counts['ok']} looks without fault")
    sys.exit(status)


def _looks(settings: "Settings") -> Iterator["Finding"]:
    from streams.diagnosis.findings import findings_of

    yield from findings_of("libraries", _machine)
    context = click.get_current_context()
    yield from findings_of("kafka", lambda: _cluster(settings), address_cure(context, "kafka"))
    yield from findings_of("redis", lambda: _database(settings), address_cure(context, "redis"))
    yield from findings_of("registry", lambda: _models(settings))


# Each look is imported when its turn comes: a library that is missing is a finding, and the others go on.
def _machine() -> Iterator["Finding"]:
    from streams.diagnosis.machine import look_at_machine

    yield from look_at_machine()


def _cluster(settings: "Settings") -> Iterator["Finding"]:
    from streams.diagnosis.cluster import look_at_cluster

    yield from look_at_cluster(settings)


def _database(settings: "Settings") -> Iterator["Finding"]:
    from streams.diagnosis.database import look_at_database

    yield from look_at_database(settings)


def _models(settings: "Settings") -> Iterator["Finding"]:
    from streams.diagnosis.models import look_at_models

    yield from look_at_models(settings)


def _tell(one: "Finding") -> None:
    click.echo(f"{MARKS[one.severity]:8} {one.check}: {one.found}")
    if one.cure:
        click.echo(f"{'':8} -> {one.cure}")
