"""Impression discounting: an item counts less the more of its user's lists it was on without being touched [1]_.

After n lists the odds that it comes next are divided by (1 + n) to the power of a weight. What a user was shown is
counted from the lists made for events; nobody says whether they were looked at, and answers to requests do not count.
A count is decayed by the lists that come after it, so an item that made way comes back.

References
----------
.. [1] Lee, Lakshmanan, Tiwari and Shah, "Modeling impression discounting in large-scale recommender systems",
   KDD 2014.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.history import Profile
from model.reranking.mmr import SCORE_EPSILON

__all__ = ["MAX_ITEMS", "discounted", "impressions_after", "untouched_impressions"]

_Floats = NDArray[np.float32]
KEPT_PER_LIST = 0.95  # of a count, by each further list; so an item that is on every list comes to 20
MIN_COUNT = 0.1  # below which a count changes no odds to speak of: an item that was shown once, 45 lists ago
MAX_ITEMS = 100  # with a count, for each user: 2 kB of Redis; the highest counts stay
DIGITS = 3  # of a stored count


def untouched_impressions(profile: Profile) -> dict[str, float]:
    """Return a user's counts by item, without the items among the user's latest interactions."""
    touched = {one.item_id for one in profile.recent}
    return {item_id: n for item_id, n in profile.impressions.items() if item_id not in touched}


def impressions_after(profile: Profile, listed: Iterable[str]) -> dict[str, float]:
    """Return a user's counts once a list with these items was made, highest first."""
    found = {item_id: KEPT_PER_LIST * n for item_id, n in untouched_impressions(profile).items()}
    for item_id in listed:
        found[item_id] = found.get(item_id, 0.0) + 1.0
    ordered = sorted(found.items(), key=lambda one: -one[1])
    return {item_id: round(n, DIGITS) for item_id, n in ordered[:MAX_ITEMS] if n >= MIN_COUNT}


def discounted(scores: _Floats, impressions: _Floats, weight: float) -> _Floats:
    """Return scores with their odds divided by (1 + impressions) ** weight, float32 (B, C).

    Parameters
    ----------
    scores : float32 (B, C), sigmoids of logits, minus infinity where a user has fewer candidates, which stays so.
    impressions : float32 (B, C), how often each candidate was shown.
    weight : how much that counts, 0 for not at all.
    """
    bounded = np.clip(scores.astype(np.float64), SCORE_EPSILON, 1.0 - SCORE_EPSILON)
    odds = bounded / (1.0 - bounded) * (1.0 + impressions) ** -weight
    return np.where(np.isneginf(scores), np.float32("-inf"), odds / (1.0 + odds)).astype(np.float32)
