"""Lists of both modes, and who gets which: personalised with NeuMF in the blend, or cold start without it.

A ``Recommender`` is a value: its catalogue, trending list and model version never change under a batch. A new one of
these makes a new ``Recommender``, which takes its place between two batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS
from model.history import Mode, Profile
from model.ranking.cold_start import ColdStart, ScoredItem, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.exposure import NewItem
from model.ranking.hint_lifts import HintLifts
from model.ranking.modes import ModeConfig, decide
from model.ranking.signals import Signals

__all__ = ["NO_FILTER", "CandidateList", "ListFilter", "Recommender"]


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What a list should be like.

    Parameters
    ----------
    genre : items of this genre come first; with ``strict`` there are no others.
    strict : whether a shorter list is better than other genres.
    exclude : items not to list.
    """

    genre: str | None = None
    strict: bool = False
    exclude: tuple[str, ...] = ()


NO_FILTER = ListFilter()
_NOTHING_TRENDS = Trending()


@dataclass(frozen=True, slots=True)
class CandidateList:
    """A list before the seen items are dropped.

    Parameters
    ----------
    profile : whom it is for.
    mode : of the list.
    known_items : number of distinct recent items that the model knows; it decides the mode.
    version : model version that scored it, None for cold start without a learnt blend.
    items : candidates, best first.
    complete : whether a longer list could hold no further items.
    new : items that may take a place because they are new.
    """

    profile: Profile
    mode: Mode
    known_items: int
    version: str | None
    items: tuple[ScoredItem, ...]
    complete: bool
    new: tuple[NewItem, ...] = ()


@dataclass(frozen=True)
class Recommender:
    """Everything a list is made of, at one moment.

    Parameters
    ----------
    catalogue : what may be listed.
    index : content vectors of the catalogue.
    trending : the merged trending list.
    cold_start : blends trending and similarity.
    modes : the thresholds between the two modes.
    ranker : the serving model version, or None before the first.
    version : its name.
    overrides : modes that a person set, by user id; they win over the thresholds.
    lacks_model : whether a version should serve that could not be loaded, and there is no other.
    newcomers : the merged trending list of what users like in their first events.
    repeats : whether users may get items that they touched before; a version that serves was trained so as well.
    new : new items that lists without wishes may show.
    hint_lifts : what newcomers of a group begin with, for those who have hints.
    """

    catalogue: Catalogue
    index: ContentIndex
    trending: Trending
    cold_start: ColdStart
    modes: ModeConfig
    ranker: Ranker | None = None
    version: str | None = None
    overrides: Mapping[str, Mode] = field(default_factory=lambda: MappingProxyType({}))
    lacks_model: bool = False
    newcomers: Trending = _NOTHING_TRENDS
    repeats: bool = False
    new: tuple[NewItem, ...] = ()
    hint_lifts: HintLifts = field(default_factory=HintLifts)

    def with_catalogue(self, catalogue: Catalogue, index: ContentIndex) -> "Recommender":
        """Return the same with another catalogue and its index, and without new items that it does not hold."""
        return self._with(catalogue=catalogue, index=index, new=_within(self.new, catalogue))

    def with_trending(self, trending: Trending, newcomers: Trending = _NOTHING_TRENDS) -> "Recommender":
        """Return the same with newer trending lists, of all users and of newcomers."""
        return self._with(trending=trending, newcomers=newcomers)

    def with_model(self, ranker: Ranker | None, version: str | None) -> "Recommender":
        """Return the same with another model version."""
        return self._with(ranker=ranker, version=version, lacks_model=False)

    def without_model(self) -> "Recommender":
        """Return the same, knowing that a version should serve which could not be loaded."""
        return self._with(lacks_model=True)

    def with_modes(self, modes: ModeConfig) -> "Recommender":
        """Return the same with other thresholds."""
        return self._with(modes=modes)

    def with_overrides(self, overrides: Mapping[str, Mode]) -> "Recommender":
        """Return the same with other mode overrides."""
        return self._with(overrides=overrides)

    def with_new(self, new: tuple[NewItem, ...]) -> "Recommender":
        """Return the same with other new items, as far as the catalogue still holds them."""
        return self._with(new=_within(new, self.catalogue))

    def with_hint_lifts(self, hint_lifts: HintLifts) -> "Recommender":
        """Return the same with other lifts of hints."""
        return self._with(hint_lifts=hint_lifts)

    def with_surroundings_of(self, other: "Recommender") -> "Recommender":
        """Return this model version and these thresholds with everything else of another recommender."""
        return self._with(
            catalogue=other.catalogue,
            index=other.index,
            trending=other.trending,
            newcomers=other.newcomers,
            cold_start=other.cold_start,
            overrides=other.overrides,
            new=other.new,
            hint_lifts=other.hint_lifts,
        )

    def genres_of(self, item_id: str) -> tuple[str, ...]:
        """Return the genres of an item, none if the catalogue does not hold it."""
        item = self.catalogue.find(item_id)
        return () if item is None else item.genres

    def decide(self, profile: Profile) -> tuple[Mode, int]:
        """Return this user's mode now, and the number of known items that it was decided by."""
        known_items = 0 if self.ranker is None else self.ranker.known_items(profile)
        return decide(profile.mode, known_items, self.thresholds, self.overrides.get(profile.user_id)), known_items

    @cached_property
    def thresholds(self) -> ModeConfig:
        """Return the thresholds between the modes: those that the version expects most hits of, where they may be."""
        return self.modes if self.ranker is None else self.modes.learnt(self.ranker.handover)

    def recommend(
        self, profiles: Sequence[Profile], n: int, list_filter: ListFilter = NO_FILTER
    ) -> tuple[CandidateList, ...]:
        """Rank for a batch of users.

        Parameters
        ----------
        profiles : B users.
        n : candidates per user; fewer come back where the catalogue or a strict filter has no more.

        Returns
        -------
        B candidate lists in the order of ``profiles``.
        """
        decided = [self.decide(profile) for profile in profiles]
        personal = [at for at, (mode, _) in enumerate(decided) if mode == "personalized"]
        cold = [at for at, (mode, _) in enumerate(decided) if mode != "personalized"]
        items: dict[int, tuple[ScoredItem, ...]] = {}
        personalized = partial(self._scored, mode="personalized")
        for where, rank in ((personal, personalized), (cold, self._cold)):
            if where:
                items.update(zip(where, rank([profiles[at] for at in where], n, list_filter), strict=True))
        return tuple(
            CandidateList(
                profile,
                mode,
                known_items,
                self.version if mode == "personalized" or self._mixes_cold_lists else None,
                items[at],
                len(items[at]) < n,
                self.new if list_filter == NO_FILTER else (),
            )
            for at, (profile, (mode, known_items)) in enumerate(zip(profiles, decided, strict=True))
        )

    def degraded(
        self, profiles: Sequence[Profile], n: int, list_filter: ListFilter = NO_FILTER
    ) -> tuple[CandidateList, ...]:
        """Return trending lists, for when scoring fails; they need neither the network nor similarity."""
        strangers = [Profile(profile.user_id, recent=()) for profile in profiles]
        lists = self._unlearnt(strangers, n, list_filter)
        return tuple(
            CandidateList(profile, profile.mode, 0, None, tuple(items), len(items) < n)
            for profile, items in zip(profiles, lists, strict=True)
        )

    def _with(self, **changed: Any) -> "Recommender":
        other = replace(self, **changed)
        same = other.catalogue is self.catalogue and other.ranker is self.ranker
        if same and "_listed" in self.__dict__:  # a trending list comes every second, and changes nothing about it
            other.__dict__["_listed"] = self._listed
        return other

    def _cold(self, profiles: Sequence[Profile], n: int, list_filter: ListFilter) -> list[tuple[ScoredItem, ...]]:
        places: dict[tuple[str, ...], list[int]] = {}
        for place, profile in enumerate(profiles):
            groups = profile.groups if profile.sequence < NEWCOMER_EVENTS and self.hint_lifts.groups else ()
            places.setdefault(groups, []).append(place)
        found: dict[int, tuple[ScoredItem, ...]] = {}
        for groups, where in places.items():
            alike = [profiles[place] for place in where]
            lists = self._lifted(groups)._cold_alike(alike, n, list_filter)  # noqa: SLF001 - of this very class
            found.update(zip(where, lists, strict=True))
        return [found[place] for place in range(len(profiles))]

    def _lifted(self, groups: tuple[str, ...]) -> "Recommender":
        """Return the same with the trending lists of newcomers who belong to these groups."""
        lifts = self.hint_lifts.of(groups)
        if not lifts:
            return self
        if groups not in self._of_groups:
            self._of_groups[groups] = self.with_trending(self.trending.lifted(lifts), self.newcomers.lifted(lifts))
        return self._of_groups[groups]

    @cached_property
    def _of_groups(self) -> dict[tuple[str, ...], "Recommender"]:
        return {}

    def _cold_alike(self, profiles: Sequence[Profile], n: int, list_filter: ListFilter) -> list[tuple[ScoredItem, ...]]:
        """Return cold lists of users who are told the same of what trends."""
        if not self._mixes_cold_lists:
            return self._unlearnt(profiles, n, list_filter)
        found = self._scored(profiles, n, list_filter, "cold_start")
        short = [place for place, items in enumerate(found) if len(items) < n]
        if short:
            others = self._unlearnt([profiles[place] for place in short], n, list_filter)
            for place, unlearnt in zip(short, others, strict=True):
                found[place] = self._filled(found[place], unlearnt, n, list_filter.genre)
        return found

    def _filled(
        self, items: tuple[ScoredItem, ...], others: tuple[ScoredItem, ...], n: int, genre: str | None
    ) -> tuple[ScoredItem, ...]:
        """Return a cold list with what the version does not know behind what it does, items of the genre first."""
        listed = {item.item_id for item in items}
        added = [item for item in others if item.item_id not in listed]
        both = [*items, *added]
        if genre is not None:
            both.sort(key=lambda item: genre not in self.genres_of(item.item_id))
        lowest, filled = inf, []
        for item in both[:n]:
            lowest = min(lowest, item.score)
            filled.append(replace(item, score=lowest))
        return tuple(filled)

    @property
    def _mixes_cold_lists(self) -> bool:
        """Return whether the version makes the cold lists too, as its blend has learnt what speaks for an item."""
        return self.ranker is not None and self.ranker.is_blend_learnt

    def _unlearnt(self, profiles: Sequence[Profile], n: int, list_filter: ListFilter) -> list[tuple[ScoredItem, ...]]:
        """Return lists that need no version."""
        ranked = self.cold_start.rank(
            profiles,
            self.trending,
            self.index,
            n,
            genre=list_filter.genre,
            strict=list_filter.strict,
            exclude=list_filter.exclude,
            newcomers=self.newcomers,
            repeats=self.repeats,
        )
        return [tuple(items) for items in ranked]

    def _scored(
        self, profiles: Sequence[Profile], n: int, list_filter: ListFilter, mode: Mode
    ) -> list[tuple[ScoredItem, ...]]:
        if list_filter.genre is None:
            return self._ranked(profiles, n, self._mask(list_filter), mode)
        preferred = self._ranked(profiles, n, self._mask(list_filter) & self._of_genre(list_filter.genre), mode)
        if list_filter.strict or all(len(items) >= n for items in preferred):
            return preferred
        others = self._ranked(profiles, n, self._mask(list_filter) & ~self._of_genre(list_filter.genre), mode)
        return [(first + rest)[:n] for first, rest in zip(preferred, others, strict=True)]

    def _ranked(
        self, profiles: Sequence[Profile], n: int, allowed: npt.NDArray[np.bool_], mode: Mode
    ) -> list[tuple[ScoredItem, ...]]:
        assert self.ranker is not None, "lists are scored by a version"
        histories = self.ranker.histories(profiles)
        ranked = self.ranker.rank(histories, n, allowed=allowed, signals=self._signals, mode=mode)
        because = self.ranker.nearest(histories, ranked.rows)
        if mode == "cold_start":
            is_popular = self.ranker.are_popular(histories, ranked.rows, n, self._signals)
            because = np.where(is_popular, -1, because)
        return [
            tuple(self._item(row, score, near, mode) for row, score, near in zip(*places, strict=True) if row >= 0)
            for places in zip(ranked.rows.tolist(), ranked.scores.tolist(), because.tolist(), strict=True)
        ]

    def _item(self, row: int, score: float, near: int, mode: Mode) -> ScoredItem:
        assert self.ranker is not None, "lists are scored by a version"
        ids = self.ranker.snapshot.items
        if mode == "personalized":
            return ScoredItem(ids[row], score, "neumf", self._reason(row, near))
        touched = None if near < 0 else self.catalogue.find(ids[near])
        if touched is None:
            return ScoredItem(ids[row], score, "trending", "Trending now")
        return ScoredItem(ids[row], score, "similar", f"Similar to {touched.title}")

    @cached_property
    def _signals(self) -> Signals:
        """Return what trends, on the rows of the version."""
        assert self.ranker is not None, "signals are put on the rows of a version"
        return Signals.of(self.trending, self.newcomers, self.ranker.items)

    def _reason(self, row: int, near: int) -> str:
        """Return why an item is listed, given the history item that is nearest to it, -1 for none."""
        assert self.ranker is not None, "lists are scored by a version"
        if row == near:
            return "You come back to it"
        item = None if near < 0 else self.catalogue.find(self.ranker.snapshot.items[near])
        return "Matches your taste" if item is None else f"Because of {item.title}"

    @cached_property
    def _listed(self) -> npt.NDArray[np.bool_]:
        """Return which of the model's rows the catalogue still holds."""
        assert self.ranker is not None, "lists are scored by a version"
        return np.fromiter((item_id in self.catalogue for item_id in self.ranker.snapshot.items), np.bool_)

    def _mask(self, list_filter: ListFilter) -> npt.NDArray[np.bool_]:
        if not list_filter.exclude:
            return self._listed
        assert self.ranker is not None, "lists are scored by a version"
        wanted = self._listed.copy()
        rows = self.ranker.items.rows(list_filter.exclude)
        wanted[rows[rows >= 0]] = False
        return wanted

    def _of_genre(self, genre: str) -> npt.NDArray[np.bool_]:
        assert self.ranker is not None, "lists are scored by a version"
        wanted = self.index.in_genre(genre)
        rows = (self.index.row(item_id) for item_id in self.ranker.snapshot.items)
        return np.fromiter((row is not None and wanted[row] for row in rows), np.bool_)


def _within(new: tuple[NewItem, ...], catalogue: Catalogue) -> tuple[NewItem, ...]:
    return tuple(item for item in new if item.item_id in catalogue)
