"""What a version has no row for, in the cold-start lists that its blend makes: items that are newer than it.

For the blend all that could speak for such an item is zero, but that it trends. So it stands where an item would that
nobody has touched yet and that trends as much: before what the version knows and hardly anybody wants.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.arithmetic import sigmoid
from model.because import AS_NEW, Because, in_words
from model.history import Profile
from model.ranking.cold_start import ScoredItem, Source, Trending, contrasted
from model.ranking.content import ContentIndex
from model.ranking.signals import CONTRAST
from model.vocabulary import Rows, Vocabulary

__all__ = ["UnknownItems"]


@dataclass(frozen=True, slots=True)
class UnknownItems:
    """Items of the catalogue that a version does not know, those that trend most first, then the newest.

    Parameters
    ----------
    item_ids : the items.
    trends : float32 (2, M), how much each trends for everybody and among newcomers; 1 for as much as the hottest item
        that the version knows.
    """

    item_ids: tuple[str, ...]
    trends: NDArray[np.float32]

    @classmethod
    def of(
        cls, index: ContentIndex, rows: Rows, known: Vocabulary, trending: Trending, newcomers: Trending
    ) -> "UnknownItems":
        """Find how much items trend.

        Parameters
        ----------
        index : the catalogue.
        rows : of the items in the catalogue, int64 (M,).
        known : items of the version.
        trending, newcomers : the lists of the moment.
        """
        ids = [index.item_ids[row] for row in rows.tolist()]
        trends = np.stack([_trends(ids, known, one) for one in (trending, newcomers)])  # (2, M)
        order = np.lexsort((_shelf_places(index)[rows], -trends[1], -trends[0]))
        return cls(tuple(ids[place] for place in order.tolist()), trends[:, order])

    def ranked(
        self, weights: NDArray[np.float32], profiles: Sequence[Profile], n: int, *, repeats: bool = False
    ) -> list[tuple[ScoredItem, ...]]:
        """Return each user's ``n`` best of these, best first, without what they touched unless repeats are kept.

        weights : float32 (B, 2), what both trends count for each user.
        """
        touched = [set() if repeats else {one.item_id for one in profile.recent} for profile in profiles]
        trending = int(np.count_nonzero(self.trends.any(axis=0)))
        looked_at = trending + n + max(map(len, touched), default=0)  # beyond it all are alike, and in order already
        logits = weights @ self.trends[:, :looked_at]  # (B, m)
        scores = sigmoid(logits)
        lists = []
        for mine, line, order in zip(touched, scores, np.argsort(-logits, axis=1, kind="stable").tolist(), strict=True):
            left = (place for place in order if self.item_ids[place] not in mine)
            lists.append(tuple(self._item(place, float(line[place])) for place, _ in zip(left, range(n), strict=False)))
        return lists

    def _item(self, place: int, score: float) -> ScoredItem:
        everybody, newcomers = self.trends[:, place].tolist()
        because = (
            AS_NEW if everybody == newcomers == 0.0 else Because("newcomers" if newcomers >= everybody else "trending")
        )
        source: Source = "catalogue" if because is AS_NEW else "trending"
        return ScoredItem(self.item_ids[place], score, source, in_words(because), because)


def _trends(item_ids: Sequence[str], known: Vocabulary, trending: Trending) -> NDArray[np.float32]:
    """Return how much items trend, float32 (M,), beside what the version knows, or where that is nothing by itself."""
    heat = np.array([trending.scores.get(item_id, 0.0) for item_id in item_ids])
    highest = max((score for item_id, score in trending.scores.items() if item_id in known), default=0.0)
    return contrasted(heat, CONTRAST, highest or None)


def _shelf_places(index: ContentIndex) -> Rows:
    places = np.empty(len(index), dtype=np.int64)
    places[index.shelf_order] = np.arange(len(index))
    return places
