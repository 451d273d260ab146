"""What an item is like, as a vector: genres, period, title words and tags of the catalogue, nothing learned.

It serves users and items that no training has seen. Vectors follow the catalogue's order and are rebuilt
when the catalogue changes. This is not the network's item embedding, which comes from what users did.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.history import Interaction, distinct_items
from model.similar import Neighbours

__all__ = ["ContentConfig", "ContentIndex", "best_rows"]

_Floats = NDArray[np.float32]
_Flags = NDArray[np.bool_]
_Rows = NDArray[np.int64]
_WORD = re.compile(r"[^\W\d_]{3,}")
_TITLE_COLUMNS = 128  # two titles of three words each share a column by chance once in fifteen pairs
_TAG_COLUMNS = 512  # an item has up to 64 tags
_ROWS_PER_BLOCK = 512  # of the product of all pairs


@dataclass(frozen=True, slots=True)
class ContentConfig:
    """How much each kind of feature counts.

    The defaults of both cold-start configurations were chosen with ``benchmarks/learning/coldstart.py`` on MovieLens
    100k.

    Parameters
    ----------
    genres, years, titles, tags : weight of a kind in the cosine of two items that have all of them; 0 leaves it out.
    period_years : width of a period, years; items this far apart share little.
    half_life : interactions after which one counts half as much in a profile.
    depth : newest distinct items that a profile is made of.

    Raises
    ------
    ValueError
        If a weight is negative or all are zero, or a length is not positive.
    """

    genres: float = 1.0
    years: float = 1.0
    titles: float = 0.15
    tags: float = 1.0
    period_years: float = 5.0
    half_life: float = 5.0
    depth: int = 20

    def __post_init__(self) -> None:
        weights = (self.genres, self.years, self.titles, self.tags)
        if min(weights) < 0.0 or max(weights) <= 0.0:
            raise ValueError(f"ContentConfig: weights must be 0 or more and one above 0, got {weights!r}")
        if min(self.period_years, self.half_life, self.depth) <= 0:
            raise ValueError(
                "ContentConfig: period_years, half_life and depth must be positive, "
                f"got {self.period_years!r}, {self.half_life!r}, {self.depth!r}"
            )


class ContentIndex:
    """The vectors of a catalogue's items.

    Genres weigh by inverse document frequency; a year is spread over the two nearest periods; title words
    that occur in at least two titles weigh by inverse document frequency and are hashed into few columns
    (a word of one title alone can make nothing similar to it), and so do tags. Each kind is scaled to its weight, the
    whole row to length 1; an item without any feature has a row of zeros and is similar to nothing.

    Parameters
    ----------
    catalogue : the items; row numbers follow its order.
    config : weights of the kinds.

    Attributes
    ----------
    items, item_ids : the items and their ids in row order.
    vectors : float32 (N, D), rows of length 1 or 0.
    years : int64 (N,), of release, -1 where unknown.
    members : float32 (N, G), 1 where an item has a genre.
    genres : every genre that occurs, sorted by name.
    shelf_order : int64 (N,), rows by year, newest first, unknown years last, then catalogue order.
    """

    def __init__(self, catalogue: Catalogue, config: ContentConfig | None = None) -> None:
        self.config = config or ContentConfig()
        self.catalogue = catalogue
        self.items = items = tuple(catalogue)
        self.item_ids = tuple(item.item_id for item in items)
        self._rows = {item_id: row for row, item_id in enumerate(self.item_ids)}
        genres, self._genres = _genre_features(items)
        self.vectors = _unit(
            np.hstack(
                [
                    _unit(genres) * np.float32(self.config.genres**0.5),
                    _unit(_year_features(items, self.config.period_years)) * np.float32(self.config.years**0.5),
                    _unit(_word_features([_title_words(item) for item in items], _TITLE_COLUMNS))
                    * np.float32(self.config.titles**0.5),
                    _unit(_tag_features(items)) * np.float32(self.config.tags**0.5),
                ]
            )
        )
        years = np.array([item.year if item.year is not None else -1 for item in items], dtype=np.int64)
        self.years = years
        self.shelf_order = np.argsort(-years, kind="stable")
        self.genres = catalogue.genres()
        self.members = np.zeros((len(items), len(self._genres)), dtype=np.float32)
        for column, has_it in enumerate(self._genres.values()):
            self.members[:, column] = has_it

    def __len__(self) -> int:
        return len(self.item_ids)

    def row(self, item_id: str) -> int | None:
        """Return an item's row, or None if the catalogue does not hold it."""
        return self._rows.get(item_id)

    def in_genre(self, genre: str) -> _Flags:
        """Return bool (N,), True where an item has this genre; upper and lower case are the same."""
        return self._genres.get(genre.casefold(), np.zeros(len(self), dtype=np.bool_))

    def rows(self, interactions: Iterable[Interaction]) -> _Rows:
        """Return the rows of interactions whose items the catalogue holds, int64 (L,)."""
        return np.array([self._rows[one.item_id] for one in interactions], dtype=np.int64)

    def known(self, recent: Iterable[Interaction]) -> tuple[Interaction, ...]:
        """Return the newest interaction of each distinct item that the catalogue holds, newest first."""
        return tuple(one for one in distinct_items(recent) if one.item_id in self._rows)

    def profiles(self, recents: Sequence[Sequence[Interaction]]) -> _Floats:
        """Return what users like, float32 (B, D): weighted sums of their newest items, of length 1 or 0.

        The item at position k (0 is the newest) counts ``liking * 2 ** (-k / half_life)``: one that was disliked is
        subtracted, so that what is like it gets a lower cosine, below 0 where nothing speaks for it.
        """
        found = np.zeros((len(recents), self.vectors.shape[1]), dtype=np.float32)
        for place, recent in enumerate(recents):
            newest = self.known(recent)[: self.config.depth]
            if newest:
                found[place] = self.shares(newest) @ self.vectors[self.rows(newest)]
        return _unit(found)

    def shares(self, newest: Sequence[Interaction]) -> _Floats:
        """Return how much each of the newest items counts, float32 (L,), below 0 where it was disliked."""
        likings = np.array([one.liking for one in newest], dtype=np.float32)
        ages = np.arange(len(newest), dtype=np.float32)
        shares: _Floats = likings * np.exp2(-ages / np.float32(self.config.half_life))
        return shares

    def scores(self, profiles: _Floats) -> _Floats:
        """Return the cosines of profiles (B, D) with every item, float32 (B, N)."""
        return profiles @ self.vectors.T

    def similar(self, item_id: str, n: int) -> Neighbours:
        """Return up to ``n`` items closest to an item, with cosines, best first; () if it is like no other."""
        row = self._rows.get(item_id)
        return () if row is None else self._neighbours(np.array([row]), n)[0]

    def cosine(self, item_id: str, other: str) -> float:
        """Return how alike two items are, 0..1; 0 where one of them is unknown."""
        rows = [self._rows[one] for one in (item_id, other) if one in self._rows]
        return max(0.0, float(self.vectors[rows[0]] @ self.vectors[rows[1]])) if len(rows) == 2 else 0.0  # noqa: PLR2004

    def similar_to_all(self, n: int) -> Iterator[tuple[str, Neighbours]]:
        """Give each item of the catalogue with its ``n`` closest, in catalogue order."""
        for start in range(0, len(self), _ROWS_PER_BLOCK):
            rows = np.arange(start, min(start + _ROWS_PER_BLOCK, len(self)))
            yield from zip(self.item_ids[start : start + _ROWS_PER_BLOCK], self._neighbours(rows, n), strict=True)

    def _neighbours(self, rows: _Rows, n: int) -> list[Neighbours]:
        cosines = np.round(self.scores(self.vectors[rows]), 6)
        cosines[np.arange(len(rows)), rows] = -np.inf
        return [
            tuple((self.item_ids[row], min(1.0, float(line[row]))) for row in best_rows(line, n) if line[row] > 0.0)
            for line in cosines
        ]


def best_rows(scores: _Floats, n: int) -> _Rows:
    """Return the rows of the ``n`` highest scores of a line (N,), best first; ties go to the lower row."""
    if n < 1:
        raise ValueError(f"best_rows: n must be at least 1, got {n!r}")
    if n >= len(scores):
        return np.argsort(-scores, kind="stable")
    least = np.partition(scores, len(scores) - n)[len(scores) - n]
    rows = np.flatnonzero(scores >= least)
    order: _Rows = rows[np.argsort(-scores[rows], kind="stable")][:n]
    return order


def _genre_features(items: Sequence[Item]) -> tuple[_Floats, dict[str, _Flags]]:
    """Return idf-weighted genres, float32 (N, G), and each genre's members, bool (N,), by folded name."""
    names = sorted({genre.casefold() for item in items for genre in item.genres})
    columns = {name: column for column, name in enumerate(names)}
    members = np.zeros((len(items), len(names)), dtype=np.bool_)
    for row, item in enumerate(items):
        members[row, [columns[genre.casefold()] for genre in item.genres]] = True
    rarity = 1.0 + np.log((1.0 + len(items)) / (1.0 + members.sum(axis=0)))
    return (members * rarity).astype(np.float32), {name: members[:, column] for name, column in columns.items()}


def _year_features(items: Sequence[Item], width: float) -> _Floats:
    """Return each year spread linearly over the two nearest periods, float32 (N, P); unknown years are zeros."""
    years = [item.year for item in items if item.year is not None]
    if not years:
        return np.zeros((len(items), 0), dtype=np.float32)
    first = min(years)
    features = np.zeros((len(items), int((max(years) - first) / width) + 2), dtype=np.float32)
    for row, item in enumerate(items):
        if item.year is not None:
            period, share = divmod((item.year - first) / width, 1.0)
            features[row, int(period)] = 1.0 - share
            features[row, int(period) + 1] = share
    return features


def _title_words(item: Item) -> list[str]:
    """Return the different words of a title."""
    return sorted(set(_WORD.findall(item.title.casefold())))


def _tag_features(items: Sequence[Item]) -> _Floats:
    """Return the features of tags, float32 (N, 512), or without columns where nothing has a tag."""
    tags = [sorted({tag.casefold() for tag in item.tags}) for item in items]
    return _word_features(tags, _TAG_COLUMNS if any(tags) else 0)


def _word_features(words: Sequence[Sequence[str]], columns: int) -> _Floats:
    """Return idf-weighted, hashed and signed words of each item, float32 (N, columns)."""
    items_with = Counter(word for line in words for word in line)
    features = np.zeros((len(words), columns), dtype=np.float32)
    for row, line in enumerate(words):
        for word in line:
            if items_with[word] > 1:
                hashed = crc32(word.encode())
                sign = 1.0 if hashed & 0x80000000 else -1.0
                features[row, hashed % columns] += sign * log(len(words) / items_with[word])
    return features


def _unit(rows: _Floats) -> _Floats:
    """Scale rows to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0.0] = 1.0
    scaled: _Floats = np.divide(rows, lengths, dtype=np.float32)
    return scaled
