"""``reelstream config``: every setting, its value, and where it is from."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.configuration import Configuration
from commands.parts.options import SETTING_OPTIONS, address_options, given_settings, partitions_option
from streams.errors import SettingsError
from streams.setting_table import SETTINGS

__all__ = ["ShownSetting", "config"]


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting or an option as it counts, and where it is from."""

    name: str
    variable: str | None
    value: str
    origin: str


@click.group(cls=SuggestingGroup)
def config() -> None:
    """Show the settings, and where each is from."""


@config.command()
@address_options
@partitions_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(configuration: Configuration, /, *, as_json: bool, **given: Any) -> None:
    """Show each setting with its value and where it is from: a flag, a variable, the file, or the default.

    Passwords are hidden. Exit status 1 if a value or the file cannot be used. No server is asked.
    """
    rows = [*_settings(configuration, given), *_options(configuration)]
    if configuration.error is not None:
        rows.append(ShownSetting("error", None, configuration.error, "file"))
    file = None if configuration.file is None else str(configuration.file.path)
    if as_json:
        click.echo(orjson.dumps({"file": file, "settings": [asdict(row) for row in rows]}).decode())
    else:
        click.echo(f"file: {file or 'none'}")
        width = max(len(row.name) for row in rows)
        for row in rows:
            click.echo(f"{row.name:{width}}  {row.value or '-':<40}  {row.origin}")
    if configuration.error is not None:
        raise SettingsError(configuration.error)
    _require_usable(given)


def _settings(configuration: Configuration, given: Mapping[str, Any]) -> Iterator[ShownSetting]:
    flags = {SETTING_OPTIONS[name]: (str(value), name) for name, value in given.items() if value is not None}
    for one in SETTINGS:
        value, origin = one.default_text(), "default"
        if os.environ.get(one.variable):
            value = os.environ[one.variable]
            origin = f"variable {one.variable}"
            if configuration.file is not None and one.variable in configuration.filled:
                origin = f"file {configuration.file.path}"
        if one.variable in flags:
            value, origin = flags[one.variable][0], f"flag --{flags[one.variable][1]}"
        yield ShownSetting(one.name, one.variable, one.shown(value), origin)


def _options(configuration: Configuration) -> Iterator[ShownSetting]:
    """Give the options of commands that the file has."""
    if configuration.file is None:
        return
    for name, value in _flat(configuration.file.options, ""):
        yield ShownSetting(name, None, str(value), f"file {configuration.file.path}")


def _flat(tables: Mapping[str, Any], before: str) -> Iterator[tuple[str, object]]:
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _require_usable(given: dict[str, Any]) -> None:
    """Raise SettingsError if a process could not start with these."""
    from streams.wording.endpoint import WordingEndpoint

    given_settings(dict(given))
    WordingEndpoint.from_environment()
