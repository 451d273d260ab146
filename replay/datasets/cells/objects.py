"""The blocks of lines that are an object each: JSON, or what Python prints of a dict, as some logs were published."""

import ast
import io
from collections.abc import Collection, Iterator
from typing import Any

import orjson
import pyarrow as pa

from replay.datasets.cells.rejects import RejectedRows
from replay.datasets.files import ReadStream

__all__ = ["object_blocks"]

ROWS = 1 << 17
BUFFER_BYTES = 1 << 20
REQUIRED = "one object"


def object_blocks(
    stream: ReadStream, wanted: Collection[str], rejects: RejectedRows, *, is_json: bool
) -> Iterator[pa.RecordBatch]:
    """Give the blocks of such lines; a key that a line lacks is empty.

    Parameters
    ----------
    stream : the bytes.
    wanted : the keys that are read.
    rejects : where lines that are no object are counted.
    is_json : whether lines are JSON; else they are literals of Python.
    """
    names = list(wanted)
    cells: list[list[str]] = [[] for _ in names]
    row = 0
    for line in io.BufferedReader(stream, BUFFER_BYTES):
        if not line.strip():
            continue
        found = _read(line, is_json=is_json)
        if found is None:
            rejects.add(row, "no object", REQUIRED)
        else:
            for name, column in zip(names, cells, strict=True):
                column.append(_text(found.get(name)))
        row += 1
        if len(cells[0]) == ROWS:
            yield _block(names, cells)
            cells = [[] for _ in names]
    if cells[0]:
        yield _block(names, cells)


def _read(line: bytes, *, is_json: bool) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line) if is_json else ast.literal_eval(line.decode("utf-8", "replace").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int | float) else orjson.dumps(value, default=str).decode()


def _block(names: list[str], cells: list[list[str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in cells], names=names)
