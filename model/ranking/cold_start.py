"""Lists while no version has learnt a blend: what is trending, and what is like what a user touched.

The first event already changes the list. It takes no training, only the catalogue and the trending lists; while these
are empty, the newest items of the catalogue come first. ``modes`` decides who is cold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.because import AS_NEW, Because, in_words, shared_genres
from model.history import Interaction, Profile
from model.ranking.asked import CatalogueWishes, best_allowed
from model.ranking.content import ContentIndex

__all__ = ["ColdStart", "ColdStartConfig", "ScoredItem", "Source", "Trending", "contrasted"]

Source = Literal["neumf", "trending", "similar", "catalogue", "exposure", "asked"]
_Floats = NDArray[np.float32]
_DECIMALS = 6  # scores closer than this are a tie: the last bits depend on how many users are scored together


@dataclass(frozen=True, slots=True)
class ColdStartConfig:
    """How trending and similarity are blended.

    A user with ``m`` distinct known recent items gives similarity the share
    ``max_share * m / (m + half_share_at)`` and trending the rest.

    Parameters
    ----------
    max_share : share of similarity that is approached with many items, 0..1.
    half_share_at : distinct items at which half of it is reached.
    newcomer_items : distinct items at which newcomers' trending and that of everybody count alike; with fewer, what
        newcomers touch counts more.
    contrast : ratio of the highest trending score to the one at which trending stops being logarithmic;
        with 100, an item of a tenth of the highest popularity gets about half its trend.

    Raises
    ------
    ValueError
        If a field is out of its range.
    """

    max_share: float = 0.9
    half_share_at: float = 20.0
    newcomer_items: float = 10.0
    contrast: float = 100.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise ValueError(f"ColdStartConfig: max_share must be 0 to 1, got {self.max_share!r}")
        if not 0.0 < self.half_share_at < float("inf"):
            raise ValueError(f"ColdStartConfig: half_share_at must be positive, got {self.half_share_at!r}")
        if not 0.0 < self.newcomer_items < float("inf"):
            raise ValueError(f"ColdStartConfig: newcomer_items must be positive, got {self.newcomer_items!r}")
        if not 0.0 < self.contrast < float("inf"):
            raise ValueError(f"ColdStartConfig: contrast must be positive, got {self.contrast!r}")

    def share(self, items: int) -> float:
        """Return the share of similarity for a user with so many distinct known recent items, 0..1."""
        return self.max_share * items / (items + self.half_share_at)


@dataclass(frozen=True, slots=True)
class Trending:
    """The trending list: item -> decayed popularity in any unit, best first."""

    scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, scored: Iterable[tuple[str, float]]) -> "Trending":
        """Order pairs by score, highest first, ties by id.

        Raises
        ------
        ValueError
            If a score is negative or not finite.
        """
        pairs = sorted(scored, key=lambda pair: (-pair[1], pair[0]))
        for item_id, score in pairs:
            if not isfinite(score) or score < 0.0:
                raise ValueError(f"Trending: scores must be finite and not negative, got {score!r} for {item_id!r}")
        return cls(MappingProxyType(dict(pairs)))

    def lifted(self, lifts: Mapping[str, float]) -> "Trending":
        """Return the list with each score times the item's lift, where it has one."""
        return Trending.of((item_id, score * lifts.get(item_id, 1.0)) for item_id, score in self.scores.items())

    def __len__(self) -> int:
        return len(self.scores)


NOTHING_TRENDS = Trending()


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One recommended item.

    Parameters
    ----------
    item_id : the item.
    score : 0..1, higher is better; with wishes what they say is added (``model.wishes.combining``).
    source : ``neumf`` in a personalised list, else the part of the blend that weighed most; ``catalogue`` where no
        part knew the item, ``exposure`` at the place for new ones, and ``asked`` where a wish weighed more than all
        that.
    reason : a sentence for people.
    because : the signal behind it; None until ``model.reranking.reasons`` has looked for it.
    """

    item_id: str
    score: float
    source: Source
    reason: str
    because: Because | None = None


class ColdStart:
    """Ranks a catalogue for cold users.

    Parameters
    ----------
    config : the blend.
    """

    def __init__(self, config: ColdStartConfig | None = None) -> None:
        self.config = config or ColdStartConfig()

    def rank(
        self,
        profiles: Sequence[Profile],
        trending: Trending,
        index: ContentIndex,
        n: int,
        *,
        asked: Sequence[CatalogueWishes | None] = (),
        newcomers: Trending = NOTHING_TRENDS,
        repeats: bool = False,
    ) -> list[list[ScoredItem]]:
        """Return each user's ``n`` best items, best first, without what they touched recently unless repeats are kept.

        A score is ``(1 - share) * trend + share * cosine``. The trend of both lists,
        ``log(1 + contrast * score / highest) / log(1 + contrast)``, is mixed: with m distinct known items that of
        newcomers has the share ``newcomer_items / (newcomer_items + m)``. The cosine with what a user disliked is
        negative and costs an item its place, however it trends. Ties go to the newer item, then to the catalogue's
        order; empty trending lists leave just that order to a new user.

        Parameters
        ----------
        profiles : B users.
        trending : the trending list; items outside the catalogue are ignored.
        index : the catalogue's vectors.
        n : items per user; fewer come back only if no more are left.
        asked : what each of the B users wishes for, None for nothing; empty where nobody does.
        newcomers : the trending list of newcomers; where it is empty that of everybody counts alone.
        repeats : whether users may get what they touched recently.

        Raises
        ------
        ValueError
            If ``n`` is not positive.
        """
        if n < 1:
            raise ValueError(f"ColdStart.rank: n must be at least 1, got {n!r}")
        recents = [index.known(profile.recent) for profile in profiles]
        trend, likeness = self.parts(profiles, trending, index, newcomers=newcomers)
        scores = np.round(trend + likeness, _DECIMALS)
        heats = _trend(newcomers, index, self.config.contrast), _trend(trending, index, self.config.contrast)
        lists = []
        for place, (recent, wish) in enumerate(zip(recents, asked or [None] * len(profiles), strict=True)):
            allowed = np.ones(len(index), dtype=np.bool_) if wish is None else wish.allowed.copy()
            if not (repeats or (wish is not None and wish.wishes.allow_seen)):
                allowed[index.rows(recent)] = False
            model = scores[place]
            combined = model.astype(np.float64) if wish is None else wish.combined(model)
            rows = best_allowed(combined, model, allowed, index.shelf_order, n)
            lists.append(self._list(index, recent, rows, combined, trend[place], likeness[place], wish, heats))
        return lists

    def parts(
        self,
        profiles: Sequence[Profile],
        trending: Trending,
        index: ContentIndex,
        *,
        newcomers: Trending = NOTHING_TRENDS,
    ) -> tuple[_Floats, _Floats]:
        """Return what trending and what similarity says of every item, float32 (B, N) each; their sum is the score."""
        recents = [index.known(profile.recent) for profile in profiles]
        share = np.array([self.config.share(len(recent)) for recent in recents], dtype=np.float32)[:, None]  # (B, 1)
        trend = (1.0 - share) * self._trends(recents, trending, newcomers, index)  # (B, N)
        return trend, share * index.scores(index.profiles(recents))  # (B, N)

    def trend_of(self, trending: Trending, index: ContentIndex) -> _Floats:
        """Return what trends on the catalogue's rows, float32 (N,), 0..1 with 1 at the highest."""
        return _trend(trending, index, self.config.contrast)

    def _trends(
        self, recents: Sequence[Sequence[Interaction]], trending: Trending, newcomers: Trending, index: ContentIndex
    ) -> _Floats:
        """Return what trends for each user, float32 (B, N) or, where all are alike, (1, N)."""
        everybody = _trend(trending, index, self.config.contrast)[None]
        if not len(newcomers):
            return everybody
        items = np.array([len(recent) for recent in recents], dtype=np.float32)[:, None]
        share = np.float32(self.config.newcomer_items) / (np.float32(self.config.newcomer_items) + items)
        mixed: _Floats = share * _trend(newcomers, index, self.config.contrast)[None] + (1.0 - share) * everybody
        return mixed

    def _list(
        self,
        index: ContentIndex,
        recent: Sequence[Interaction],
        rows: NDArray[np.int64],
        scores: NDArray[np.float64],
        trend: _Floats,
        likeness: _Floats,
        wish: CatalogueWishes | None,
        heats: tuple[_Floats, _Floats],
    ) -> list[ScoredItem]:
        """Return one user's list of these rows from the lines (N,) of scores; heats are newcomers' and everybody's."""
        newer, everybody = heats
        closest = _closest(index, recent, rows)
        similar = [
            one > other and near >= 0 for one, other, near in zip(likeness[rows], trend[rows], closest, strict=True)
        ]
        trends = (trend[rows] > 0.0).tolist()
        listed = []
        for place, (row, score) in enumerate(zip(rows.tolist(), scores[rows].tolist(), strict=True)):
            source: Source = "catalogue"
            asked_for = None if wish is None else wish.reason_for(row, index, trend[row] + likeness[row])
            genre = None if wish is None else wish.wanted_genre(row, index)
            title: str | None = None
            if asked_for is not None:
                source, (because, reason) = "asked", asked_for
            else:
                if similar[place]:
                    near = index.items[closest[place]]
                    source, title = "similar", near.title
                    because = Because("content", near.item_id, shared_genres(index.items[row].genres, near.genres))
                elif trends[place]:
                    leads = newer[row] > 0.0 and newer[row] >= everybody[row]
                    source = "trending"
                    because = Because("newcomers" if leads else "trending", None, () if genre is None else (genre,))
                else:
                    because = AS_NEW if genre is None else Because("asked", None, (genre,))
                reason = in_words(because, title)
            listed.append(ScoredItem(index.item_ids[row], max(0.0, score), source, reason, because))
        return listed


def _trend(trending: Trending, index: ContentIndex, contrast: float) -> _Floats:
    """Return trending on the catalogue's rows, float32 (N,), 0..1 with 1 at the highest; zeros if nothing trends."""
    heat = np.zeros(len(index), dtype=np.float64)
    for item_id, score in trending.scores.items():
        row = index.row(item_id)
        if row is not None:
            heat[row] = score
    return contrasted(heat, contrast)


def contrasted(heat: NDArray[np.float64], contrast: float, highest: float | None = None) -> _Floats:
    """Return heat, 0 or more, on a scale from 0 to 1 at the highest, float32 of its shape.

    It is ``log(1 + contrast * heat / highest) / log(1 + contrast)``; zeros where there is no heat at all.

    highest : heat that counts as 1; the highest of these by default.
    """
    highest = heat.max(initial=0.0) if highest is None else highest
    if highest == 0.0:
        return heat.astype(np.float32)
    found: _Floats = (np.log1p(contrast * (heat / highest)) / np.log1p(contrast)).astype(np.float32)
    return found


def _closest(index: ContentIndex, recent: Sequence[Interaction], rows: NDArray[np.int64]) -> list[int]:
    """Return for each row that of the liked recent item that spoke most for it, the newest where none did.

    It is -1 where no recent item was liked.
    """
    newest = recent[: index.config.depth]
    shares = index.shares(newest)
    liked = np.flatnonzero(shares > 0.0)
    if not len(liked):
        return [-1] * len(rows)
    touched = index.rows(newest)[liked]
    cosines = index.vectors[rows] @ index.vectors[touched].T  # (n, L)
    found: list[int] = touched[(cosines * shares[liked]).argmax(axis=1)].tolist()
    return found
