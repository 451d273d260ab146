"""``reelstream health``: whether a process of this host shows signs of life, for the checks of containers."""

import socket
import sys
from typing import Any

import click
import orjson

from commands.parts.options import address_options, given_settings

__all__ = ["health"]


@click.command()
@address_options
@click.argument("role", type=click.Choice(["worker", "trainer", "archiver", "scorekeeper", "api"]))
@click.option("--host", default=socket.gethostname, help="Only processes of this host. [this one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def health(*, role: str, host: str, as_json: bool, **given: Any) -> None:
    """Exit with 0 if a process of this host lives, else with 1.

    A process lives if it has shown a sign of life lately. Status 1 also if one of this role says that it is at fault.
    """
    from streams.redis.connection import answered, connect_to_read
    from streams.redis.heartbeat import find_alive

    settings = given_settings(given)
    with answered("health"), connect_to_read(settings.redis, prefix=settings.prefix) as client:
        found = find_alive(client, role)
    alive = {name: report for name, report in found.items() if name.rpartition(":")[0] == host}
    if as_json:
        click.echo(orjson.dumps({"role": role, "alive": alive}).decode())
    elif alive:
        for name, report in alive.items():
            click.echo(f"{role} {name}: " + ", ".join(f"{key} {value}" for key, value in report.items()))
    else:
        click.echo(f"no {role} of {host} has shown a sign of life lately", err=True)
    faults = [f"{role} {name}: {report['fault']}" for name, report in alive.items() if report.get("fault")]
    for fault in faults:
        click.echo(fault, err=True)
    sys.exit(0 if alive and not faults else 1)
