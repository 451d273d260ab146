"""Reading the log at a path: find it, read its columns in blocks, judge them, and put what describes it beside it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from model.catalogue import Item
from model.hints import UserHints
from model.kinds import DEFAULT_KINDS, KindTable
from replay.datasets.cells.blocks import parquet_blocks, table_blocks
from replay.datasets.cells.gathering import CODED_PARTS, NUMBERED, gather
from replay.datasets.cells.judging import JudgedLog, judged
from replay.datasets.cells.lines import line_of
from replay.datasets.cells.netflix import netflix_blocks
from replay.datasets.cells.objects import object_blocks
from replay.datasets.cells.rejects import RejectedRows
from replay.datasets.dataset import Dataset, Provenance, assemble
from replay.datasets.files import Files, ReadStream
from replay.datasets.finding import FoundLog, find_log
from replay.datasets.items import BrokenItems, item_names, read_items
from replay.datasets.layouts.names import USUAL_NAMES
from replay.datasets.layouts.roles import Roles, roles_of
from replay.datasets.layouts.table import PLAIN
from replay.datasets.options import LogOptions
from replay.datasets.tags import with_tags
from replay.datasets.users import dat_users, tab_users
from streams.errors import DataError

__all__ = ["described_items", "first_cells", "read_events", "read_path"]

USERS: dict[str, tuple[str, Callable[[bytes, str], list[UserHints]]]] = {
    "movielens-100k": ("u.user", tab_users),
    "movielens-dat": ("users.dat", dat_users),
}
SHOWN = 20  # names
TAGGED = "movielens-csv"
TAGS = ("tags.csv", "tag.csv")


def read_path(
    path: Path,
    *,
    name: str | None = None,
    seed: int = 0,
    options: LogOptions | None = None,
    kinds: KindTable = DEFAULT_KINDS,
) -> Dataset:
    """Read the log at a path.

    Parameters
    ----------
    path : folder, zip or file of any layout.
    name : what to call it; by default the last part of the path without its ending.
    seed : of the order among equal timestamps.
    options : what is said of the log, beside what the file beside it says.
    kinds : of events that there are, for logs that tell kinds.

    Raises
    ------
    DataError
        If nothing or more than one log is there, or a row breaks its format.
    """
    options = (options or LogOptions()).beside(path)
    found = find_log(path, options)
    roles = roles_of(found.shape, options, found.place)
    read, sha256 = read_events(found, roles, options, kinds)
    items, more = described_items(found, roles, options, read.items)
    origin = Provenance(found.shape.layout.name, found.place, sha256)
    hints = _hints(found)
    notes = read.notes + more + found.notes()
    if found.shape.layout is PLAIN and (others := roles.passed_over(found.shape.header)):
        notes += (f"columns passed over: {', '.join(others[:SHOWN])}",)
    return assemble(name or path.resolve().stem, items, read.frame, origin, seed, hints, notes, read.left_out)


def read_events(
    found: FoundLog, roles: Roles, options: LogOptions, kinds: KindTable = DEFAULT_KINDS
) -> tuple[JudgedLog, str]:
    """Read and judge the rows of a log, and return them with the SHA-256 of its bytes.

    Raises
    ------
    DataError
        As ``replay.datasets.cells.judging.judged``.
    """
    rejects = RejectedRows()
    with found.files.open(*found.names) as stream:
        form = options.time_unit if "%" in (options.time_unit or "") else None
        columns = gather(
            _blocks(found, roles, stream, rejects),
            roles,
            form,
            lambda: rejects.first is not None and not options.skip_bad,
        )

        def line(row: int) -> tuple[str, int, str]:
            if found.shape.form == "parquet":
                return found.place, 0, _cells(found, row)
            return line_of(found.files, found.names, found.shape, row)

        read = judged(columns, found.shape, roles, options, kinds, rejects, found.place, line)
        return read, stream.hexdigest()


def _blocks(found: FoundLog, roles: Roles, stream: ReadStream, rejects: RejectedRows) -> Iterator[pa.RecordBatch]:
    shape, wanted = found.shape, roles.wanted()
    if shape.form == "parquet":
        return parquet_blocks(found.files.seekable(found.names[0]), wanted, found.place)
    if shape.form == "netflix":
        return netflix_blocks(stream, rejects)
    if shape.form in {"lines", "literals"}:
        return object_blocks(stream, wanted, rejects, is_json=shape.form == "lines")
    coded = [name for part, name in roles.columns.items() if part in CODED_PARTS and part not in NUMBERED]
    return table_blocks(stream, shape, wanted, coded, rejects)


def first_cells(found: FoundLog) -> tuple[tuple[str, ...], ...]:
    """Return the first rows of a log whose shape does not show them, as text."""
    if found.shape.form != "parquet":
        return ()
    blocks = parquet_blocks(found.files.seekable(found.names[0]), found.shape.header, found.place)
    block = next(blocks, None)
    blocks.close()
    rows = [] if block is None else block.slice(0, 5).to_pylist()
    return tuple(tuple(str(row[name]) for name in found.shape.header) for row in rows)


def _cells(found: FoundLog, row: int) -> str:
    """Return a row of a Parquet file as text."""
    before = 0
    for block in parquet_blocks(found.files.seekable(found.names[0]), found.shape.header, found.place):
        if row < before + block.num_rows:
            return ",".join(str(column[row - before].as_py()) for column in block.columns)
        before += block.num_rows
    return ""


def described_items(
    found: FoundLog, roles: Roles, options: LogOptions, own: Sequence[Item] = ()
) -> tuple[list[Item], tuple[str, ...]]:
    """Return what is said of items, and notes: by the file that is named, else by the log, else by a file beside it.

    Parameters
    ----------
    found, roles, options : the log, and what is known and said of it.
    own : what the log itself says.

    Raises
    ------
    DataError
        If a file of items cannot be read.
    """
    files, item = found.files, roles.columns["item"]
    broken = BrokenItems()
    if options.items is not None:
        files = Files.at(options.items)
        names = files.names
        if len(names) != 1:
            raise DataError(f"data: --items must name one file, got {options.items} with {len(names)}")
        ids = (item, *USUAL_NAMES["item"], "id")
        told = read_items(files.read(names[0]), files.place(names[0]), ids, broken)
        return _together(told, own), broken.notes()
    name = found.item_file(item)
    beside = [] if name is None else read_items(files.read(name), files.place(name), item_names(item), broken)
    tags = _tags(found)
    if tags is not None and beside:
        beside = with_tags(beside, files.read(tags), files.place(tags))
    return _together(own, beside), broken.notes()


def _together(first: Sequence[Item], second: Sequence[Item]) -> list[Item]:
    """Return items of two tables; of one that both have, the first says all that it says."""
    found = {item.item_id: item for item in second}
    for item in first:
        other = found.get(item.item_id, item)
        title = other.title if item.title == item.item_id else item.title
        found[item.item_id] = Item(
            item.item_id, title, item.year or other.year, item.genres or other.genres, item.tags or other.tags
        )
    return list(found.values())


def _tags(found: FoundLog) -> str | None:
    """Return the file of tags beside a log of MovieLens; files that are called so elsewhere have other columns."""
    if found.shape.layout.name != TAGGED:
        return None
    return next((other for tag in TAGS if (other := found.files.beside(found.names[0], tag)) is not None), None)


def _hints(found: FoundLog) -> list[UserHints]:
    """Return what the file of users beside the log says; nothing if there is none."""
    name, read = USERS.get(found.shape.layout.name, ("", None))
    other = found.files.beside(found.names[0], name) if name else None
    return [] if other is None or read is None else read(found.files.read(other), found.files.place(other))
