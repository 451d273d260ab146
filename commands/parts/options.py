"""Options that many commands share: where the cluster, the state and the models are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from streams.metrics.address import MetricsAddress
from streams.settings import VARIABLES, Settings, data_folder

__all__ = [
    "NAMED",
    "SETTING_OPTIONS",
    "USER_ID",
    "address_options",
    "archive_option",
    "diversity_options",
    "given_settings",
    "impression_discount_option",
    "keys_option",
    "metrics_address",
    "metrics_options",
    "partitions_option",
    "repeats_option",
]

F = TypeVar("F", bound=Callable[..., Any])
SETTING_OPTIONS = {  # variables of the options that are settings of the whole installation, by their names
    name: VARIABLES[name] for name in ("kafka", "redis", "registry", "prefix", "partitions", "replication")
}


def address_options(command: F) -> F:
    """Add ``--kafka``, ``--redis``, ``--registry`` and ``--prefix``; each defaults to its variable."""
    for option in (
        click.option("--prefix", help="Put before topics, groups and keys in Redis. [REELSTREAM_PREFIX]"),
        click.option("--registry", help="Folder or fsspec URL of the models. [REELSTREAM_REGISTRY]"),
        click.option("--redis", help="URL of Redis or Valkey. [REELSTREAM_REDIS]"),
        click.option("--kafka", help="Bootstrap addresses, host:port,... [REELSTREAM_KAFKA]"),
    ):
        command = option(command)
    return command


class _UserId(click.ParamType):
    """An id as records may name a user."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from streams.records.ids import ID_RULE, is_id

        if not is_id(value):
            self.fail(f"an id of {ID_RULE} is required, got {value!r}", param, ctx)
        return str(value)


class _Named(click.ParamType):
    """A name or the beginning of an id, which must not be empty: everything begins with that."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail(f"a text that is not empty is required, got {value!r}", param, ctx)
        return str(value)


USER_ID = _UserId()
NAMED = _Named()


partitions_option = click.option(
    "--partitions", type=int, help="Partitions of each event topic. [REELSTREAM_PARTITIONS]"
)


archive_option = click.option(
    "--archive",
    "url",
    envvar="REELSTREAM_ARCHIVE",
    default=lambda: str(data_folder() / "archive"),
    help="Folder or fsspec URL of the archived events. [REELSTREAM_ARCHIVE]",
)


keys_option = click.option(
    "--keys",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="REELSTREAM_API_KEYS",
    default=lambda: data_folder() / "api-keys.json",
    help="File of the API's keys. [REELSTREAM_API_KEYS]",
)


repeats_option = click.option(
    "--keep-repeats/--drop-repeats",
    "repeats",
    envvar=VARIABLES["keep_repeats"],
    default=False,
    help="Whether users come back to items: then those are learnt, tested and listed again. [REELSTREAM_KEEP_REPEATS]",
)


def diversity_options(command: F) -> F:
    """Add ``--mmr`` and ``--calibration``, the weights of what keeps lists from being all alike."""
    for option in (
        click.option(
            "--calibration",
            type=click.FloatRange(0.0, 1.0),
            default=0.0,
            show_default=True,
            metavar="WEIGHT",
            help="What it counts that a list's genres are not the user's.",
        ),
        click.option(
            "--mmr",
            type=click.FloatRange(0.0, 1.0, max_open=True),
            default=0.0,
            show_default=True,
            metavar="WEIGHT",
            help="What it counts that an item is like others of its list.",
        ),
    ):
        command = option(command)
    return command


impression_discount_option = click.option(
    "--impression-discount",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    metavar="WEIGHT",
    help="What it counts that an item was on many of the user's lists and never touched.",
)


def metrics_options(command: F) -> F:
    """Add ``--metrics-port`` and ``--metrics-host``: where the process tells what it measures."""
    for option in (
        click.option(
            "--metrics-host",
            envvar="REELSTREAM_METRICS_HOST",
            default="127.0.0.1",
            show_default=True,
            help="Address of this machine for --metrics-port. [REELSTREAM_METRICS_HOST]",
        ),
        click.option(
            "--metrics-port",
            envvar="REELSTREAM_METRICS_PORT",
            type=click.IntRange(1, 65535),
            help="Answer Prometheus there; without it nowhere. [REELSTREAM_METRICS_PORT]",
        ),
    ):
        command = option(command)
    return command


def metrics_address(given: dict[str, Any]) -> MetricsAddress | None:
    """Take the metrics options out of a command's arguments and return where to listen; None for nowhere."""
    host, port = given.pop("metrics_host"), given.pop("metrics_port")
    return None if port is None else MetricsAddress(host, port)


def given_settings(given: dict[str, Any]) -> Settings:
    """Take the address options out of a command's arguments and return the settings they make."""
    names = ("kafka", "redis", "registry", "prefix", "partitions", "replication")
    return Settings.from_environment(None, **{name: given.pop(name, None) for name in names})
