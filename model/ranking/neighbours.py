"""Which items are similar to one: by what they are, by what users did, and by both."""

from collections.abc import Iterator, Mapping

from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.similar import Neighbours, SimilarItems

__all__ = ["similar_items"]

DEPTH = 3  # times as many of either kind are looked at for both as are listed


def similar_items(index: ContentIndex, ranker: Ranker | None, n: int) -> Iterator[tuple[str, SimilarItems]]:
    """Give each item of a catalogue with the ``n`` that are most similar to it, in catalogue order.

    Parameters
    ----------
    index : of the catalogue.
    ranker : the version that serves, or None.
    n : items of each kind.
    """
    for item_id, content in index.similar_to_all(DEPTH * n):
        behaviour = _behaviour(item_id, index, ranker, DEPTH * n)
        both = _both(item_id, dict(content), dict(behaviour), index, n) if behaviour else content[:n]
        yield item_id, SimilarItems(content[:n], behaviour[:n], both)


def _behaviour(item_id: str, index: ContentIndex, ranker: Ranker | None, n: int) -> Neighbours:
    """Return the items of the catalogue that go with one, none if the version does not know it."""
    row = -1 if ranker is None else int(ranker.items.rows((item_id,))[0])
    if ranker is None or row < 0:
        return ()
    rows, scores = ranker.go_with(row)
    ids = ranker.snapshot.items
    named = ((ids[at], round(float(score), 6)) for at, score in zip(rows.tolist(), scores, strict=True))
    listed = [(other, score) for other, score in named if index.row(other) is not None]
    return tuple(listed[:n])


def _both(
    item_id: str, content: Mapping[str, float], behaviour: Mapping[str, float], index: ContentIndex, n: int
) -> Neighbours:
    """Return the items with the highest means of both scores."""
    scores: dict[str, float] = {}
    for other in dict.fromkeys((*content, *behaviour)):
        cosine = content[other] if other in content else index.cosine(item_id, other)
        scores[other] = round((cosine + behaviour.get(other, 0.0)) / 2.0, 6)
    return tuple(sorted(scores.items(), key=lambda one: -one[1])[:n])
