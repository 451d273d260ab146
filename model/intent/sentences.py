"""The sentences of a catalogue as vectors, its genres' centroids, and steering a query by them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Item
from model.intent.encoder import Encoder
from model.intent.titles import plain_title

__all__ = ["SentenceIndex", "item_sentence"]

_Floats = NDArray[np.float32]
MAX_TAGS = 20  # of an item's sentence: more would drown its title
TOWARDS, AWAY, NEAREST = 0.3, 0.1, 2  # of steering: shares of the nearest and of the farthest centroids, and how many
ITEMS_PER_CALL = 256  # below a second; whoever gave the encoder may end the making between two calls


class SentenceIndex:
    """The vectors of items.

    Parameters
    ----------
    items : in the order of the rows.
    english : genre to the English words for it.
    encoder : makes the vectors of queries.
    known : vectors of sentences from an earlier index, which are not made again.
    of_items : makes those of items, as ``encoder`` would; by default that.

    Attributes
    ----------
    vectors : float32 (N, width), rows of length 1.
    genres : names, in the order of the centroids.
    centroids : float32 (G, width), the mean direction of each genre's items, of length 1.
    n_known : how many vectors were known.
    """

    def __init__(
        self,
        items: Sequence[Item],
        english: Mapping[str, str],
        encoder: Encoder,
        known: Mapping[str, _Floats] | None = None,
        of_items: Encoder | None = None,
    ) -> None:
        self._encoder = encoder
        self._of_items = of_items or encoder
        self._sentences = [item_sentence(item, english) for item in items]
        self.vectors = self._vectors(known or {})
        self.genres = tuple(sorted({genre for item in items for genre in item.genres}))
        columns = {genre: column for column, genre in enumerate(self.genres)}
        centroids = np.zeros((len(self.genres), encoder.width), dtype=np.float32)
        for row, item in enumerate(items):
            for genre in set(item.genres):
                centroids[columns[genre]] += self.vectors[row]
        self.centroids = _unit(centroids)

    def known(self) -> dict[str, _Floats]:
        """Return the vectors by sentence, for a later index of mostly the same items."""
        return dict(zip(self._sentences, self.vectors, strict=True))

    def encoded(self, sentences: Sequence[str]) -> _Floats:
        """Return the vectors of n sentences, float32 (n, width): many at once cost less."""
        return np.asarray(self._encoder.encode(sentences))

    def steered(self, query: _Floats) -> _Floats:
        """Return a query (width,) moved towards its nearest genres and away from its farthest."""
        if len(self.genres) < 2 * NEAREST:
            return query
        order = np.argsort(self.centroids @ query, kind="stable")
        near, far = self.centroids[order[-NEAREST:]].mean(axis=0), self.centroids[order[:NEAREST]].mean(axis=0)
        moved = query + np.float32(TOWARDS) * near - np.float32(AWAY) * far
        return np.asarray(_unit(moved[None])[0])

    def scores(self, query: _Floats) -> _Floats:
        """Return the cosines of a query (width,) with every item, float32 (N,)."""
        return np.asarray(np.clip(self.vectors @ query, -1.0, 1.0), dtype=np.float32)

    def _vectors(self, known: Mapping[str, _Floats]) -> _Floats:
        found = np.zeros((len(self._sentences), self._encoder.width), dtype=np.float32)
        unknown = [row for row, sentence in enumerate(self._sentences) if sentence not in known]
        self.n_known = len(found) - len(unknown)
        for row, sentence in enumerate(self._sentences):
            if sentence in known:
                found[row] = known[sentence]
        for start in range(0, len(unknown), ITEMS_PER_CALL):
            rows = unknown[start : start + ITEMS_PER_CALL]
            found[rows] = self._of_items.encode([self._sentences[row] for row in rows])
        return found


def item_sentence(item: Item, english: Mapping[str, str]) -> str:
    """Return what is encoded of an item: title without the year, genres, tags."""
    title = "" if item.title == item.item_id else plain_title(item.title)
    genres = " ".join(english[genre] for genre in item.genres)
    return ". ".join(part for part in (title, genres, ", ".join(item.tags[:MAX_TAGS])) if part)


def _unit(rows: _Floats) -> _Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: _Floats = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
