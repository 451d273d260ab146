"""A log's columns, put together block by block; nothing is judged here yet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from replay.datasets.cells.coding import CodedBlock, CodedColumn, coded_block, joined
from replay.datasets.cells.moments import moment_block
from replay.datasets.cells.numbers import NumberColumn, number_block
from replay.datasets.layouts.roles import ABOUT_ITEMS, Roles

__all__ = ["CODED_PARTS", "NUMBERED", "LogColumns", "gather"]

CODED_PARTS = ("user", "item", "kind", *ABOUT_ITEMS)
NUMBERED = ("user", "item")  # parts whose texts may all be numbers
UNSET = ("", "0", "0.0", "false", "False", "[]")


@dataclass(frozen=True, slots=True)
class LogColumns:
    """The columns of a log, in the order of its rows.

    Parameters
    ----------
    n : rows.
    coded : user, item, kind and what is said of items, where there are such columns.
    rating, weight : as they are written.
    times : numbers of the column of times; None where there is no column.
    moments : float64 (E,), milliseconds of the times that are written as text, else not a number; None where all are
        numbers.
    is_event : bool (E,), whether one of the signs is set; None where there are none.
    """

    n: int
    coded: dict[str, CodedColumn]
    rating: NumberColumn | None = None
    weight: NumberColumn | None = None
    times: NumberColumn | None = None
    moments: NDArray[np.float64] | None = None
    is_event: NDArray[np.bool_] | None = None


@dataclass(slots=True)
class _Parts:
    n: int = 0
    coded: dict[str, list[CodedBlock]] = field(default_factory=dict)
    numbers: dict[str, list[NumberColumn]] = field(default_factory=dict)
    moments: list[NDArray[np.float64] | None] = field(default_factory=list)
    is_event: list[NDArray[np.bool_]] = field(default_factory=list)


def gather(
    blocks: Iterable[pa.RecordBatch], roles: Roles, form: str | None, is_enough: Callable[[], bool]
) -> LogColumns:
    """Put the columns of a log together.

    Parameters
    ----------
    blocks : of the columns that are wanted.
    roles : which column has which part.
    form : how times are written, if that is said.
    is_enough : whether reading ends behind the block that was given last.
    """
    parts = _Parts()
    for block in blocks:
        _add(parts, block, roles, form)
        if is_enough():
            break
    numbers = {part: NumberColumn.joined(found) for part, found in parts.numbers.items() if found}
    coded = {}
    for part in list(parts.coded):
        coded[part] = joined(parts.coded.pop(part))
    return LogColumns(
        parts.n,
        coded,
        numbers.get("rating"),
        numbers.get("weight"),
        numbers.get("time"),
        _moments(parts),
        np.concatenate(parts.is_event) if parts.is_event else None,
    )


def _add(parts: _Parts, block: pa.RecordBatch, roles: Roles, form: str | None) -> None:
    parts.n += block.num_rows
    for part, name in roles.columns.items():
        cells = block.column(name)
        if part in CODED_PARTS:
            before = parts.coded.setdefault(part, [])
            may_be = part in NUMBERED and not (before and isinstance(before[-1], pa.DictionaryArray))
            before.append(coded_block(cells, may_be_numbers=may_be))
        elif part == "time":
            numbers, moments = _times(cells, form)
            parts.numbers.setdefault("time", []).append(numbers)
            parts.moments.append(moments)
        else:
            parts.numbers.setdefault(part, []).append(number_block(cells))
    if roles.share is not None:
        played, length = (number_block(block.column(name)) for name in roles.share)
        parts.numbers.setdefault("weight", []).append(_ratio(played.numbers, length.numbers))
    if roles.signs:
        is_set = [
            ~pc.is_in(block.column(name).cast(pa.string()).fill_null(""), pa.array(UNSET)).to_numpy(
                zero_copy_only=False
            )
            for name in roles.signs
        ]
        parts.is_event.append(np.logical_or.reduce(is_set))


def _ratio(played: NDArray[np.float64], length: NDArray[np.float64]) -> NumberColumn:
    """Return shares; of something without length, all if any of it was played, else nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return NumberColumn(np.where(length == 0, (played > 0).astype(np.float64), played / length))


def _times(cells: pa.Array, form: str | None) -> tuple[NumberColumn, NDArray[np.float64] | None]:
    """Return a block's times as numbers, and as moments where some are text."""
    nothing = np.full(len(cells), np.nan)
    if pa.types.is_temporal(cells.type):
        return NumberColumn(nothing), moment_block(cells)
    is_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if form is not None:
        return NumberColumn(nothing), moment_block(cells.cast(pa.string()), form)
    if is_text and len(cells) and "-" in cells[0].as_py()[1:]:
        moments = moment_block(cells)
        if not np.isnan(moments).any():
            return NumberColumn(nothing), moments
    numbers = number_block(cells)
    rest = np.isnan(numbers.numbers) & ~numbers.empty()
    if not is_text or not rest.any():
        return numbers, None
    moments = nothing
    moments[rest] = moment_block(cells.filter(pa.array(rest)))
    return numbers, moments


def _moments(parts: _Parts) -> NDArray[np.float64] | None:
    if all(found is None for found in parts.moments):
        return None
    sizes = [len(one.numbers) for one in parts.numbers["time"]] if "time" in parts.numbers else []
    return np.concatenate(
        [np.full(size, np.nan) if one is None else one for one, size in zip(parts.moments, sizes, strict=True)]
    )
