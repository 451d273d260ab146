"""Reading a table of kinds from a TOML file: the rows that it names change the default table or are added to it."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.errors import SettingsError

__all__ = ["KINDS_VARIABLE", "read_kinds"]

KINDS_VARIABLE = "REELSTREAM_KINDS"
_FIELDS = {"weight": "a number from 0 to 1", "positive": "true or false", "effect": '"hide" or "unhide"'}
_EFFECTS = ("hide", "unhide")


def read_kinds(path: str | Path) -> KindTable:
    """Read a table of kinds; each section of the file is one row, and default rows that it leaves out stay.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a row cannot be used; the message names file and row.
    """
    file = Path(path).expanduser().absolute()
    rows = {row.name: row for row in DEFAULT_KINDS.rows}
    for name, fields in _sections(file).items():
        rows[name] = _row(file, name, fields, rows.get(name))
    return KindTable.of(rows.values(), str(file))


def _sections(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of which undecodable text and broken TOML are cases
        raise SettingsError(
            f"settings: {KINDS_VARIABLE} must name a TOML file of kinds, got {file}: {error}"
        ) from error


def _row(file: Path, name: str, fields: Any, default: EventKind | None) -> EventKind:
    if not isinstance(fields, Mapping):
        raise _bad(file, f"{name} must be a section such as [{name}], got {fields!r}")
    for unknown in fields.keys() - _FIELDS.keys():
        raise _bad(file, f"[{name}] must have fields among {', '.join(_FIELDS)}, got {unknown!r}")
    for field, value in fields.items():
        if not _is_good(field, value):
            raise _bad(file, f"{field} of [{name}] must be {_FIELDS[field]}, got {value!r}")
    changed = {_ATTRIBUTES[field]: value for field, value in fields.items()}
    try:
        return replace(default or _blank(file, name, fields), **changed)
    except ValueError as error:
        raise _bad(file, str(error)) from error


_ATTRIBUTES = {"weight": "weight", "positive": "is_positive", "effect": "effect"}


def _is_good(field: str, value: object) -> bool:
    if field == "weight":
        return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]  # a number, as was asked first
    return isinstance(value, bool) if field == "positive" else value in _EFFECTS


def _blank(file: Path, name: str, fields: Mapping[str, Any]) -> EventKind:
    """Return what a new row begins as; only one that hides or unhides may leave weight and positive out."""
    for required in ("weight", "positive"):
        if required not in fields and "effect" not in fields:
            raise _bad(file, f"[{name}] must say {required}, {_FIELDS[required]}, got {', '.join(fields) or 'nothing'}")
    return EventKind(name, 0.0, is_positive=False)


def _bad(file: Path, what: str) -> SettingsError:
    return SettingsError(f"settings: in {file}, which {KINDS_VARIABLE} names, {what}")
