"""What would be read of a log, and what looks wrong with it, before anything is done with it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model.kinds import DEFAULT_KINDS, KindTable
from replay.datasets.cells.judging import OUTSIDE, JudgedLog
from replay.datasets.finding import FoundLog, find_log
from replay.datasets.layouts.roles import Roles, roles_of
from replay.datasets.options import LogOptions
from replay.datasets.reading import described_items, first_cells, read_events
from streams.errors import DataError

__all__ = ["InspectedLog", "inspect_log"]

FEW_ITEMS = 2
SCALES = ((0.0, 5.0), (0.0, 10.0), (0.0, 100.0))  # tried in this order where ratings are of none that is known
WORTH_A_SCALE = 1.05  # times the events; a scale for a few ratings more would make all others smaller
SHOWN = 3  # rows


@dataclass(frozen=True, slots=True)
class InspectedLog:
    """What was found.

    Parameters
    ----------
    layout, form, files : whose layout it is, how it is written, and where.
    parts : the column of each part; and what it is read as where no column says it.
    passed_over : columns that are not read.
    rows : the first rows, by column.
    options : what was said, on the command line or in the file beside the log.
    error : why it cannot be read so, None where it can.
    cure : options with which it can be read, where some are known.
    figures : events, users, items, times, unit, scale, ties, duplicates, rows left out; empty where it cannot be read.
    suspicious : what may be wrong, and what was assumed.
    item_file : the table of items beside it.
    options_file : where options were read, empty if nowhere.
    """

    layout: str
    form: str
    files: tuple[str, ...]
    parts: dict[str, str]
    passed_over: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    options: LogOptions
    error: str | None = None
    cure: LogOptions | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    suspicious: tuple[str, ...] = ()
    item_file: str | None = None
    options_file: str = ""


def inspect_log(path: Path, options: LogOptions, kinds: KindTable = DEFAULT_KINDS) -> InspectedLog:
    """Look at the log of a path.

    Raises
    ------
    DataError
        If no log is found there at all.
    """
    said = options
    options = options.beside(path)
    found = find_log(path, options)
    shape = found.shape
    rows = tuple(dict(zip(shape.header, row, strict=False)) for row in shape.rows or first_cells(found))[:SHOWN]
    about = InspectedLog(
        shape.layout.name, shape.form, tuple(map(found.files.place, found.names)), {}, shape.header, rows, said
    )
    about = replace(about, options_file=options.file)
    try:
        roles = roles_of(shape, options, found.place)
    except DataError as error:
        return replace(about, error=str(error))
    item_file = str(options.items) if options.items else found.item_file(roles.columns["item"])
    about = replace(about, parts=_parts(roles), passed_over=roles.passed_over(shape.header), item_file=item_file)
    try:
        read, _ = read_events(found, roles, options, kinds)
    except DataError as error:
        return _with_items(_refused(about, str(error), found, roles, options, kinds), found, roles, options)
    return _with_items(_figured(about, read), found, roles, options)


def _with_items(about: InspectedLog, found: FoundLog, roles: Roles, options: LogOptions) -> InspectedLog:
    """Return what there is to say with what is said of the table of items; no option reads a log without it."""
    try:
        _, notes = described_items(found, roles, options)
    except DataError as error:
        return replace(about, error=about.error or str(error), cure=None)
    return replace(about, suspicious=about.suspicious + notes + found.notes())


def _refused(
    about: InspectedLog, error: str, found: FoundLog, roles: Roles, options: LogOptions, kinds: KindTable
) -> InspectedLog:
    """Return what there is to say of a log with bad rows; with the options that read most of it."""
    units = (None,) if options.time_unit or "one unit" not in error else ("seconds", "milliseconds", "days")
    scales = SCALES if _tells_no_scale(found, roles, options) else ()
    best: InspectedLog | None = None
    for unit, scale in [*((unit, None) for unit in units), *((unit, scale) for scale in scales for unit in units)]:
        most = 0 if best is None else best.figures["events"]
        if scale is not None and best is not None and not best.figures["left_out"].get(OUTSIDE):
            break
        kept, said = (
            replace(one, skip_bad=True, time_unit=unit or one.time_unit, scale=scale or one.scale)
            for one in (options, about.options)
        )
        try:
            read, _ = read_events(found, roles, kept, kinds)
        except DataError:
            continue
        if len(read.frame) > (most if scale is None else most * WORTH_A_SCALE):
            cure = replace(said, skip_bad=bool(read.left_out))
            best = replace(_figured(about, read), error=error, cure=cure)
    return replace(about, error=error) if best is None else best


def _tells_no_scale(found: FoundLog, roles: Roles, options: LogOptions) -> bool:
    """Tell whether there are ratings, and neither a person nor the layout says of which scale."""
    return "rating" in roles.columns and options.scale is None and found.shape.layout.scale is None


def _parts(roles: Roles) -> dict[str, str]:
    parts = dict(roles.columns)
    if roles.person is not None:
        parts["user"] = f"always {roles.person}"
    if roles.share is not None:
        parts["weight"] = f"{roles.share[0]} of {roles.share[1]}"
    if "time" not in parts:
        parts["time"] = "the order of rows"
    if "rating" not in parts and "weight" not in parts:
        parts["rating"] = "none: each row counts in full"
    return {
        part: parts[part]
        for part in ("user", "item", "time", "rating", "kind", "weight", "title", "year", "genres")
        if part in parts
    }


def _figured(about: InspectedLog, read: JudgedLog) -> InspectedLog:
    frame = read.frame
    users, items, ts = frame["user_id"].cat.codes, frame["item_id"].cat.codes, frame["ts"]
    keys = pd.DataFrame({"user": users, "item": items, "ts": ts})
    figures = {
        "events": len(frame),
        "users": int(users.nunique()),
        "items": int(items.nunique()),
        "first": _moment(int(ts.min())),
        "last": _moment(int(ts.max())),
        "time_unit": read.unit,
        "scale": None if read.scale is None else f"{read.scale[0]:g}..{read.scale[1]:g}",
        "stars": None if read.scale is None else _spread(frame["rating"]),
        "shares": _spread(frame["weight"]) if "weight" in about.parts else None,
        "kinds": frame["kind"].value_counts().head(20).to_dict() if "kind" in frame else {},
        "ties": int(keys.duplicated(["user", "ts"], keep=False).sum()),
        "duplicates": int(keys.duplicated().sum()),
        "no_events": read.passed_by,
        "left_out": read.left_out,
    }
    return replace(about, figures=figures, suspicious=(*read.notes, *_doubts(figures, read, about.parts)))


def _doubts(figures: dict[str, Any], read: JudgedLog, parts: dict[str, str]) -> list[str]:
    """Return what may be wrong, though it can be read."""
    doubts = []
    n, ts = figures["events"], read.frame["ts"]
    if figures["ties"] > n // 2:
        doubts.append(f"{figures['ties']:,} of {n:,} events share their time with another of the same user")
    if figures["duplicates"]:
        doubts.append(f"{figures['duplicates']:,} events repeat user, item and time of another; each counts")
    if int(ts.max()) > pd.Timestamp.now(tz="UTC").value // 1_000_000:
        doubts.append("the latest time lies in the future: is the unit right?")
    if figures["users"] == 1 and n > FEW_ITEMS:
        doubts.append("all events are of one user")
    if "weight" in parts and n and float(np.mean(read.frame["weight"] >= 1.0)) > 0.99:  # noqa: PLR2004 - nearly all
        doubts.append("nearly all shares are 1 or more: are they percentages, or counts?")
    return doubts


def _spread(column: "pd.Series[float]") -> str:
    return f"{column.min():g} to {column.max():g}, mean {column.mean():.2f}"


def _moment(ms: int) -> str:
    return pd.Timestamp(ms, unit="ms").isoformat(timespec="milliseconds") + "Z"
