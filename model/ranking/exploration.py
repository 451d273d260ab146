"""Places of a list that are left to chance, and how likely each item was to get one.

Lists that always hold what scored best say nothing about the rest: what is never shown is never touched. A few places
drawn uniformly, with the probability written beside each item, make it possible to judge another ranking from the
log: by the mean, over the lists that left a place to chance, of touches divided by that probability. Lists that had
nothing to choose are no part of that mean. docs/explanation/experiments.md says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

__all__ = ["Exploration", "explore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exploration(Generic[T]):
    """A list in two parts.

    Parameters
    ----------
    ranked : items at the places that are given by score, best first.
    drawn : items at the places after them, in the order drawn.
    propensity : how likely each of the drawn was to be among them; 1 where nothing was drawn.
    """

    ranked: tuple[T, ...]
    drawn: tuple[T, ...]
    propensity: float


def explore(items: Sequence[T], k: int, slots: int, draw: Random) -> Exploration[T]:
    """Fill the last places of a list by a uniform draw without replacement.

    With s slots the first ``k - s`` items keep their places, and s of the m items behind them are drawn: each is
    among the drawn with probability s / m. Where m is at most s there is nothing to choose and the list is as ranked.

    Parameters
    ----------
    items : candidates, best first.
    k : length of the list.
    slots : places left to chance, at least 0; more than ``k`` are ``k``.
    draw : decides.
    """
    slots = min(slots, k)
    pool = items[k - slots :]
    if slots == 0 or len(pool) <= slots:
        return Exploration(tuple(items[:k]), (), 1.0)
    return Exploration(tuple(items[: k - slots]), tuple(draw.sample(pool, slots)), slots / len(pool))
