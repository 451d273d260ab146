"""Tables of items beside a log: titles, years and genres, whatever form they have.

MovieLens' ``u.item`` and ``movies.dat`` and Netflix' ``movie_titles.csv`` have no header. Any other table names its
columns: RecBole's ``.item``, CSV and TSV, lines of JSON, Parquet. Genres lie between ``|`` or commas, never between
spaces; but where RecBole types a column as a sequence and no cell of it has a comma, spaces are its own separator.

Public tables have rows that break their form, and a log can be read without them: such rows are counted and passed
over, unless no row is left.

Layouts: the README files of the releases, https://grouplens.org/datasets/movielens/ , and
https://recbole.io/docs/user_guide/data/atomic_files.html .
"""

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as arrow_parquet

from model.catalogue import Item
from replay.datasets.layouts.names import TYPE_MARK, USUAL_NAMES, canonical, find_column
from replay.datasets.layouts.shape import PARQUET_MAGIC
from replay.datasets.titles import FIRST_YEAR, LAST_YEAR, NO_GENRES, clean, readable, split_genres, split_year, text
from streams.errors import DataError

__all__ = ["BrokenItems", "are_items", "dat_items", "described_rows", "item_names", "read_items"]

Row = TypeVar("Row")
DAT_FIELDS = 3
NETFLIX_FIELDS = 3
HETREC = "artistID"  # whose table of artists calls them id
TITLES = (
    *("title", "movie_title", "movie_name", "name", "item_name", "product_name", "product_title", "prod_name"),
    *(
        "book_title",
        "game_title",
        "app_name",
        "track_name",
        "track",
        "artist_name",
        "artist",
        "original_title",
        "headline",
    ),
)
YEARS = ("release_year", "year", "publication_year", "year_of_publication", "original_publication_year", "release_date")
GENRES = ("class", "genre", "genres", "categories", "category", "genre_ids", "tags")
SEQUENCE = "type:token_seq"  # of films: their genres; as a single token it says what kind of thing an item is
NETFLIX = re.compile(r"\d+,(?:\d{4}|NULL),.+")
TAB_FIELDS = 24  # id, title, two dates, address, 19 genre flags
TAB_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


@dataclass(slots=True)
class BrokenItems:
    """Rows of a table of items that cannot be read, and are passed over.

    Parameters
    ----------
    n : how many.
    first : what is wrong with the first of them.
    """

    n: int = 0
    first: DataError | None = field(default=None)

    def add(self, error: DataError) -> None:
        """Count a row."""
        self.n += 1
        self.first = self.first or error

    def kept(self, rows: Iterable[Row], read: Callable[[Row], Item]) -> list[Item]:
        """Return the items of those rows that can be read.

        Raises
        ------
        DataError
            Of the first row, if there are such rows and no others.
        """
        found = []
        for row in rows:
            try:
                found.append(read(row))
            except DataError as error:
                self.add(error)
        if self.first is not None and not found:
            raise self.first
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what a reader is told."""
        if self.first is None:
            return ()
        rows = "1 row" if self.n == 1 else f"{self.n:,} rows"
        return (f"{rows} of the table of items cannot be read and must be passed over; the first: {self.first}",)


def item_names(item: str) -> tuple[str, ...]:
    """Return what the column of ids may be called in a table of items beside a log that calls them so."""
    is_plain = canonical(item) in {"itemid", "item", "iid"} or item == HETREC
    return (item, "item_id", "item", *(("id",) if is_plain else ()))


def are_items(header: Sequence[str], ids: tuple[str, ...]) -> bool:
    """Tell whether a header is that of a table of items: it names items and titles or genres, and nobody who did it."""
    names = tuple(header)
    has_item = find_column(names, ids) is not None
    says = find_column(names, (*TITLES, *GENRES)) is not None
    return has_item and says and find_column(names, USUAL_NAMES["user"]) is None


def read_items(data: bytes, place: str, ids: tuple[str, ...], broken: BrokenItems) -> list[Item]:
    """Read a table of items of any form.

    Parameters
    ----------
    data : the file, unpacked.
    place : the file, for messages.
    ids : what the column of ids may be called.
    broken : takes the rows that break the form.

    Raises
    ------
    DataError
        Naming the columns that are missing, or the first line if all lines break the form.
    """
    first = text(data[: 1 << 16]).lstrip().partition("\n")[0].rstrip("\r")
    if data.startswith(PARQUET_MAGIC):
        try:
            table = arrow_parquet.read_table(io.BytesIO(data))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"data: {place} must be a whole Parquet file, got {error}; fetch it again") from error
        return _of_rows(tuple(table.column_names), _objects(table.to_pylist(), place), place, ids, broken)
    if first.startswith("{"):
        rows = list(_object_lines(data, place, broken))
        header = tuple(dict.fromkeys(name for row, _ in rows[:1000] for name in row))
        return _of_rows(header, iter(rows), place, ids, broken)
    if "::" in first:
        return dat_items(data, place, broken)
    if first.count("|") == TAB_FIELDS - 1:
        return broken.kept(_lines(data, place), lambda line: _flagged(_fields(line, "|", TAB_FIELDS), line[1]))
    if NETFLIX.fullmatch(first):
        return broken.kept(_lines(data, place), _netflix)
    return _headed(data, first, place, ids, broken)


def dat_items(data: bytes, place: str, broken: BrokenItems) -> list[Item]:
    """Read a ``movies.dat``."""
    return broken.kept(_lines(data, place), lambda line: _item(*_fields(line, "::", DAT_FIELDS), where=line[1]))


def _headed(data: bytes, first: str, place: str, ids: tuple[str, ...], broken: BrokenItems) -> list[Item]:
    """Read a table with a header; a title may hold commas and, doubled, quotes."""
    separator = "\t" if "\t" in first else max((",", ";", "|"), key=re.sub(r'"[^"]*"', "", first).count)
    if separator == "\t" and not first.startswith('"'):
        lines = [(number, line.rstrip("\r").split("\t")) for number, line in enumerate(text(data).split("\n"), start=1)]
        header, rows = tuple(lines[0][1]), [(number, cells) for number, cells in lines[1:] if any(cells)]
    else:
        header, rows = _quoted(data, separator, place, broken)
    if is_typed := separator == "\t" and all(TYPE_MARK in name for name in header):
        header = tuple("genres" if name == SEQUENCE and not find_column(header, GENRES) else name for name in header)
    found: list[tuple[dict[str, object], str]] = []
    for number, cells in rows:
        where = f"{place} line {number}"
        try:
            found.append((dict(zip(header, _counted(cells, len(header), where), strict=True)), where))
        except DataError as error:
            broken.add(error)
    return _of_rows(header, iter(found), place, ids, broken, is_typed=is_typed)


def _quoted(
    data: bytes, separator: str, place: str, broken: BrokenItems
) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Cut lines at separators that are not quoted; behind a row that a stray quote broke, the next line goes on."""
    escape = "\\" if separator == ";" else None
    lines = text(data).splitlines(keepends=True)
    header: tuple[str, ...] = ()
    rows: list[tuple[int, list[str]]] = []
    done = 0  # lines
    while done < len(lines):
        begin = done
        reader = csv.reader(
            (lines[number] for number in range(begin, len(lines))),
            delimiter=separator,
            strict=escape is None,
            escapechar=escape,
        )
        try:
            for fields in reader:
                end = begin + reader.line_num
                _closed(fields, header, end - done)
                if fields and not header:
                    header = tuple(name.strip() for name in fields)
                elif fields:
                    rows.append((end, fields))
                done = end
            break
        except csv.Error as error:
            told = DataError(f"data: {place} line {done + 1} must be quoted CSV, got {error}")
            if not header:
                raise told from error
            broken.add(told)
            done += 1
    return header, rows


def _closed(fields: list[str], header: tuple[str, ...], n_lines: int) -> None:
    """Raise csv.Error for a row of several lines that has not the fields of the header: a stray quote took them in."""
    if header and n_lines > 1 and len(fields) != len(header):
        raise csv.Error(f"{len(fields)} fields for {len(header)} columns")


def _of_rows(
    header: tuple[str, ...],
    rows: Iterator[tuple[dict[str, object], str]],
    place: str,
    ids: tuple[str, ...],
    broken: BrokenItems,
    *,
    is_typed: bool = False,
) -> list[Item]:
    id_column = find_column(header, ids)
    title, year, genres = (find_column(header, names) for names in (TITLES, YEARS, GENRES))
    if not header and broken.first is not None:
        raise broken.first
    if id_column is None or (title is None and genres is None):
        raise DataError(
            f"data: {place} line 1 must be movieId,title,genres or the like: a column {ids[0]} and one of "
            f"titles or genres, got {list(header)!r}"
        )
    kept = list(rows)
    by_space = is_typed and genres is not None and not any("," in str(row.get(genres)) for row, _ in kept)
    columns = (id_column, title, year, genres)
    return broken.kept(kept, lambda row: _described(*row, columns, by_space=by_space))


def _described(
    row: dict[str, object],
    where: str,
    columns: tuple[str, str | None, str | None, str | None],
    *,
    by_space: bool,
) -> Item:
    """Return the item of a row; it is called like its id where it has no title."""
    ids, title, year, genres = columns
    item_id = _cell(row, ids).strip()
    raw = _cell(row, title).strip()
    if not item_id:
        raise DataError(f"data: {where} must hold an item id and a title, got {item_id!r} and {raw!r}")
    name, own_year = split_year(raw)
    written = re.match(r"\d{4}", _cell(row, year).strip())
    if written and FIRST_YEAR <= int(written[0]) <= LAST_YEAR:
        own_year = int(written[0])
    cell = _cell(row, genres)
    names = tuple(clean(cell).split()) if by_space else split_genres(cell)
    return Item(item_id, readable(name) or item_id, own_year, tuple(name for name in names if name not in NO_GENRES))


def _cell(row: dict[str, object], name: str | None) -> str:
    """Return a cell as text; of a list its parts between ``|``, of a mapping its keys."""
    value = None if name is None else row.get(name)
    if isinstance(value, dict):
        value = list(value)
    if isinstance(value, list):
        inner = [part for one in value for part in (one if isinstance(one, list) else [one])]
        return "|".join(dict.fromkeys(str(one.get("name", "")) if isinstance(one, dict) else str(one) for one in inner))
    return "" if value is None else str(value)


def _objects(rows: list[dict[str, object]], place: str) -> Iterator[tuple[dict[str, object], str]]:
    for number, row in enumerate(rows, start=1):
        yield row, f"{place} row {number}"


def _object_lines(data: bytes, place: str, broken: BrokenItems) -> Iterator[tuple[dict[str, object], str]]:
    for line, where in _lines(data, place):
        try:
            row = json.loads(line) if not line.lstrip().startswith(("{'", "{u'")) else ast.literal_eval(line)
        except (ValueError, SyntaxError):
            row = None
        if isinstance(row, dict):
            yield row, where
        else:
            broken.add(DataError(f"data: {where} must hold one object, got {line[:120]!r}"))


def _netflix(line: tuple[str, str]) -> Item:
    """Read a line of ``movie_titles.csv``: id, year and a title in which commas are not quoted."""
    item_id, written, title = _counted(line[0].split(",", 2), NETFLIX_FIELDS, line[1])
    year = int(written) if written.isdecimal() else None
    return Item(item_id.strip(), readable(clean(title)) or item_id, year)


def described_rows(data: bytes, separator: str, n: int, place: str) -> Iterator[tuple[list[str], str]]:
    """Give the fields of each line, and how a message names the line; raise DataError for another number of them."""
    for line in _lines(data, place):
        yield _fields(line, separator, n), line[1]


def _lines(data: bytes, place: str) -> Iterator[tuple[str, str]]:
    """Give each line that is not blank, and how a message names it."""
    for number, line in enumerate(text(data).split("\n"), start=1):
        if line.strip():
            yield line.rstrip("\r"), f"{place} line {number}"


def _fields(line: tuple[str, str], separator: str, n: int) -> list[str]:
    return _counted(line[0].split(separator), n, line[1])


def _counted(fields: list[str], n: int, where: str) -> list[str]:
    if len(fields) != n:
        raise DataError(f"data: {where} must hold {n} fields, got {len(fields)}: {fields[:4]!r}")
    return fields


def _flagged(fields: list[str], where: str) -> Item:
    flags = fields[-len(TAB_GENRES) :]
    if not set(flags) <= {"0", "1"}:
        raise DataError(f"data: {where} must end in {len(TAB_GENRES)} flags of 0 or 1, got {flags!r}")
    genres = (genre for genre, flag in zip(TAB_GENRES, flags, strict=True) if flag == "1")
    return _of(fields[0], fields[1], genres, where)


def _item(item_id: str, title: str, genres: str, *, where: str) -> Item:
    return _of(item_id, title, genres.split("|"), where)


def _of(item_id: str, raw: str, genres: Iterable[str], where: str) -> Item:
    title, year = split_year(raw)
    if not item_id.strip():
        raise DataError(f"data: {where} must hold an item id and a title, got {item_id!r} and {raw!r}")
    kept = tuple(genre.strip() for genre in genres if genre.strip() not in NO_GENRES)
    return Item(item_id.strip(), readable(title) or item_id.strip(), year, kept)
