"""The blocks of the Netflix Prize's ratings: a line ``movie:``, and below it lines of user, rating and day."""

import io
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from replay.datasets.cells.blocks import CODED
from replay.datasets.cells.rejects import RejectedRows
from replay.datasets.files import ReadStream
from replay.datasets.layouts.headless import NETFLIX_COLUMNS

__all__ = ["netflix_blocks"]

BLOCK_BYTES = 1 << 24  # so that there are few tables
MOVIE = re.compile(rb"^(\d+):\r?\n?", re.MULTILINE)
REQUIRED = "a movie and a colon, or user, rating and day between commas"


def netflix_blocks(stream: ReadStream, rejects: RejectedRows) -> Iterator[pa.RecordBatch]:
    """Give the blocks of such files, all four columns; ``rejects`` counts rows of another number of fields."""
    movie, rest, before = b"", b"", 0
    while True:
        data = stream.read(BLOCK_BYTES)
        whole, newline, rest = (rest + data).rpartition(b"\n") if data else (rest, b"", b"")
        text = whole + newline
        if text:
            block, movie, rows = _block(text, movie, before, rejects)
            before += rows
            if block.num_rows:
                yield block
        if not data:
            return


def _block(text: bytes, movie: bytes, before: int, rejects: RejectedRows) -> tuple[pa.RecordBatch, bytes, int]:
    """Return the rows of a part of the file, the movie that its last line belongs to, and how many rows it has."""
    parts = MOVIE.split(text)  # rows, then movie and rows by turns
    movies = [movie, *parts[1::2]]
    sections = [_ended(part) for part in parts[0::2]]
    if not sections[0]:  # as at the beginning of a file
        movies, sections = movies[1:], sections[1:]
    lengths = [section.count(b"\n") for section in sections]
    rows = b"".join(sections)
    found = RejectedRows()
    table = _rows(rows, found)
    owner = np.repeat(np.arange(len(movies), dtype=np.int32), lengths)
    if found.counts:
        kept, lines = [], rows.split(b"\n")
        for at in range(len(owner)):
            if lines[at].count(b",") == len(NETFLIX_COLUMNS) - 2:
                kept.append(at)
            else:
                rejects.add(before + at, "number of fields", REQUIRED)
        owner = owner[kept]
    names = pa.array([one.decode() for one in movies], pa.string())
    ids = pa.DictionaryArray.from_arrays(pa.array(owner), names)
    return pa.RecordBatch.from_arrays([ids, *table], names=list(NETFLIX_COLUMNS)), [movie, *movies][-1], sum(lengths)


def _ended(part: bytes) -> bytes:
    """Return a section without blank lines and with an end of its last line."""
    if b"\n\n" in part or b"\r\n\r\n" in part or part.startswith((b"\n", b"\r")):
        part = b"".join(line for line in part.splitlines(keepends=True) if line.strip())
    return part + b"\n" if part and not part.endswith(b"\n") else part


def _rows(rows: bytes, found: RejectedRows) -> list[pa.Array]:
    names = list(NETFLIX_COLUMNS[1:])
    if not rows:
        return [pa.array([], CODED), pa.array([], pa.string()), pa.array([], pa.string())]
    table = arrow_csv.read_csv(
        io.BytesIO(rows),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=names),
        arrow_csv.ParseOptions(quote_char=False, invalid_row_handler=found.handler(1, REQUIRED)),
        arrow_csv.ConvertOptions(
            column_types={"user": CODED, "rating": pa.string(), "date": pa.string()}, check_utf8=False
        ),
    )
    return [column.combine_chunks() for column in table.columns]
