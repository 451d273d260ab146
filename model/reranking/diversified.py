"""The places of lists from candidates: by score, less what each of them would repeat.

The next item of a list is the candidate of the highest ``(1 - mmr) * relevance - mmr * mean likeness to what is
listed - calibration * distance of genres``, where relevance is less for what the user was shown often. All users of a
batch take their next item together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.reranking.calibration import distances_with_each, shares_of
from model.reranking.impressions import discounted
from model.reranking.mmr import likeness_to_listed, relevance_of

__all__ = ["DiversityConfig", "ListMaterial", "diversified"]

_Floats = NDArray[np.float32]
_Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DiversityConfig:
    """How much each term counts beside relevance, 0 for not at all.

    Parameters
    ----------
    mmr : weight of the likeness to what is listed, and one less it that of relevance; 0 to below 1.
    calibration : weight of the distance between the list's genres and the user's.
    impression_discount : power by which impressions without a touch lower the odds of an item, 0 to 1.

    Raises
    ------
    ValueError
        If a weight is out of its range.
    """

    mmr: float = 0.0
    calibration: float = 0.0
    impression_discount: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.mmr < 1.0:
            raise ValueError(f"DiversityConfig: mmr must be 0 to below 1, got {self.mmr!r}")
        if not 0.0 <= self.calibration <= 1.0:
            raise ValueError(f"DiversityConfig: calibration must be 0 to 1, got {self.calibration!r}")
        if not 0.0 <= self.impression_discount <= 1.0:
            raise ValueError(f"DiversityConfig: impression_discount must be 0 to 1, got {self.impression_discount!r}")

    @property
    def is_on(self) -> bool:
        """Tell whether lists can differ from their order by score."""
        return max(self.mmr, self.calibration, self.impression_discount) > 0.0


@dataclass(frozen=True, slots=True)
class ListMaterial:
    """What is known of the candidates of B users.

    Parameters
    ----------
    scores : float32 (B, C), sigmoids of logits, minus infinity where a user has fewer candidates.
    vectors : float32 (B, C, D), what the candidates are like, of length 1 or 0.
    genres : float32 (B, C, G), each candidate's split over its genres.
    wanted : float32 (B, G), shares of genres among what each user likes.
    impressions : float32 (B, C), how often each candidate was shown; None where that is not known.
    """

    scores: _Floats
    vectors: _Floats
    genres: _Floats
    wanted: _Floats
    impressions: _Floats | None = None

    @classmethod
    def of(cls, members: _Floats, rows: _Rows, scores: _Floats, liked: _Rows, likings: _Floats) -> "ListMaterial":
        """Look items up.

        Parameters
        ----------
        members : float32 (N, G), 1 where an item has a genre.
        rows : int64 (B, C), of the candidates, -1 for none.
        scores : float32 (B, C), of the candidates.
        liked : int64 (B, L), rows of what users touched, -1 for none.
        likings : float32 (B, L), how much they liked it; what they did not like does not count.
        """
        counted = np.where(liked >= 0, np.maximum(likings, np.float32(0.0)), np.float32(0.0))
        scored = np.where(rows >= 0, scores, np.float32("-inf"))
        found = members[np.maximum(rows, 0)]  # (B, C, G)
        unit = found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), np.float32(1.0e-9))
        return cls(scored, unit, _split(found), shares_of(_split(members[np.maximum(liked, 0)]), counted))


def _split(members: _Floats) -> _Floats:
    """Return each item's even split over its genres, float32 (B, C, G), of those that it has."""
    return np.asarray(members / np.maximum(members.sum(axis=2, keepdims=True), np.float32(1.0)))


def diversified(found: ListMaterial, k: int, config: DiversityConfig) -> NDArray[np.int64]:
    """Return the candidates of each list in their order, int64 (B, K), -1 where a user has no more.

    K is k, or C where there are fewer. Ties go to the earlier candidate.
    """
    scores = found.scores
    if config.impression_discount and found.impressions is not None:
        scores = discounted(scores, found.impressions, config.impression_discount)
    weighed = (1.0 - config.mmr) * relevance_of(scores, k)
    users = np.arange(len(weighed))
    places = np.full((len(weighed), min(k, weighed.shape[1])), -1, dtype=np.int64)
    listed = np.zeros_like(found.vectors[:, 0])  # sums over the lists so far
    genres = np.zeros_like(found.wanted)
    for place in range(places.shape[1]):
        value = weighed - config.mmr * likeness_to_listed(found.vectors, listed, place)
        if config.calibration:
            value -= config.calibration * distances_with_each(found.wanted, genres, found.genres)
        taken = value.argmax(axis=1)
        is_one = ~np.isneginf(value[users, taken])
        places[:, place] = np.where(is_one, taken, -1)
        weighed[users, taken] = -np.inf
        listed += found.vectors[users, taken]
        genres += found.genres[users, taken]
    return places
