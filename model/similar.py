"""The items that are similar to one, as a value: made by ``model.ranking.neighbours``, kept in Redis, looked up."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SIMILAR_KINDS", "Neighbours", "SimilarItems"]

Neighbours = tuple[tuple[str, float], ...]
SIMILAR_KINDS = ("content", "behaviour", "both")  # the fields of what is similar, in their order


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """The items that are similar to one, best first, each with a score 0..1.

    Parameters
    ----------
    content : by genres, period, title and tags: a cosine.
    behaviour : by what the same users touch next to it, in shares of the first; none without a version that knows it.
    both : by the mean of the two; where behaviour says nothing, what content says.
    """

    content: Neighbours
    behaviour: Neighbours
    both: Neighbours

    def named_by(self, name: Callable[[str], str]) -> "SimilarItems":
        """Return the same items under other ids."""
        lists = (self.content, self.behaviour, self.both)
        return SimilarItems(*(tuple((name(item_id), score) for item_id, score in one) for one in lists))
