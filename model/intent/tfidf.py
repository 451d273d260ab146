"""Texts compared by the words that they share, rare words first: what answers where no encoder is installed."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Item
from model.intent.titles import plain_title
from model.intent.words import words_of

__all__ = ["TermIndex", "stem"]

TITLE, GENRE, TAG = 1.0, 1.0, 0.7  # how much a term counts by where it stands
_PLURAL = re.compile(r"(?<=\w{2})(?:ies|es|s)$")


class TermIndex:
    """The terms of items.

    Parameters
    ----------
    items : in the order of the rows.
    english : genre to the English words for it.
    """

    def __init__(self, items: Sequence[Item], english: Mapping[str, str]) -> None:
        self.columns: dict[str, int] = {}
        rows, columns, counts = [], [], []
        for row, item in enumerate(items):
            for term, weight in _terms(item, english).items():
                rows.append(row)
                columns.append(self.columns.setdefault(term, len(self.columns)))
                counts.append(weight)
        self._n_items = len(items)
        self._rows, self._columns = np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)  # ascending rows
        items_with = np.bincount(self._columns, minlength=len(self.columns))
        self._rarity = (1.0 + np.log((1.0 + len(items)) / (1.0 + items_with))).astype(np.float32)
        values = np.array(counts, dtype=np.float32) * self._rarity[self._columns]
        lengths = np.sqrt(np.bincount(self._rows, weights=values * values, minlength=len(items)))
        self._values = (values / np.maximum(lengths, 1e-12)[self._rows]).astype(np.float32)  # rows of length 1

    def query(self, terms: Mapping[str, float]) -> NDArray[np.float32]:
        """Return the vector of weighted terms, float32 (terms,), of length 1 or 0."""
        found = np.zeros(len(self.columns), dtype=np.float32)
        for term, weight in terms.items():
            column = self.columns.get(stem(term))
            if column is not None:
                found[column] += np.float32(weight) * self._rarity[column]
        length = float(np.linalg.norm(found))
        return found / np.float32(length) if length else found

    def knows(self, word: str) -> bool:
        """Tell whether any item has this word."""
        return stem(word) in self.columns

    def mean(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return the direction of some items together, float32 (terms,)."""
        found = np.zeros(len(self.columns), dtype=np.float32)
        for row in rows:
            mine = slice(*np.searchsorted(self._rows, (row, row + 1)))
            found[self._columns[mine]] += self._values[mine]
        length = float(np.linalg.norm(found))
        return found / np.float32(length) if length else found

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosines of a query (terms,) with every item, float32 (N,)."""
        shared = self._values * query[self._columns]
        return np.bincount(self._rows, weights=shared, minlength=self._n_items).astype(np.float32)


def stem(word: str) -> str:
    """Return a word without its plural: "stories" and "story" are one term, and so are "witches" and "witch"."""
    return re.sub(r"(?:y|e|i)$", "", _PLURAL.sub("", word))


def _terms(item: Item, english: Mapping[str, str]) -> dict[str, float]:
    """Return the terms of an item with their weights."""
    found: dict[str, float] = {}
    title = "" if item.title == item.item_id else plain_title(item.title)
    texts = [(title, TITLE), *((english[genre], GENRE) for genre in item.genres), *((tag, TAG) for tag in item.tags)]
    for text, weight in texts:
        for word in words_of(text):
            found[stem(word.text)] = max(weight, found.get(stem(word.text), 0.0))
    return found
