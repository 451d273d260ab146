"""A query in words, read: what it says of each item, and the contract of whoever reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue

__all__ = ["QueryMethod", "QueryScorer", "ReadQuery"]

QueryMethod = Literal["embedding", "tfidf"]


@dataclass(frozen=True)
class ReadQuery:
    """What a query says.

    Parameters
    ----------
    item_scores : float32 (N,), -1..1, how well each item of the catalogue fits, in the catalogue's order.
    genre_weights : 0..1 of the genres that it asks for, as the catalogue spells them.
    years : first and last year that it names; None where that end is open.
    never : genres that it rules out.
    like : ids of the items that it names.
    unread : its words that were not understood.
    method : how it was read.
    """

    item_scores: NDArray[np.float32]
    genre_weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    years: tuple[int | None, int | None] = (None, None)
    never: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    method: QueryMethod = "embedding"

    @property
    def says_nothing(self) -> bool:
        """Return whether a list would be the same without it."""
        strict = self.years != (None, None) or self.never or self.like
        return not (strict or self.genre_weights or self.item_scores.any())


class QueryScorer(Protocol):
    """Reads queries against one catalogue."""

    @property
    def catalogue(self) -> Catalogue:
        """Return the catalogue whose items are scored."""

    def read(self, text: str) -> ReadQuery:
        """Return what a query says, for the items of ``catalogue``."""
