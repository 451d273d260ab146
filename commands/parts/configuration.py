"""What the whole command line does with a configuration file before any command begins.

It fills the environment with the file's settings, hands options to their commands as click's ``default_map``, and says
of a setting that is refused later where it stands.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from commands.parts.options import SETTING_OPTIONS
from streams.config_file import ConfigFile, find_config, read_config
from streams.errors import SettingsError
from streams.setting_table import SETTINGS, nearest

__all__ = ["Configuration", "configure", "explain"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was read: the file, if there is one, which variables got their values from it, or why it was not read."""

    file: ConfigFile | None = None
    filled: frozenset[str] = field(default=frozenset())
    error: str | None = None

    def explained(self, message: str) -> str:
        """Return a message about a variable with where the file says it."""
        if self.file is None:
            return message
        named = [one for one in SETTINGS if one.variable in self.filled and _names(message, one.variable)]
        places = ", ".join(f"[{one.table}] {one.key}" for one in named)
        return f"{message} (from {self.file.path}, {places})" if named else message


def configure(context: click.Context, given: Path | None) -> None:
    """Read the file that there is, and keep for later commands what came of it.

    Raises
    ------
    SettingsError
        If it cannot be read, or says what no command knows.
    """
    path = find_config(given, os.environ, Path.cwd())
    if path is None:
        context.obj = Configuration()
        return
    group = context.command
    assert isinstance(group, click.Group)
    file = read_config(path, group.list_commands(context))
    context.default_map = {
        name: _defaults(file, name, _command(group, context, name), options) for name, options in file.options.items()
    }
    context.obj = Configuration(file, file.fill(os.environ))


def _command(group: click.Group, context: click.Context, name: str) -> click.Command:
    found = group.get_command(context, name)
    assert found is not None
    return found


def _defaults(file: ConfigFile, table: str, command: click.Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's options by the names of its parameters, each checked as on the command line."""
    context = click.Context(command, info_name=table)
    if isinstance(command, click.Group):
        names = command.list_commands(context)
        if unknown := [name for name in given if name not in names]:
            raise file.error(table, f"has no command {unknown[0]!r}; {nearest(unknown[0], names)}")
        if other := [name for name in given if not isinstance(given[name], dict)]:
            raise file.error(table, f"{other[0]} must be a table [{table}.{other[0]}], got {given[other[0]]!r}")
        inner = {name: _command(command, context, name) for name in given}
        return {name: _defaults(file, f"{table}.{name}", inner[name], given[name]) for name in given}
    options = {_key(one): one for one in command.params if isinstance(one, click.Option)}
    taken = {}
    for key, value in given.items():
        option = options.get(key.replace("-", "_"))
        if option is None:
            own = [name for name, one in options.items() if _variable(one) is None]
            raise file.error(table, f"has no option {key!r}; {nearest(key, own)}")
        _require_no_setting(file, table, key, option)
        taken[str(option.name)] = _checked(file, table, key, option, context, value)
    return taken


def _key(option: click.Option) -> str:
    """Return an option's key: its longest name, with underscores."""
    return max(option.opts, key=len).lstrip("-").replace("-", "_")


def _variable(option: click.Option) -> str | None:
    """Return the variable of an option that is a setting."""
    return str(option.envvar) if option.envvar else SETTING_OPTIONS.get(_key(option))


def _require_no_setting(file: ConfigFile, table: str, key: str, option: click.Option) -> None:
    """Refuse a setting that all commands share in a command's table, and one that the file says already."""
    variable = _variable(option)
    for one in SETTINGS:
        if one.variable == variable and not (one.is_of_process and variable not in file.values):
            raise file.error(table, f"{key} must stand once, for all commands: write it as {one.key} of [{one.table}]")


def _checked(
    file: ConfigFile, table: str, key: str, option: click.Option, context: click.Context, value: object
) -> object:
    try:
        option.type_cast_value(context, value)
    except (click.UsageError, TypeError, ValueError) as error:
        said = error.message if isinstance(error, click.UsageError) else str(error)
        raise file.error(table, f"{key} must be as its option requires, got {value!r}: {said}") from error
    return value


def _names(message: str, variable: str) -> bool:
    """Tell whether a message names this very variable, and not one that only begins so."""
    before, found, after = message.partition(variable)
    return bool(found) and not after[:1].isalpha() and not after.startswith("_") and not before.endswith("_")


def explain(context: click.Context, error: SettingsError) -> SettingsError:
    """Return an error about a setting with the place in the file that the setting is from."""
    found = context.obj
    return SettingsError(found.explained(str(error))) if isinstance(found, Configuration) else error
