"""What a list depends on besides the model version and its user: what trends now, for everybody and for newcomers."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.ranking.cold_start import Trending, contrasted
from model.vocabulary import Vocabulary

__all__ = ["CONTRAST", "Signals"]

CONTRAST = 100.0  # an item of a tenth of the highest heat gets about half its trend


@dataclass(frozen=True, slots=True)
class Signals:
    """Trending on the rows of a version.

    Parameters
    ----------
    trending, newcomers : float32 (N,), 0 for an item that does not trend and 1 for the hottest one.
    """

    trending: NDArray[np.float32]
    newcomers: NDArray[np.float32]

    @classmethod
    def none(cls, n_items: int) -> Self:
        """Return those of a moment at which nothing trends."""
        nothing = np.zeros(n_items, dtype=np.float32)
        return cls(nothing, nothing)

    @classmethod
    def of(cls, trending: Trending, newcomers: Trending, items: Vocabulary) -> Self:
        """Put trending lists on the rows of a version's items; others are left out."""
        return cls(_on_rows(trending, items), _on_rows(newcomers, items))


def _on_rows(trending: Trending, items: Vocabulary) -> NDArray[np.float32]:
    heat = np.zeros(len(items), dtype=np.float64)
    rows = items.rows(trending.scores)
    known = rows >= 0
    heat[rows[known]] = np.fromiter(trending.scores.values(), np.float64)[known]
    return contrasted(heat, CONTRAST)
