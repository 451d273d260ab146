"""Ids as numbers: each distinct one is held once, however many rows name it.

Where all ids of a column are whole numbers as they are written, zeros in front of none, nothing is looked up in a table
of texts, which takes most of the time otherwise.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from replay.datasets.cells.blocks import CODED

__all__ = ["CodedBlock", "CodedColumn", "coded_block", "joined"]

CodedBlock: TypeAlias = pa.DictionaryArray | NDArray[np.int64]
TENS = 10 ** np.arange(1, 19, dtype=np.int64)  # from which a number has one more digit
DENSE = 4  # times as many places as rows are a table that is worth it
FEW_PLACES = 1 << 20


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """A column of few distinct texts.

    Parameters
    ----------
    codes : int32 (E,), the place of each row's text in ``names``.
    names : the distinct texts, spaces around them cut off.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def take(self, rows: NDArray[np.bool_]) -> "CodedColumn":
        """Return the column of some rows, rows: bool (E,), and without texts that are in none of them."""
        codes = self.codes[rows]
        used = np.zeros(len(self.names), dtype=np.bool_)
        used[codes] = True
        places = (np.cumsum(used) - 1).astype(np.int32)
        return CodedColumn(
            places[codes], tuple(name for name, is_used in zip(self.names, used, strict=True) if is_used)
        )

    def first_rows(self) -> NDArray[np.int64]:
        """Return the first row of each text: int64 (number of texts,)."""
        found = np.zeros(len(self.names), dtype=np.int64)
        found[self.codes[::-1]] = np.arange(len(self.codes), dtype=np.int64)[::-1]
        return found


def coded_block(cells: pa.Array, *, may_be_numbers: bool) -> CodedBlock:
    """Return a block's cells as numbers if they are numbers, else as places in a dictionary of text.

    Parameters
    ----------
    cells : of a column of ids.
    may_be_numbers : whether the blocks before were.
    """
    numbers = _numbers(cells) if may_be_numbers else None
    return _coded(cells) if numbers is None else numbers


def _numbers(cells: pa.Array) -> NDArray[np.int64] | None:
    """Return ids as numbers, None where one is written in another way than its number."""
    if cells.null_count or not (pa.types.is_string(cells.type) or pa.types.is_integer(cells.type)):
        return None
    try:
        numbers: NDArray[np.int64] = cells.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if len(numbers) and numbers.min() < 0:
        return None
    if pa.types.is_string(cells.type):
        digits = len(numbers) + int(np.searchsorted(TENS, numbers, side="right").sum())
        if digits != pc.sum(pc.binary_length(cells)).as_py():  # a zero in front is a digit more
            return None
    return numbers


def _coded(cells: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_floating(cells.type):  # whole numbers beside empty cells
        whole = pc.cast(cells, pa.int64(), safe=False)
        cells = whole if pc.all(pc.equal(pc.cast(whole, pa.float64()), cells), skip_nulls=True).as_py() else cells
    if cells.null_count:
        cells = pc.cast(cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells, pa.string())
        cells = cells.fill_null("")
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    if cells.type == CODED:
        return cells
    return pa.DictionaryArray.from_arrays(cells.indices.cast(pa.int32()), cells.dictionary.cast(pa.string()))


def joined(blocks: list[CodedBlock]) -> CodedColumn:
    """Put the blocks of a column together."""
    numbers = [block for block in blocks if isinstance(block, np.ndarray)]
    if blocks and len(numbers) == len(blocks):
        blocks.clear()
        return _of_numbers(np.concatenate(numbers))
    return _of_texts([_coded(pa.array(one)) if isinstance(one, np.ndarray) else one for one in blocks])


def _of_numbers(numbers: NDArray[np.int64]) -> CodedColumn:
    most = int(numbers.max(initial=0))
    if most < max(FEW_PLACES, DENSE * len(numbers)):
        is_used = np.zeros(most + 1, dtype=np.bool_)
        is_used[numbers] = True
        different = np.flatnonzero(is_used)
        codes = (np.cumsum(is_used, dtype=np.int32) - 1)[numbers]
    else:
        found, different = pd.factorize(numbers)
        codes = found.astype(np.int32)
    return CodedColumn(codes, tuple(map(str, different.tolist())))


def _of_texts(blocks: list[pa.DictionaryArray]) -> CodedColumn:
    whole = pa.chunked_array(blocks, CODED).unify_dictionaries()
    if not whole.num_chunks:
        return CodedColumn(np.empty(0, dtype=np.int32), ())
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in whole.chunks])
    texts = _decoded(whole.chunk(whole.num_chunks - 1).dictionary)
    names = dict.fromkeys(texts)
    if len(names) < len(texts):
        place = {name: at for at, name in enumerate(names)}
        codes = np.array([place[text] for text in texts], dtype=np.int32)[codes]
    return CodedColumn(codes, tuple(names))


def _decoded(dictionary: pa.Array) -> list[str]:
    """Return texts, spaces cut off: UTF-8 where all of them are, else Latin-1."""
    raw = dictionary.cast(pa.binary()).to_pylist()
    try:
        return [text.decode().strip(" \t\r") for text in raw]
    except UnicodeDecodeError:
        return [text.decode("latin-1").strip(" \t\r") for text in raw]
