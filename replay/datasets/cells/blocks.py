"""The blocks of a table with one separator, and of Parquet: only the columns that are wanted, text as it is written."""

import io
from collections.abc import Collection, Generator, Iterator

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from replay.datasets.cells.rejects import RejectedRows
from replay.datasets.files import ReadStream
from replay.datasets.layouts.shape import Shape
from streams.errors import DataError

__all__ = ["BLOCK_BYTES", "CODED", "parquet_blocks", "parquet_header", "table_blocks"]

BLOCK_BYTES = 1 << 22  # small enough for the caches of a core, large enough that ids come back within a block
PARQUET_ROWS = 1 << 18
CODED = pa.dictionary(pa.int32(), pa.string())
PAIR, UNIT = b"::", "\x1f"  # no log holds the latter, and Arrow cuts at one byte


class _Paired:
    """A stream in which each pair of colons is one byte."""

    closed = False

    def __init__(self, stream: ReadStream) -> None:
        self._stream = stream
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        data = self._held + self._stream.read(size)
        self._held = b""
        if data.endswith(b":") and size > 0 and not data.endswith(PAIR) and (more := self._stream.read(1)):
            data += more
        return data.replace(PAIR, UNIT.encode())


def table_blocks(
    stream: ReadStream, shape: Shape, wanted: Collection[str], coded: Collection[str], rejects: RejectedRows
) -> Iterator[pa.RecordBatch]:
    """Give the blocks of a table.

    Parameters
    ----------
    stream : its bytes.
    shape : how it is written.
    wanted : the columns that are read.
    coded : those that are ids, each distinct one held once in a block.
    rejects : where rows of another number of fields are counted.

    Raises
    ------
    DataError
        If it cannot be cut into fields at all.
    """
    names = [str(number) for number in range(len(shape.header))]  # a header may say a name twice
    at = {name: str(shape.header.index(name)) for name in wanted}
    required = f"{len(names)} fields: {', '.join(shape.header)}"
    if shape.has_header:
        required = f"{len(names)} fields, as a table with a header of so many"
    options = arrow_csv.ConvertOptions(
        include_columns=list(at.values()),
        column_types={at[name]: CODED if name in coded else pa.string() for name in wanted},
        check_utf8=False,
        strings_can_be_null=False,
    )
    parsing = arrow_csv.ParseOptions(
        delimiter=UNIT if shape.separator == "::" else shape.separator,
        quote_char='"' if shape.is_quoted else False,
        escape_char="\\" if shape.is_quoted and shape.separator == ";" else False,
        newlines_in_values=shape.is_quoted,
        invalid_row_handler=rejects.handler(1 + shape.has_header, required),
    )
    reading = arrow_csv.ReadOptions(
        use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=int(shape.has_header)
    )
    source = _Paired(stream) if shape.separator == "::" else stream
    try:
        for block in arrow_csv.open_csv(pa.PythonFile(source, mode="r"), reading, parsing, options):
            yield pa.RecordBatch.from_arrays(block.columns, names=list(at))
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise DataError(f"data: a table of {required} is required, got {error}") from error


def parquet_header(source: io.BufferedIOBase, place: str) -> tuple[str, ...]:
    """Return the columns of a Parquet file; raise DataError if it is torn."""
    try:
        with source:
            return tuple(arrow_parquet.ParquetFile(source).schema_arrow.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"data: {place} must be a whole Parquet file, got {error}; fetch or copy it again") from error


def parquet_blocks(
    source: io.BufferedIOBase, wanted: Collection[str], place: str
) -> Generator[pa.RecordBatch, None, None]:
    """Give the blocks of a Parquet file; a row with lists is as many rows as they are long.

    Raises
    ------
    DataError
        If the file is torn, or lists of one row differ in length.
    """
    names = list(wanted)
    try:
        with source:
            for block in arrow_parquet.ParquetFile(source).iter_batches(PARQUET_ROWS, columns=names, use_threads=False):
                yield _unrolled(block.select(names), place)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"data: {place} must be a whole Parquet file, got {error}; fetch or copy it again") from error


def _unrolled(block: pa.RecordBatch, place: str) -> pa.RecordBatch:
    lists = [name for name, kind in zip(block.schema.names, block.schema.types, strict=True) if _is_list(kind)]
    if not lists:
        return block
    parents = block.column(lists[0]).value_parent_indices()
    columns = {}
    for name in block.schema.names:
        column = block.column(name)
        if name in lists and not column.value_parent_indices().equals(parents):
            raise DataError(
                f"data: {place} must hold lists of one length in a row, got others in {lists[0]} and {name}"
            )
        columns[name] = column.flatten() if name in lists else column.take(parents)
    return pa.RecordBatch.from_pydict(columns)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
