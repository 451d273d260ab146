"""Whether a round left the weights within bounds: a version that exploded must not even be asked for lists.

A loss that is not a number ends a training by itself. Weights can grow out of hand while the loss stays finite, and
with a few held-out events the gate may not notice.
"""

import math

import numpy as np
from numpy.typing import NDArray

from model.network.cooccurrence import ITEM_COUNTS
from model.network.shape import ITEM_TABLES
from model.network.snapshot import Snapshot

__all__ = ["require_not_diverged"]

COUNTED = (
    "item_genres",
    "evidence.neighbours",
    "evidence.counts",
    *(f"evidence.{name}" for name in ITEM_COUNTS),
    "taste.events",
    "taste.waiting",
)
ROWS = (*ITEM_TABLES, "user_factors", "genre_factors", "taste.factors")
MAX_GROWTH = 10.0  # times what it was before; a round on MovieLens moves it by a few per cent
MIN_SIZE = 0.1  # a smaller weight of before counts as this: new tables start near zero, trained ones have 0.02 to 2


def require_not_diverged(before: Snapshot | None, after: Snapshot) -> None:
    """Raise unless all learnt weights are finite, and none has exploded since the version before.

    In a table each row is compared by itself, with the largest row of before: a round moves few rows, and a single one
    that exploded would be on top of every list.

    Parameters
    ----------
    before : the version that the round started from, if any.
    after : what the round led to.

    Raises
    ------
    FloatingPointError
        If a weight is not a number or infinite, or the root mean square of one or of a row has grown tenfold.
    """
    for name, weight in after.weights.items():
        if name in COUNTED or not weight.size:
            continue
        now = _size(name, weight)
        if not math.isfinite(now):
            raise FloatingPointError(f"round: finite weights are required, got others in {name!r}")
        if before is None:
            continue
        if now <= MAX_GROWTH * MIN_SIZE:
            continue  # whatever it was
        was = before.weights.get(name)
        limit = MAX_GROWTH * max(MIN_SIZE, 0.0 if was is None or not was.size else _size(name, was))
        if now > limit:
            raise FloatingPointError(
                f"round: the root mean square of {name!r} must stay below {limit:.3g}, got {now:.3g}; "
                "lower the learning rate"
            )


def _size(name: str, weight: NDArray[np.float32]) -> float:
    """Return the root mean square, of a table that of its largest row."""
    if name not in ROWS:
        return math.sqrt(float(np.square(weight).mean()))
    if weight.ndim == 1:
        return float(np.abs(weight).max())
    return math.sqrt(float(np.einsum("nd,nd->n", weight, weight).max()) / weight.shape[1])
