"""What ratings and shares say: stars from 0.5 to 5, and how much an event counts.

The top of a scale is five stars and nothing is none of them, so 8 of 10 are four; half a star is the least there is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.datasets.cells.numbers import NumberColumn
from replay.datasets.layouts.names import canonical
from replay.datasets.layouts.table import Layout

__all__ = ["MAX_STARS", "MIN_STARS", "JudgedRatings", "judged_ratings", "judged_shares"]

MIN_STARS, MAX_STARS = 0.5, 5.0
TEN = (1.0, 10.0)
NOT_RATED = -1.0  # as some logs have it beside whole ratings
FEW = 0.05  # of the ratings; if no more are above five, they are wrong rather than of ten
PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class JudgedRatings:
    """What a column of ratings is.

    Parameters
    ----------
    stars : float64 (E,), five where there is no rating.
    is_rated : bool (E,).
    is_bad : bool (E,), outside the scale or no number.
    scale : the bounds that hold.
    codes : whether the column says by a number that a row is not rated.
    notes : what a reader is told.
    """

    stars: NDArray[np.float64]
    is_rated: NDArray[np.bool_]
    is_bad: NDArray[np.bool_]
    scale: tuple[float, float]
    codes: bool = False
    notes: tuple[str, ...] = ()


def judged_ratings(column: NumberColumn, layout: Layout, given: tuple[float, float] | None) -> JudgedRatings:
    """Return the ratings of a log in stars.

    Parameters
    ----------
    column : as it is written.
    layout : what is known of such logs.
    given : the scale, if that is said.
    """
    values, is_empty = column.numbers, column.empty()
    notes: tuple[str, ...] = ()
    scale, unrated = given or layout.scale, layout.unrated
    if scale is None:
        scale, unrated, notes = _told(values)
    is_unrated = np.isin(values, unrated) if unrated else np.zeros(len(values), dtype=np.bool_)
    is_rated = ~is_empty & ~is_unrated
    with np.errstate(invalid="ignore"):
        is_bad = is_rated & ~((values >= scale[0]) & (values <= scale[1]))
        least = min(0.0, scale[0])
        if (least, scale[1]) == (0.0, MAX_STARS):
            stars = np.maximum(values, MIN_STARS)
        else:
            stars = np.maximum((values - least) / (scale[1] - least) * MAX_STARS, MIN_STARS)
    if not is_rated.all():
        stars[~is_rated] = MAX_STARS
    return JudgedRatings(stars, is_rated, is_bad, scale, bool(is_unrated.any()), notes)


def judged_shares(column: NumberColumn, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how much of an item each row says was taken in, 0 to 1, one where it does not say; and which are wrong.

    Parameters
    ----------
    column : shares, or percentages where its name says so.
    name : of the column.
    """
    word = canonical(name)
    unit = PERCENT if "pct" in word or "percent" in word else 1.0
    with np.errstate(invalid="ignore"):
        is_bad = ~column.empty() & ~((column.numbers >= 0) & np.isfinite(column.numbers))
        shares = np.minimum(column.numbers / unit, 1.0)
    shares[column.empty()] = 1.0
    return shares, is_bad


def _told(values: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, ...], tuple[str, ...]]:
    """Return scale, ratings that are none, and notes, as the ratings tell."""
    stars = (MIN_STARS, MAX_STARS)
    with np.errstate(invalid="ignore"):
        high = values > MAX_STARS
        if not high.any():
            return stars, (), ()
        known = values[~np.isnan(values) & (values != NOT_RATED)]
        is_ten = (known == np.floor(known)).all() and known.min() >= TEN[0] and known.max() <= TEN[1]
    if not is_ten or high.sum() <= FEW * len(known):
        return stars, (), ()
    note = "ratings go up to 10, so the scale is taken for 1..10"
    if not (values == NOT_RATED).any():
        return TEN, (), (note,)
    return TEN, (NOT_RATED,), (note, "rating -1 is seen, not rated")
