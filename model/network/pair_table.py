"""How often each item followed each other one, as one table of all pairs: what serving reads of a small catalogue.

A version keeps the neighbours of each item and their counts as lists of one length, which training changes and a delta
describes. Whoever serves needs the table beside them, and they can be read back from it, so that it need not hold both.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["kept_pairs", "pair_table"]


def pair_table(neighbours: NDArray[np.int32], counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the counts of all pairs, float32 (N, N), 0 where a pair is not kept.

    Parameters
    ----------
    neighbours : int32 (N, W), rows of the items that are kept of each, -1 for none.
    counts : float32 (N, W), how often each of them followed.
    """
    table = np.zeros((len(counts), len(counts)), dtype=np.float32)
    for line, columns, values in zip(table, neighbours, counts, strict=True):
        kept = columns >= 0
        line[columns[kept]] = values[kept]
    return table


def kept_pairs(table: NDArray[np.float32], width: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return what a table was made of, where neighbours ascend and each was counted: int32 and float32, (N, width).

    Raises
    ------
    ValueError
        If an item has more neighbours.
    """
    neighbours = np.full((len(table), width), -1, dtype=np.int32)
    counts = np.zeros((len(table), width), dtype=np.float32)
    for line, columns, values in zip(table, neighbours, counts, strict=True):
        kept = np.flatnonzero(line != 0.0)
        if len(kept) > width:
            raise ValueError(f"kept_pairs: at most {width} neighbours of an item are required, got {len(kept)}")
        columns[: len(kept)], values[: len(kept)] = kept, line[kept]
    return neighbours, counts
