"""Wishes: what a list should be like this time, as the person or the app says it.

A value without a catalogue: whether a genre or an item of a wish exists is found out where the list is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from model.wishes.combining import MAX_WEIGHT, WEIGHTS

__all__ = ["NO_GENRES", "NO_WISHES", "GenreWishes", "Wishes"]


@dataclass(frozen=True, slots=True)
class GenreWishes:
    """Genres that are wanted or not; upper and lower case are the same.

    Parameters
    ----------
    must : every item has all of these.
    want : items that have them come first, those with more of them before those with fewer.
    avoid : items that have them come last.
    never : no item has one of these.
    """

    must: tuple[str, ...] = ()
    want: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


NO_GENRES = GenreWishes()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one list should be like.

    Parameters
    ----------
    genres : wanted and not wanted.
    years : first and last year of release, both included; None leaves that end open. An item of unknown year is listed
        only where both are open.
    query : what is asked for, in words.
    like : items that the list should resemble; they are not listed themselves.
    weights : names of ``combining.WEIGHTS`` with how much each counts, in the place of its default.
    exclude : items not to list.
    allow_seen : whether items that the user has touched may be listed.
    k : length of the list; None for as many as the configuration says.

    Raises
    ------
    ValueError
        If the years are in the wrong order, or a weight has no such name or is out of range.
    """

    genres: GenreWishes = NO_GENRES
    years: tuple[int | None, int | None] = (None, None)
    query: str | None = None
    like: tuple[str, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()
    exclude: tuple[str, ...] = ()
    allow_seen: bool = False
    k: int | None = None

    def __post_init__(self) -> None:
        first, last = self.years
        if first is not None and last is not None and first > last:
            raise ValueError(f"Wishes: years must be the first and then the last, got {self.years!r}")
        for name, weight in self.weights:
            if name not in WEIGHTS or not 0.0 <= weight <= MAX_WEIGHT:
                raise ValueError(
                    f"Wishes: weights must be of {', '.join(WEIGHTS)}, each 0 to {MAX_WEIGHT:g}, "
                    f"got {name!r}: {weight!r}"
                )

    @property
    def are_none(self) -> bool:
        """Tell whether nothing but a length is asked for."""
        return self is NO_WISHES or replace(self, k=None) == NO_WISHES

    def named_by(self, name: Callable[[str], str]) -> "Wishes":
        """Return the same wishes with other ids of the items that they name."""
        if not self.like and not self.exclude:
            return self
        return replace(self, like=tuple(map(name, self.like)), exclude=tuple(map(name, self.exclude)))

    def all_weights(self) -> Mapping[str, float]:
        """Return the weight of every part, those asked for in the place of the defaults."""
        return {**WEIGHTS, **dict(self.weights)}


NO_WISHES = Wishes()
