"""Which column of a log has which part: as options say, else as its layout says, else by the usual names."""

from collections.abc import Mapping
from dataclasses import dataclass

from replay.datasets.layouts.names import USUAL_NAMES, bare, find_column, title_names
from replay.datasets.layouts.shape import Shape
from replay.datasets.options import NO_TIME, LogOptions
from streams.errors import DataError

__all__ = ["ABOUT_ITEMS", "DEFAULT_USER", "Roles", "is_log", "roles_of"]

DEFAULT_USER = "me"  # whose a log is that one person exported
NEEDED = ("user", "item", "time")
UNNAMED = "(without a name)"  # an index that pandas wrote
ABOUT_ITEMS = ("title", "year", "genres")


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that are read.

    Parameters
    ----------
    columns : the column of each part that has one.
    person : whose the log is, where no column says it.
    share : columns of what was played and of how long it is, where they make the weight.
    signs : columns of which one must be set.
    """

    columns: Mapping[str, str]
    person: str | None = None
    share: tuple[str, str] | None = None
    signs: tuple[str, ...] = ()

    def wanted(self) -> tuple[str, ...]:
        """Return every column that is read, each once."""
        return tuple(dict.fromkeys((*self.columns.values(), *(self.share or ()), *self.signs)))

    def passed_over(self, header: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns that are not read, as a reader is shown them."""
        return tuple(name or UNNAMED for name in header if name not in self.wanted())


def is_log(shape: Shape) -> bool:
    """Tell whether a header names users and items, or is one person's log."""
    if not shape.layout.is_log:
        return False
    found = {part: _found(part, shape) for part in ("user", "item")}
    return bool(found["item"] and (found["user"] or shape.layout.is_personal))


def roles_of(shape: Shape, options: LogOptions, place: str) -> Roles:
    """Return the parts of the columns.

    Raises
    ------
    DataError
        Naming all that the header lacks at once, or a column that is named and not there.
    """
    columns = {part: _named(part, options, shape, place) for part in USUAL_NAMES}
    is_personal = columns["user"] is None and (options.user_id is not None or shape.layout.is_personal)
    is_timeless = options.time == NO_TIME or (columns["time"] is None and shape.layout.is_timeless)
    lacking = [
        part
        for part in NEEDED
        if columns[part] is None and not (part == "user" and is_personal) and not (part == "time" and is_timeless)
    ]
    if lacking:
        raise DataError(_missing(lacking, shape, place))
    if options.implicit:
        columns["rating"] = None
    if columns["rating"] is not None and options.weight is None:
        columns["weight"] = None
    share = shape.layout.share if columns["rating"] is None and options.weight is None else None
    about = {part: shape.layout.roles.get(part) for part in ABOUT_ITEMS}
    about["title"] = about["title"] or find_column(shape.header, title_names(str(columns["item"])))
    found = {
        part: column for part, column in (columns | about).items() if column is not None and column in shape.header
    }
    signs = tuple(name for one in shape.layout.signs if (name := find_column(shape.header, (one,))) is not None)
    return Roles(found, (options.user_id or DEFAULT_USER) if is_personal else None, share, signs)


def _found(part: str, shape: Shape) -> str | None:
    fixed = shape.layout.roles.get(part)
    column = None if fixed is None else find_column(shape.header, (fixed,))
    return column or find_column(shape.header, USUAL_NAMES[part])


def _named(part: str, options: LogOptions, shape: Shape, place: str) -> str | None:
    name = options.of(part)
    if name is None:
        return _found(part, shape)
    if name == NO_TIME and name not in shape.header:
        return None
    column = name if name in shape.header else find_column(shape.header, (name,))
    if column is None:
        raise DataError(f"data: {place} must have the column {name!r} that --{part} names, got {_listed(shape.header)}")
    return column


def _missing(parts: list[str], shape: Shape, place: str) -> str:
    names = "; and ".join(f"a column {', '.join(USUAL_NAMES[part][:6])} or the like" for part in parts)
    cures = [f"--{part} COLUMN" for part in parts]
    if "time" in parts:
        cures.append("--time none where rows come in the order of time")
    if "user" in parts:
        cures.append("--user-id NAME where all are one person's")
    where = "line 1 must name" if shape.has_header and shape.form == "table" else "must have"
    return f"data: {place} {where} {names}, got {_listed(shape.header)}; say {', '.join(cures)}"


def _listed(header: tuple[str, ...]) -> str:
    return repr([bare(name) for name in header])
