"""The one function that turns wishes into an order: what each part says of an item, times its weight.

    score = model * m + genres * g + like * l + query * q + query_genres * w + popularity * p

``m`` is what the list would be ordered by without wishes, 0..1 for nearly all items. ``g`` is how many of the wanted
genres an item has, less how many of the avoided ones. ``l`` is the likeness to the named items and ``q`` the cosine
with the query, -1..1; ``w`` is what the query says of the item's genres, and ``p`` popularity, 0..1.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_WEIGHT", "WEIGHTS", "combine"]

MAX_WEIGHT = 10.0  # more of one part than ten times another leaves nothing of the other
WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "model": 1.0,
        "genres": 1.1,  # the model's score is at most 1, so that wanted genres come first
        "like": 2.0,  # who names an item wants its like, before what is liked or trends
        "query": 1.0,
        "query_genres": 1.5,  # benchmarks/intent/sensible.py: at 0.15 titles that sound like the query win over genres
        "popularity": 0.05,  # enough to choose between items that fit the words alike
    }
)


def combine(
    model: NDArray[np.float64], parts: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the score that a list with wishes is ordered by, float64 (N,), higher is better.

    Parameters
    ----------
    model : float64 (N,), the score without wishes. It is 64 bits wide, so that small scores still order what a wish
        scores alike.
    parts : float64 (N,) of each name of ``WEIGHTS`` but ``model`` that was asked for.
    weights : of each name.
    """
    scores = weights["model"] * model
    for name, part in parts.items():
        scores = scores + weights[name] * part
    return scores
