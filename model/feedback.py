"""Whether what a user did says that the user liked the item.

To watch or rate an item is to have chosen it, so every interaction says something of what a user will touch next. Only
a positive one says that others may like the item. A rating is positive from the user's own middle on: the mean of the
ratings before it, and the middle of the scale until there are a few. ``functions.lua`` judges by the same rule.
"""

__all__ = [
    "MIN_OWN_RATINGS",
    "MIN_PROGRESS",
    "NEWCOMER_EVENTS",
    "SCALE_MIDDLE",
    "is_positive_rating",
    "is_positive_watch",
    "middle_of",
]

SCALE_MIDDLE = 3.0  # stars
MIN_OWN_RATINGS = 5  # from which a user's mean says more than the scale
MIN_PROGRESS = 0.1  # of an item; who leaves earlier did not like what began
NEWCOMER_EVENTS = 10  # of each kind; what people touch in their first ten events is not what they touch later


def middle_of(ratings: int, rating_sum: float) -> float:
    """Return the stars from which a user's next rating is positive, after so many ratings with this sum, in stars."""
    return rating_sum / ratings if ratings >= MIN_OWN_RATINGS else SCALE_MIDDLE


def is_positive_rating(stars: float, ratings: int, rating_sum: float) -> bool:
    """Tell whether a rating is positive, given the number and the sum of the user's ratings before it."""
    return stars >= middle_of(ratings, rating_sum)


def is_positive_watch(progress: float) -> bool:
    """Tell whether a watch of this share, 0..1, is positive."""
    return progress >= MIN_PROGRESS
