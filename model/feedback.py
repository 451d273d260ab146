"""Whether what a user did says that the user liked the item.

To watch or rate an item is to have chosen it, so every interaction says something of what a user will touch next. Only
a positive one says that others may like the item. A rating is positive from the user's own middle on: the mean of the
ratings before it, and the middle of the scale until there are a few. ``functions.lua`` judges by the same rule.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MIN_OWN_RATINGS",
    "MIN_PROGRESS",
    "NEWCOMER_EVENTS",
    "SCALE_MIDDLE",
    "RatingTallies",
    "are_positive_ratings",
    "is_positive_rating",
    "is_positive_watch",
    "middle_of",
    "wanted_though_disliked",
]


SCALE_MIDDLE = 3.0  # stars
MIN_OWN_RATINGS = 5  # from which a user's mean says more than the scale
ROUNDING = 1e-6  # stars; sums of stars such as 3.7 round, so a mean of equal ratings may lie a little above them
MOST_DISLIKED = 0.9  # that what was not liked may count in training
MIN_PROGRESS = 0.1  # of an item; who leaves earlier did not like what began
NEWCOMER_EVENTS = 10  # of each kind; what people touch in their first ten events is not what they touch later


def middle_of(ratings: int, rating_sum: float) -> float:
    """Return the stars from which a user's next rating is positive, after so many ratings with this sum, in stars."""
    return rating_sum / ratings - ROUNDING if ratings >= MIN_OWN_RATINGS else SCALE_MIDDLE


def is_positive_rating(stars: float, ratings: int, rating_sum: float) -> bool:
    """Tell whether a rating is positive, given the number and the sum of the user's ratings before it."""
    return stars >= middle_of(ratings, rating_sum)


def is_positive_watch(progress: float) -> bool:
    """Tell whether a watch of this share, 0..1, is positive."""
    return progress >= MIN_PROGRESS


def wanted_though_disliked(weights: ArrayLike) -> NDArray[np.float64]:
    """Return how much watches or ratings that are not positive count in training as what users wanted next, 0..1.

    They were chosen, so they count; the more of a disappointment they were, the less. One counts twice as much as it
    weighs, and at most 0.9, where a positive one counts 1: half a star 0.2, two stars 0.8.
    """
    return np.minimum(MOST_DISLIKED, 2.0 * np.asarray(weights, dtype=np.float64))


def are_positive_ratings(users: ArrayLike, stars: ArrayLike) -> NDArray[np.bool_]:
    """Tell which ratings of a whole log are positive, each by its user's ratings before it: bool (E,).

    Parameters
    ----------
    users : (E,), any values that tell users apart, in the order of the ratings.
    stars : float64 (E,).
    """
    rows = np.asarray(users)
    if rows.dtype.kind not in "iu":
        _, rows = np.unique(rows, return_inverse=True)
    order = np.argsort(rows, kind="stable")
    owner, ordered = rows[order], np.asarray(stars, dtype=np.float64)[order]
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1])[: len(owner)])  # where each user begins
    counts = np.diff(starts, append=len(owner))
    before = np.arange(len(owner)) - np.repeat(starts, counts)
    sums = np.cumsum(ordered) - ordered
    sums -= np.repeat(sums[starts], counts)
    middles = np.where(before >= MIN_OWN_RATINGS, sums / np.maximum(before, 1) - ROUNDING, SCALE_MIDDLE)
    found = np.empty(len(owner), dtype=np.bool_)
    found[order] = ordered >= middles
    return found


class RatingTallies:
    """Each user's number and sum of ratings so far, for whoever reads events one after the other.

    Parameters
    ----------
    most : users that are remembered; those who have not rated for longest are forgotten first.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._tallies: dict[str, tuple[int, float]] = {}  # whoever rated last is the last

    def __len__(self) -> int:
        return len(self._tallies)

    def forget(self, user_id: str) -> None:
        """Forget a user's ratings."""
        self._tallies.pop(user_id, None)

    def take_back(self, user_id: str, stars: float) -> None:
        """Count a user's rating no more; later ones are judged without it."""
        ratings, rating_sum = self._tallies.get(user_id, (0, 0.0))
        if ratings > 1:
            self._tallies[user_id] = ratings - 1, rating_sum - stars
        else:
            self._tallies.pop(user_id, None)

    def judge(self, user_id: str, stars: float) -> bool:
        """Tell whether a user's next rating is positive, and count it."""
        ratings, rating_sum = self._tallies.pop(user_id, (0, 0.0))
        self._tallies[user_id] = ratings + 1, rating_sum + stars
        if len(self._tallies) > self._most:
            del self._tallies[next(iter(self._tallies))]
        return is_positive_rating(stars, ratings, rating_sum)
