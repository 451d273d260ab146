"""One TOML file of settings and of options of commands: found, read and checked.

A file stands behind the environment: it fills the variables that nobody has set, so that whoever reads a variable, a
child process as well, needs to know no file. A variable that is set to nothing means the default, whatever the file
says. Options of commands are handed on as they are; which commands and options there are is known to the command line.
"""

import tomllib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.errors import SettingsError
from streams.setting_table import SETTINGS, Setting, nearest

__all__ = ["CONFIG_VARIABLE", "ConfigFile", "find_config", "read_config"]

CONFIG_VARIABLE = "REELSTREAM_CONFIG"
CONFIG_NAME = "reelstream.toml"
_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "list": (str, list), "number": (int,), "flag": (bool,)}
_REQUIRED = {
    "text": "a text in quotes",
    "list": "a text in quotes, or a list of them",
    "number": "a whole number",
    "flag": "true or false",
}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file says.

    Parameters
    ----------
    path : where it is.
    values : by variable, each as its variable takes it.
    options : tables of commands, each with its options; commands of a group are tables in it.
    """

    path: Path
    values: Mapping[str, str] = field(repr=False)  # may hold passwords
    options: Mapping[str, Mapping[str, Any]]

    def fill(self, environment: MutableMapping[str, str]) -> frozenset[str]:
        """Set the variables that the environment lacks, and return which these are."""
        filled = frozenset(self.values.keys() - environment.keys())
        environment.update({name: self.values[name] for name in filled})
        environment[CONFIG_VARIABLE] = str(self.path)
        return filled

    def error(self, table: str, what: str) -> SettingsError:
        """Return an error about a table of this file."""
        return _bad(self.path, table, what)


def find_config(given: Path | None, environment: Mapping[str, str], folder: Path) -> Path | None:
    """Return which file is to be read: the given one, that of ``REELSTREAM_CONFIG``, that of the folder, or none.

    An empty ``REELSTREAM_CONFIG`` means that no file is read.
    """
    if given is not None:
        return given.expanduser().absolute()
    named = environment.get(CONFIG_VARIABLE)
    if named is not None:
        return Path(named).expanduser().absolute() if named else None
    here = folder / CONFIG_NAME
    return here.absolute() if here.is_file() else None


def read_config(path: Path, commands: list[str]) -> ConfigFile:
    """Read a file; its tables are those of settings, and those of the named commands.

    Raises
    ------
    SettingsError
        If the file cannot be read, or says what nobody knows; the message names file, table and key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of which undecodable text and broken TOML are cases
        raise SettingsError(
            f"settings: {CONFIG_VARIABLE} or --config must name a TOML file, got {path}: {error}"
        ) from error
    known = {(one.table, one.key): one for one in SETTINGS}
    names = [*dict.fromkeys(one.table for one in SETTINGS), *commands]
    values: dict[str, str] = {}
    options: dict[str, dict[str, Any]] = {}
    for table, entries in tables.items():
        if table not in names:
            raise _bad(path, table, f"is no table of settings and no command; {nearest(table, names)}")
        if not isinstance(entries, dict):
            raise _bad(path, table, f"must be a table with keys below it, got {_kind(entries)}")
        for key, value in entries.items():
            setting = known.get((table, key))
            if setting is not None:
                values[setting.variable] = _text(path, setting, value)
            elif table in commands:
                options.setdefault(table, {})[key] = value
            else:
                keys = [one.key for one in SETTINGS if one.table == table]
                raise _bad(path, table, f"has no key {key!r}; {nearest(key, keys)}")
    return ConfigFile(path, values, options)


def _text(path: Path, setting: Setting, value: object) -> str:
    """Return a value of the file as its variable takes it."""
    is_good = isinstance(value, _TYPES[setting.type]) and (setting.type == "flag" or not isinstance(value, bool))
    if isinstance(value, list):
        is_good = is_good and all(isinstance(one, str) for one in value)
    if not is_good:
        shown = "a value that is not shown" if setting.is_secret else _kind(value)
        raise _bad(path, setting.table, f"{setting.key} must be {_REQUIRED[setting.type]}, got {shown}")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def _kind(value: object) -> str:
    """Return a value as far as it may be told: words may be a password, or an address that holds one."""
    if isinstance(value, bool | int | float):
        return f"{value!r}"
    words: dict[type, str] = {str: "a text", list: "a list", dict: "a table"}
    return words.get(type(value), "something else")


def _bad(path: Path, table: str, what: str) -> SettingsError:
    return SettingsError(f"settings: in {path}, [{table}] {what}")
