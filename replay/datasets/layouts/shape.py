"""How a file is written, found out from its first bytes: a table, lines of JSON, Parquet, or Netflix' own form."""

import ast
import csv
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from replay.datasets.layouts.headless import NETFLIX, NETFLIX_COLUMNS, headless_of
from replay.datasets.layouts.names import TYPE_MARK
from replay.datasets.layouts.table import PLAIN, Layout, layout_of
from replay.datasets.options import LogOptions

__all__ = ["PARQUET_MAGIC", "Form", "Shape", "is_array", "lines_of", "shape_of"]

Form = Literal["table", "lines", "literals", "parquet", "netflix"]
PARQUET_MAGIC = b"PAR1"
WIDE = (b"\xff\xfe", b"\xfe\xff")  # what UTF-16 begins with
ARRAY = re.compile(rb"\s*\[\s*\{")
SAMPLE = 50  # lines that are looked at
SEPARATORS = ("\t", ";", ",", "|")
NETFLIX_HEAD = re.compile(rb"\d+:\r?\n\d+,[1-5],\d{4}-\d\d-\d\d\r?(?:\n|$)")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is written.

    Parameters
    ----------
    form : of its rows; literals are lines that Python would write of a dict.
    header : the columns in their order, as they are called.
    layout : whose they are.
    separator : between the fields of a table.
    has_header : whether the first line of a table names them.
    is_quoted : whether a quote around a field is no part of it.
    rows : the first of them, for whoever looks.
    """

    form: Form
    header: tuple[str, ...]
    layout: Layout
    separator: str = ","
    has_header: bool = True
    is_quoted: bool = True
    rows: tuple[tuple[str, ...], ...] = ()


def shape_of(head: bytes, options: LogOptions, parquet: tuple[str, ...] | None = None) -> Shape | None:
    """Return how a file is written, None where it is no table of any kind.

    Parameters
    ----------
    head : its first bytes; of the last line perhaps a part.
    options : what is said of it.
    parquet : the columns, where it is Parquet.
    """
    if parquet is not None:
        return Shape("parquet", parquet, layout_of(parquet), has_header=False)
    if NETFLIX_HEAD.match(head):
        return Shape("netflix", NETFLIX_COLUMNS, NETFLIX, has_header=False, is_quoted=False)
    lines = lines_of(head)
    if not lines or head.startswith(WIDE) or b"\0" in head or is_array(head):
        return None
    return _of_objects(lines) if lines[0].lstrip().startswith("{") else _of_table(lines, options)


def is_array(head: bytes) -> bool:
    """Tell whether a file is one array of JSON, with all its rows in it."""
    return ARRAY.match(head) is not None


def lines_of(head: bytes) -> list[str]:
    """Return the first lines that are not blank, whole ones where there is more than one."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_cut = error.start > len(head) - 4  # a letter of more than one byte may be cut off
        text = head[: error.start].decode("utf-8-sig") if is_cut else head.decode("latin-1")
    lines = [line for line in text.split("\n") if line.strip()]
    return [line.rstrip("\r") for line in (lines[:-1] if len(lines) > 1 and len(head) >= 1 << 16 else lines)[:SAMPLE]]


def _of_objects(lines: list[str]) -> Shape | None:
    form: Form = "lines"
    found: list[dict[str, Any]] = []
    for line in lines:
        try:
            row = json.loads(line) if form == "lines" else ast.literal_eval(line)
        except (ValueError, SyntaxError):
            try:
                row = ast.literal_eval(line)
            except (ValueError, SyntaxError):
                continue
            form = "literals"
        if isinstance(row, dict):
            found.append(row)
    header = tuple(dict.fromkeys(key for row in found for key in row))
    rows = tuple(tuple(str(row.get(key, "")) for key in header) for row in found[:5])
    return Shape(form, header, layout_of(header), has_header=False, rows=rows) if header else None


def _of_table(lines: list[str], options: LogOptions) -> Shape | None:
    separator = options.sep or _separator(lines[0])
    if separator is None:
        return None
    is_quoted = separator not in {"\t", "::"} or lines[0].startswith('"')
    rows = tuple(tuple(_cells(line, separator, is_quoted=is_quoted)) for line in lines)
    if options.no_header:
        header = options.columns or tuple(str(number) for number in range(1, len(rows[0]) + 1))
        return Shape(
            "table", header, layout_of(header), separator, has_header=False, is_quoted=is_quoted, rows=rows[:5]
        )
    headless = None if options.columns else headless_of(rows, separator)
    if headless is not None:
        return Shape("table", headless.columns, headless.layout, separator, False, is_quoted, rows[:5])
    header = options.columns or tuple(name.strip() for name in rows[0])
    is_typed = separator == "\t" and all(TYPE_MARK in name for name in header)
    layout = layout_of(header, is_typed=is_typed) if separator != "::" else PLAIN
    return Shape("table", header, layout, separator, is_quoted=is_quoted, rows=rows[1:6])


def _separator(line: str) -> str | None:
    """Return what stands most often between the fields of a line, quoted ones left out."""
    if line.count("::") > 1:
        return "::"
    bare = re.sub(r'"[^"]*"', "", line)
    best = max(SEPARATORS, key=bare.count)
    return best if bare.count(best) else None


def _cells(line: str, separator: str, *, is_quoted: bool) -> list[str]:
    if not is_quoted or len(separator) > 1:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:
        return line.split(separator)
