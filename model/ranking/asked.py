"""Wishes read against a catalogue: which items may be listed, what each wish says of them, what cannot be fulfilled.

Everything here is on the rows of a ``ContentIndex``, so a list of any kind can be ordered by it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from model.because import Because, in_words, shared_genres
from model.ranking.content import ContentIndex
from model.wishes.combining import combine
from model.wishes.query import QueryMethod, QueryScorer, ReadQuery
from model.wishes.wishes import Wishes

__all__ = ["CatalogueWishes", "best_allowed", "read_wishes"]

_Scores = NDArray[np.float64]
_SHOWN_CHARACTERS = 80  # of a query in a reason
_NAMED = 8  # of a list of names in a sentence: as many as are read at a glance


@dataclass(frozen=True, slots=True)
class CatalogueWishes:
    """Wishes on the rows of a catalogue.

    Parameters
    ----------
    wishes : as they were read.
    allowed : bool (N,), True where an item may be listed.
    parts : float64 (N,) of each part of the score that was asked for, see ``model.wishes.combining``.
    weights : of the parts.
    wanted : the genres wished for that the catalogue has, as it spells them.
    like : the items to resemble that the catalogue has.
    unfilled : sentences that say what cannot be fulfilled.
    query_method : how the query was read; None where nobody read one.
    """

    wishes: Wishes
    allowed: NDArray[np.bool_]
    parts: Mapping[str, _Scores]
    weights: Mapping[str, float]
    wanted: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    query_method: QueryMethod | None = None

    def combined(self, model: NDArray[np.floating]) -> _Scores:
        """Return the scores of all items that a list is ordered by, float64 (N,), given those without wishes."""
        return combine(model.astype(np.float64), self.parts, self.weights)

    def wanted_genre(self, row: int, index: ContentIndex) -> str | None:
        """Return the first genre that was wished for and that an item has."""
        return next((genre for genre in self.wanted if index.in_genre(genre)[row]), None)

    def reason_for(self, row: int, index: ContentIndex, model: float) -> tuple[Because, str] | None:
        """Return which example or words put an item on the list, where they weigh more than the model's score of it.

        The signal comes with its sentence, as the words are the request's own.
        """
        like = self._worth("like", row)
        words = self._worth("query", row) + self._worth("query_genres", row)
        if max(like, words) <= self.weights["model"] * max(0.0, model):
            return None
        if words >= like:
            return Because("asked"), f"Asked for: {str(self.wishes.query)[:_SHOWN_CHARACTERS]}"
        named = [at for at in map(index.row, self.like) if at is not None]
        closest = named[int((index.vectors[named] @ index.vectors[row]).argmax())]
        item = index.items[closest]
        because = Because("content", item.item_id, shared_genres(index.items[row].genres, item.genres))
        return because, in_words(because, item.title)

    def _worth(self, name: str, row: int) -> float:
        return self.weights[name] * float(self.parts[name][row]) if name in self.parts else 0.0


def read_wishes(
    wishes: Wishes,
    index: ContentIndex,
    queries: QueryScorer | None = None,
    popularity: _Scores | None = None,
    behaviour: Callable[[tuple[str, ...]], _Scores | None] | None = None,
) -> CatalogueWishes:
    """Read wishes against the catalogue of an index.

    Parameters
    ----------
    wishes : of one list.
    index : the catalogue's vectors.
    queries : reads queries; without it a query is left out, and that is told.
    popularity : float64 (N,), 0..1, for lists that are asked for in words or by example.
    behaviour : returns how alike the catalogue's items are to some by what users did, float64 (N,), if that is known.
    """
    unfilled: list[str] = []
    read = _read_query(wishes, queries, unfilled)
    if read is not None:
        wishes = _with_query(wishes, read)
    wanted = _known_genres("genres", (*wishes.genres.must, *wishes.genres.want), index, unfilled)
    _known_genres("genres", (*wishes.genres.avoid, *wishes.genres.never), index, unfilled)
    like = _known_items(wishes.like, index, unfilled)
    parts: dict[str, _Scores] = {}
    if wishes.genres.want or wishes.genres.avoid:
        parts["genres"] = _count(wishes.genres.want, index) - _count(wishes.genres.avoid, index)
    if like:
        parts["like"] = _likeness(like, index, behaviour and behaviour(like))
    if read is not None and queries is not None:
        parts["query"] = _on_rows(read.item_scores, queries, index)
        parts["query_genres"] = _weighted(read.genre_weights, index)
    if popularity is not None and (parts.keys() & {"like", "query"} or "popularity" in dict(wishes.weights)):
        parts["popularity"] = popularity
    allowed = _allowed(wishes, index)
    if not allowed.any() and len(index):
        unfilled.append("no item of the catalogue fits all that was asked for strictly")
    method = None if read is None else read.method
    return CatalogueWishes(wishes, allowed, parts, wishes.all_weights(), wanted, like, tuple(unfilled), method)


def best_allowed(
    scores: _Scores, model: NDArray[np.floating], allowed: NDArray[np.bool_], order: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Return the rows of the ``n`` best items that are allowed, best first.

    Parameters
    ----------
    scores : float64 (N,), combined.
    model : float (N,), the score without wishes, which orders what is scored alike.
    allowed : bool (N,).
    order : int64 (N,), rows in the order in which ties are listed.
    n : items.
    """
    ordered = np.where(allowed, scores, -np.inf)[order]
    least = np.partition(ordered, len(ordered) - n)[len(ordered) - n] if len(ordered) > n else -np.inf
    rows = order[(ordered >= least) & (ordered > -np.inf)]
    found: NDArray[np.int64] = rows[np.lexsort((-model[rows], -scores[rows]))][:n]
    return found


def _read_query(wishes: Wishes, queries: QueryScorer | None, unfilled: list[str]) -> ReadQuery | None:
    if wishes.query is None:
        return None
    if queries is None:
        unfilled.append("query was not read: nothing that reads words serves at the moment")
        return None
    read = queries.read(wishes.query)
    if read.unread:
        unfilled.append(f"words of the query that were not understood: {_named(read.unread)}")
    elif read.says_nothing:
        unfilled.append("nothing of the query was understood")
    return read


def _with_query(wishes: Wishes, read: ReadQuery) -> Wishes:
    """Return the wishes with what the query says strictly; what the request says itself wins."""
    never = dict.fromkeys((*wishes.genres.never, *read.never))
    years = wishes.years if wishes.years != (None, None) else read.years
    return replace(
        wishes,
        genres=replace(wishes.genres, never=tuple(never)),
        years=years,
        like=tuple(dict.fromkeys((*wishes.like, *read.like))),
    )


def _known_genres(where: str, genres: Iterable[str], index: ContentIndex, unfilled: list[str]) -> tuple[str, ...]:
    """Return those that the catalogue has, and tell of the others, with the nearest name."""
    known, names = [], {name.casefold(): name for name in index.genres}
    for genre in dict.fromkeys(genres):
        if genre.casefold() in names:
            known.append(names[genre.casefold()])
            continue
        near = get_close_matches(genre.casefold(), names, 1)
        hint = f" (nearest: {names[near[0]]})" if near else ""
        unfilled.append(f"{where}: no genre {genre!r}; the catalogue has {_named(index.genres)}{hint}")
    return tuple(dict.fromkeys(known))


def _known_items(items: Iterable[str], index: ContentIndex, unfilled: list[str]) -> tuple[str, ...]:
    found = {item_id: index.row(item_id) for item_id in items}
    unknown = [item_id for item_id, row in found.items() if row is None]
    if unknown:
        today = map(index.catalogue.renames.id_of_today, unknown)
        unfilled.append(f"like: the catalogue has no item {_named(map(repr, today))}")
    return tuple(item_id for item_id, row in found.items() if row is not None)


def _allowed(wishes: Wishes, index: ContentIndex) -> NDArray[np.bool_]:
    allowed = np.ones(len(index), dtype=np.bool_)
    for genre in wishes.genres.must:
        allowed &= index.in_genre(genre)
    for genre in wishes.genres.never:
        allowed &= ~index.in_genre(genre)
    first, last = wishes.years
    if first is not None or last is not None:
        allowed &= index.years >= (0 if first is None else first)
        allowed &= index.years <= (index.years.max(initial=0) if last is None else last)
    allowed[[row for row in map(index.row, (*wishes.exclude, *wishes.like)) if row is not None]] = False
    return allowed


def _count(genres: tuple[str, ...], index: ContentIndex) -> _Scores:
    """Return how many of some genres each item has, float64 (N,)."""
    found = np.zeros(len(index))
    for genre in genres:
        found += index.in_genre(genre)
    return found


def _weighted(weights: Mapping[str, float], index: ContentIndex) -> _Scores:
    """Return what the weights of genres say of each item, float64 (N,), at most 1."""
    found = np.zeros(len(index))
    for genre, weight in weights.items():
        found += weight * index.in_genre(genre)
    return np.minimum(found, 1.0)


def _likeness(like: tuple[str, ...], index: ContentIndex, behaviour: _Scores | None) -> _Scores:
    """Return the mean cosine with the items to resemble, float64 (N,): by content, and by behaviour where known."""
    rows = [row for row in map(index.row, like) if row is not None]
    found: _Scores = (index.vectors @ index.vectors[rows].mean(axis=0)).astype(np.float64)
    return found if behaviour is None else (found + behaviour) / 2


def _on_rows(item_scores: NDArray[np.float32], queries: QueryScorer, index: ContentIndex) -> _Scores:
    """Return a query's scores on the rows of the index; 0 where the scorer's catalogue lacks an item."""
    if queries.catalogue is index.catalogue:
        return item_scores.astype(np.float64)
    found = np.zeros(len(index))
    for item, score in zip(queries.catalogue, item_scores.tolist(), strict=True):
        row = index.row(item.item_id)
        if row is not None:
            found[row] = score
    return found


def _named(names: Iterable[str]) -> str:
    """Return names in one line, not more than a person reads."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return f"{', '.join(listed[:_NAMED])}{more}"
