"""Which file at a path is the log, which beside it describe items and users: by what is in them.

A path is a folder, a zip, or a single file; the files may lie one level down.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from replay.datasets.cells.blocks import parquet_header
from replay.datasets.files import Files
from replay.datasets.items import are_items, item_names
from replay.datasets.layouts.headless import named_headless
from replay.datasets.layouts.roles import is_log
from replay.datasets.layouts.shape import PARQUET_MAGIC, Shape, is_array, shape_of
from replay.datasets.layouts.table import PLAIN
from replay.datasets.options import LogOptions
from streams.errors import DataError

__all__ = ["FoundLog", "find_log"]

READABLE = (  # endings of tables; beside them .gz
    *(".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item", ".json", ".jsonl", ".ndjson", ".parquet", ".pq"),
)
NO_HEADER = {"movielens-100k": "u.data"}  # other files of the release hold parts of the same rows
ITEM_FILES = {
    "movielens-100k": ("u.item",),
    "movielens-dat": ("movies.dat",),
    "movietweetings": ("movies.dat",),
    "movielens-csv": ("movies.csv", "movie.csv"),
    "hetrec": ("artists.dat",),
}
TITLES = "movie_titles"  # of the Netflix Prize
EXPECTED = "u.data, ratings.dat, ratings.csv, *.inter, *.csv, *.tsv, *.json, *.jsonl, *.parquet"


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log among the files of a path.

    Parameters
    ----------
    files : all of them.
    names : those of the log, one after the other.
    shape : how they are written.
    torn : why others, which may be logs too, cannot be read.
    """

    files: Files
    names: tuple[str, ...]
    shape: Shape
    torn: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """How a message names it."""
        return self.files.place(self.names[0])

    def notes(self) -> tuple[str, ...]:
        """Return what a reader is told of files that were passed over."""
        return tuple(f"a file beside it is passed over: {error}" for error in self.torn)

    def item_file(self, item: str) -> str | None:
        """Return the file in the same folder that describes items, None where there is none.

        item : the column of item ids in the log.
        """
        folder = self.names[0].rpartition("/")[0]
        others = [name for name in self.files.names if name.rpartition("/")[0] == folder and name not in self.names]
        for name in ITEM_FILES.get(self.shape.layout.name, ()):
            if (found := self.files.beside(self.names[0], name)) is not None:
                return found
        if self.shape.form == "netflix":
            return next((name for name in others if TITLES in name), None)
        own = self.names[0].rpartition("/")[2].partition(".")[0]
        if self.names[0].endswith(".inter"):  # its neighbours belong to other logs
            others = [name for name in others if name.rpartition("/")[2].partition(".")[0] == own]
        described = [name for name in others if _is_table(name) and self._describes(name, item)]
        return described[0] if len(described) == 1 else None

    def _describes(self, name: str, item: str) -> bool:
        try:
            shape = _shape(self.files, name, LogOptions())
        except DataError:  # a torn file that nothing names is no reason to leave the log unread
            return False
        return shape is not None and not shape.layout.is_personal and are_items(shape.header, item_names(item))


def find_log(path: Path, options: LogOptions) -> FoundLog:
    """Return the log at a path.

    Raises
    ------
    DataError
        If nothing or more than one log is there.
    """
    files = Files.at(path)
    if len(files.names) == 1:
        name = files.names[0]
        shape = _shape(files, name, options)
        if shape is None and not files.head(name).strip():
            raise DataError(f"data: {files.place(name)} must hold ratings, got no rows and no header")
        if shape is None and is_array(files.head(name)):
            raise DataError(
                f"data: {files.place(name)} must hold one object of JSON a line, got one array of them; "
                "jq -c '.[]' writes it so"
            )
        if shape is None:
            raise DataError(
                f"data: exactly one ratings file is required in {path}, a table with a header, lines of JSON or "
                f"Parquet, in UTF-8 or Latin-1, got {files.head(name)[:60]!r}"
            )
        return FoundLog(_with_neighbours(files, path), (name,), shape)
    named, torn = _tables(files, options)
    logs = [(name, shape) for name, shape in named if _may_be_log(name, shape, options)]
    known = [(name, shape) for name, shape in logs if shape.layout is not PLAIN] or logs
    known = _shallowest([(name, shape) for name, shape in known if not shape.layout.is_secondary] or known)
    parts = [name for name, shape in known if shape.form == "netflix"]
    if parts and len(parts) == len(known):
        return FoundLog(files, tuple(parts), known[0][1], tuple(map(str, torn)))
    if len(known) == 1:
        return FoundLog(files, (known[0][0],), known[0][1], tuple(map(str, torn)))
    if not known and torn:
        raise torn[0]
    tables = _shallowest([(name, shape) for name, shape in named if shape.form != "table" or shape.has_header])
    if not known and len(tables) == 1:  # what it lacks is told by whoever looks for the columns
        return FoundLog(files, (tables[0][0],), tables[0][1])
    got = [name for name, _ in known] or list(files.names[:8])
    raise DataError(
        f"data: exactly one ratings file ({EXPECTED}) is required in {path}, got {got!r}; "
        "give the path of the one to read"
    )


def _with_neighbours(files: Files, path: Path) -> Files:
    """Return the folder of a single file, in which its items may lie."""
    return Files.at(path.parent) if path.is_file() and files.path.is_dir() else files


def _tables(files: Files, options: LogOptions) -> tuple[list[tuple[str, Shape]], list[DataError]]:
    """Return the tables that there are, and why others cannot be read."""
    found: list[tuple[str, Shape]] = []
    torn = []
    for name in filter(_is_table, files.names):
        try:
            shape = _shape(files, name, options)
        except DataError as error:
            torn.append(error)
        else:
            found += [] if shape is None else [(name, shape)]
    return found, torn


def _is_table(name: str) -> bool:
    last = name.rpartition("/")[2].removesuffix(".gz").lower()
    return last.endswith(READABLE) and not last.startswith(".") and not name.startswith("__MACOSX/")


def _shape(files: Files, name: str, options: LogOptions) -> Shape | None:
    head = files.head(name)
    if head.startswith(PARQUET_MAGIC):
        return shape_of(head, options, parquet_header(files.seekable(name), files.place(name)))
    shape = shape_of(head, options)
    known = named_headless(name.rpartition("/")[2].removesuffix(".gz"))
    if known is None or options.columns or not head.strip() or (shape is not None and is_log(shape)):
        return shape
    return Shape("table", known.columns, known.layout, known.separator, has_header=False, is_quoted=False)


def _may_be_log(name: str, shape: Shape, options: LogOptions) -> bool:
    wanted = NO_HEADER.get(shape.layout.name)
    if wanted is not None and name.rpartition("/")[2].removesuffix(".gz") != wanted:
        return False
    if options.user is not None or options.item is not None or options.columns:
        named = [column for column in (options.user, options.item) if column is not None]
        return all(column in shape.header for column in named)
    return is_log(shape)


def _shallowest(found: Iterable[tuple[str, Shape]]) -> list[tuple[str, Shape]]:
    kept = list(found)
    least = min((name.count("/") for name, _ in kept), default=0)
    return [(name, shape) for name, shape in kept if name.count("/") == least]
