"""Arithmetic that several rooms share, on rows of numbers of 32 bits."""

import numpy as np
from numpy.typing import NDArray

from model.vocabulary import Rows

__all__ = ["directed", "leading", "sigmoid"]

GROUP = 16  # columns that are compared as one
SHORTEST = np.float32(1.0e-12)  # what is shorter has no direction


def directed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (..., D) scaled to length one, and zeros as they are."""
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(lengths, SHORTEST))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-x)), 0 of minus infinity."""
    with np.errstate(over="ignore"):  # of what is far below zero, whose share is zero
        return np.asarray(np.float32(1.0) / (np.float32(1.0) + np.exp(-logits)))


def leading(values: NDArray[np.float32], n: int) -> Rows:
    """Return the columns of the ``n`` highest values of each row (R, N), in any order: int64 (R, n).

    Columns are looked at by groups first. The n highest values lie in the n groups whose highest values are highest, so
    that a long row is read once and little of it is put in order.
    """
    groups = values.shape[1] // GROUP
    if groups <= 2 * n:
        return np.argpartition(values, values.shape[1] - n, axis=1)[:, values.shape[1] - n :]
    grouped = values[:, : groups * GROUP].reshape(len(values), GROUP, groups)  # a column and those whole rows behind it
    best = np.argpartition(grouped.max(axis=1), groups - n, axis=1)[:, groups - n :]  # (R, n)
    rest = np.broadcast_to(np.arange(groups * GROUP, values.shape[1]), (len(values), values.shape[1] - groups * GROUP))
    columns = (best[:, None] + groups * np.arange(GROUP)[:, None]).reshape(len(values), -1)
    columns = np.concatenate([columns, rest], axis=1)
    found = np.take_along_axis(values, columns, axis=1)
    chosen = np.argpartition(found, found.shape[1] - n, axis=1)[:, found.shape[1] - n :]
    return np.take_along_axis(columns, chosen, axis=1)
