"""The line of a row, found by reading again; asked for once, when a row cannot be."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from replay.datasets.files import Files
from replay.datasets.layouts.shape import Shape

__all__ = ["line_of"]


def line_of(files: Files, names: Sequence[str], shape: Shape, row: int) -> tuple[str, int, str]:
    """Return the file of a row, the line in it, from 1, on which the row begins or ends, and its text.

    Parameters
    ----------
    files, names : the log, in one or more of the files.
    shape : how it is written.
    row : from 0, after the header.
    """
    left = row + (shape.form == "table" and shape.has_header)
    for name in names:
        with files.open(name) as stream:
            for number, text in _rows(io.BufferedReader(stream), shape):
                if left == 0:
                    return files.place(name), number, text
                left -= 1
    return files.place(names[0]), 0, ""


def _rows(stream: Iterable[bytes], shape: Shape) -> Iterable[tuple[int, str]]:
    lines = (line.decode("utf-8", "replace") for line in stream)
    if shape.form == "table" and shape.is_quoted:
        return _quoted(lines, shape.separator)
    if shape.form == "netflix":
        return ((number, text) for number, text in _plain(lines) if not text.endswith(":"))
    return _plain(lines)


def _plain(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.rstrip("\r\n")


def _quoted(lines: Iterator[str], separator: str) -> Iterator[tuple[int, str]]:
    escape = "\\" if separator == ";" else None
    reader = csv.reader(lines, delimiter=separator, escapechar=escape)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = ["?"]
        if fields:
            yield reader.line_num, separator.join(fields)
