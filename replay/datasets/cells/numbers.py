"""Numbers out of cells, fast where all of a block are numbers, exact about the others where they are not."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["NumberColumn", "number_block"]

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WORDS = {"true": "1", "false": "0"}


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of numbers.

    Parameters
    ----------
    numbers : float64 (E,), not a number where a cell holds none.
    is_empty : bool (E,), where there is nothing in the cell; None if in none.
    """

    numbers: NDArray[np.float64]
    is_empty: NDArray[np.bool_] | None = None

    def empty(self) -> NDArray[np.bool_]:
        """Return where there is nothing: bool (E,)."""
        return np.zeros(len(self.numbers), dtype=np.bool_) if self.is_empty is None else self.is_empty

    def take(self, rows: NDArray[np.bool_]) -> "NumberColumn":
        """Return the column of some rows, rows: bool (E,)."""
        return NumberColumn(self.numbers[rows], None if self.is_empty is None else self.is_empty[rows])

    @classmethod
    def joined(cls, blocks: list["NumberColumn"]) -> "NumberColumn":
        """Put the blocks of a column together."""
        values = np.concatenate([block.numbers for block in blocks])
        if all(block.is_empty is None for block in blocks):
            return cls(values)
        return cls(values, np.concatenate([block.empty() for block in blocks]))


def number_block(cells: pa.Array) -> NumberColumn:
    """Return a block's cells as numbers."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_boolean(cells.type) or pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        values = _floats(cells.cast(pa.float64(), safe=False))
        return NumberColumn(values, _flags(cells.is_null()) if cells.null_count else None)
    if not pa.types.is_string(cells.type):
        cells = cells.cast(pa.string())
    if cells.null_count:
        cells = cells.fill_null("")
    try:
        return NumberColumn(_floats(cells.cast(pa.float64())))
    except pa.ArrowInvalid:
        return _judged(cells)


def _judged(cells: pa.Array) -> NumberColumn:
    written = pc.ascii_trim_whitespace(cells)
    for word, number in WORDS.items():
        written = pc.if_else(pc.equal(pc.ascii_lower(written), word), number, written)
    is_number = pc.match_substring_regex(written, NUMBER)
    values = pc.if_else(is_number, written, pa.scalar(None, pa.string())).cast(pa.float64())
    empty = _flags(pc.equal(written, ""))
    return NumberColumn(_floats(values), empty if empty.any() else None)


def _floats(cells: pa.Array) -> NDArray[np.float64]:
    found: NDArray[np.float64] = cells.to_numpy(zero_copy_only=False)
    return found


def _flags(cells: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = cells.to_numpy(zero_copy_only=False)
    return found
