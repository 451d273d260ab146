"""What a person says about a log: by options of a command, or in a TOML file beside the log.

The file is called like the log with ``.toml`` behind it (``plays.csv.toml``); in a folder it may also be ``log.toml``.
Its keys are the names of the options, with dashes or underscores. A command's own options come first.
"""

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from streams.errors import DataError, SettingsError

__all__ = ["NO_TIME", "LogOptions", "scale_of"]

NO_TIME = "none"  # as --time: rows come in their order
INSIDE = "log.toml"
SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
FLAGS = ("no_header", "implicit", "skip_bad")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is said; None and false leave it to the log.

    Parameters
    ----------
    user, item, time, rating, kind, weight : the column of each part; ``none`` for no column.
    scale : the least and the most that a rating is.
    sep : what stands between fields.
    no_header : whether the first line is data.
    columns : what the columns are called, in their order.
    time_unit : seconds, milliseconds, microseconds, nanoseconds, days, or a format such as ``%d/%m/%Y``.
    implicit : whether ratings are passed over and each row counts in full.
    skip_bad : whether rows that cannot be read are left out and counted.
    items : a file of items.
    user_id : whose the log is, where no column says it.
    file : where the rest was read, empty if nowhere.

    Raises
    ------
    SettingsError
        If a value cannot be used.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    rating: str | None = None
    kind: str | None = None
    weight: str | None = None
    scale: tuple[float, float] | None = None
    sep: str | None = None
    no_header: bool = False
    columns: tuple[str, ...] = ()
    time_unit: str | None = None
    implicit: bool = False
    skip_bad: bool = False
    items: Path | None = None
    user_id: str | None = None
    file: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        unit = self.time_unit
        if unit is not None and unit not in TIME_UNITS and "%" not in unit:
            raise SettingsError(
                f"data: --time-unit must be one of {', '.join(TIME_UNITS)}, or a format such as %d/%m/%Y, got {unit!r}"
            )
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise SettingsError(f"data: --scale must be two numbers such as 1..10, the lower first, got {self.scale!r}")
        if self.sep is not None:
            sep = SEPARATORS.get(self.sep, self.sep)
            if not 1 <= len(sep) <= 2 or not sep.isascii() or (len(sep) == 2 and sep[0] != sep[1]):  # noqa: PLR2004 - a pair
                raise SettingsError(f"data: --sep must be one character, two alike, or a name such as tab, got {sep!r}")
            object.__setattr__(self, "sep", sep)

    def of(self, part: str) -> str | None:
        """Return the column that is named for a part."""
        named: str | None = getattr(self, part)
        return named

    def beside(self, path: Path) -> Self:
        """Return these options, and where they say nothing those of the file beside the log.

        Raises
        ------
        DataError
            If the file cannot be read, or says what no option is called.
        """
        places = (Path(f"{path}.toml"), *((path / INSIDE,) if path.is_dir() else ()))
        found = next((place for place in places if path.name and place.is_file()), None)
        if found is None:
            return self
        kept = _kept(found)
        own = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if getattr(self, one.name) not in (None, False, ())
        }
        return replace(self, **(kept | own | {"file": str(found)}))


TIME_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds", "days")


def scale_of(text: str) -> tuple[float, float]:
    """Return the bounds of ``1..10``; raise ValueError for anything else."""
    least, between, most = text.partition("..")
    if not between:
        raise ValueError(f"two numbers such as 1..10 are required, got {text!r}")
    return float(least), float(most)


def _kept(place: Path) -> dict[str, Any]:
    try:
        given = {key.replace("-", "_"): value for key, value in tomllib.loads(place.read_text("utf-8")).items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"data: {place} must be a TOML file of options, got {error}") from error
    known = [one.name for one in fields(LogOptions) if one.name != "file"]
    for key, value in given.items():
        if key not in known:
            raise DataError(f"data: {place} must hold options among {', '.join(known)}, got {key!r}")
        if not _is_fit(key, value):
            raise DataError(f"data: {place} must say {key} as its option does, got {value!r}")
    try:
        if "scale" in given:
            given["scale"] = scale_of(given["scale"])
    except ValueError as error:
        raise DataError(f"data: {place} must say scale as 1..10, got {given['scale']!r}") from error
    if "columns" in given:
        columns = given["columns"]
        given["columns"] = tuple(columns.split(",") if isinstance(columns, str) else columns)
    if "items" in given:
        given["items"] = place.parent / given["items"]
    return given


def _is_fit(key: str, value: object) -> bool:
    if key in FLAGS:
        return isinstance(value, bool)
    if key == "columns" and isinstance(value, list):
        return all(isinstance(name, str) for name in value)
    return isinstance(value, str)
