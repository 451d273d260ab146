"""``reelstream stack``: a local Kafka and Redis that run until they are told to end.

The work is done in ``streams.stack``; here are the words of the command line and what is printed.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.groups import SuggestingGroup
from commands.parts.telling import say_next

if TYPE_CHECKING:
    from streams.stack import Addresses

__all__ = ["stack"]

NOT_RUNNING = 3  # as of system service scripts


@click.group(cls=SuggestingGroup)
def stack() -> None:
    """Run Apache Kafka and Valkey on this machine.

    They keep what they hold in a data folder and listen on free ports.
    """


def _default_data() -> Path:
    from streams.settings import data_folder

    return data_folder() / "stack"


data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=_default_data,
    show_default="the user's data folder",
    help="Folder that records, state and ports rest in; it survives down and up.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@stack.command()
@data_option
@click.option("--brokers", type=click.IntRange(min=1), default=1, show_default=True, help="Kafka nodes.")
@click.option(
    "--kafka", envvar="REELSTREAM_KAFKA", show_envvar=True, help="Use this cluster, start no Kafka (host:port)."
)
@click.option("--redis", envvar="REELSTREAM_REDIS", show_envvar=True, help="Use this server, start no Valkey (URL).")
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C or stack down, instead of returning.")
@json_option
def up(data: Path, brokers: int, kafka: str | None, redis: str | None, *, foreground: bool, as_json: bool) -> None:
    """Start the stack, or find it running, and print its addresses once both servers answer."""
    from streams.stack import keeper

    if kafka and redis:
        click.echo("both addresses are given (REELSTREAM_KAFKA, REELSTREAM_REDIS): nothing was started", err=True)

    def ready(addresses: "Addresses") -> None:
        _print_addresses(addresses, as_json=as_json)
        if not (as_json or kafka or redis):
            known = f"REELSTREAM_KAFKA={addresses.kafka} REELSTREAM_REDIS={addresses.redis}"
            click.echo(f"next: export {known}", err=True)
            say_next("topics", "create")

    if foreground and not (kafka and redis):
        keeper.keep(data, ready, brokers=brokers, kafka=kafka, redis=redis)
    else:
        ready(keeper.start(data, brokers=brokers, kafka=kafka, redis=redis))


@stack.command()
@data_option
@json_option
@click.pass_context
def status(context: click.Context, data: Path, *, as_json: bool) -> None:
    """Say what runs; exit with 0 if all of the stack does, with 3 if not."""
    from streams.stack import keeper

    found = keeper.look(data)
    if found and as_json:
        click.echo(json.dumps(asdict(found.addresses) | {"parts": found.parts}))
    elif found:
        _print_addresses(found.addresses, as_json=False)
        for name, runs in found.parts.items():
            click.echo(f"{name}: {'runs' if runs else f'has ended, see {found.logs[name]}'}")
    else:
        click.echo("{}" if as_json else f"no stack runs in {data}")
    context.exit(0 if found and found.is_whole else NOT_RUNNING)


@stack.command()
@data_option
def down(data: Path) -> None:
    """Stop the stack and wait until it is gone; its data stays."""
    from streams.stack import keeper

    click.echo(f"stopped the stack in {data}" if keeper.stop(data) else f"no stack runs in {data}")


def _print_addresses(addresses: "Addresses", *, as_json: bool) -> None:
    lines = f"kafka  {addresses.kafka}\nredis  {addresses.redis}"
    click.echo(json.dumps(asdict(addresses)) if as_json else lines)
