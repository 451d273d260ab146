"""Lists of both modes, and who gets which: personalised with NeuMF in the blend, or cold start without it.

A ``Recommender`` is a value: its catalogue, trending list and model version never change under a batch. A new one of
these makes a new ``Recommender``, which takes its place between two batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from model.because import AS_NEW, BY_POPULARITY, BY_TASTE, Because, in_words
from model.catalogue import Catalogue, Item
from model.feedback import NEWCOMER_EVENTS
from model.history import Mode, Profile
from model.network.blend import MODES
from model.network.intent import TEXT_WIDTH, text_vectors
from model.ranking.asked import CatalogueWishes, best_allowed, read_wishes
from model.ranking.cold_start import ColdStart, ScoredItem, Source, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import HistoryBatch, RankedLists, Ranker
from model.ranking.exposure import NewItem
from model.ranking.hint_lifts import HintLifts
from model.ranking.modes import ModeConfig, decide
from model.ranking.signals import Signals
from model.ranking.unknown_items import UnknownItems
from model.reranking.diversified import DiversityConfig, ListMaterial, diversified
from model.reranking.impressions import untouched_impressions
from model.reranking.reasons import ItemSignals, explained
from model.wishes.query import QueryMethod, QueryScorer
from model.wishes.wishes import NO_WISHES, Wishes

__all__ = ["CandidateList", "Recommender"]


_NOTHING_TRENDS = Trending()
_SOURCES: dict[Mode, Source] = {"personalized": "neumf", "cold_start": "trending"}
_MAX_READ = 32  # wishes that are kept as they were read; 3 MB each where there are 100,000 items


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
    wishes : what was asked for.
    unfilled : sentences that say which wishes cannot be fulfilled.
    knows_user : whether something that the user touched or asked for has a say in it.
    query_method : how the query was read; None where nobody read one.
    """

    profile: Profile
    mode: Mode
    known_items: int
    version: str | None
    items: tuple[ScoredItem, ...]
    complete: bool
    new: tuple[NewItem, ...] = ()
    wishes: Wishes = NO_WISHES
    unfilled: tuple[str, ...] = ()
    knows_user: bool = False
    query_method: QueryMethod | None = None


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
    queries : reads queries in words; without it they are left out, and lists say so.
    known : all items that are known, listed or not; those of the catalogue where it is empty. Its renames are those of
        all items here, which are named by their first ids.
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
    queries: QueryScorer | None = None
    known: Catalogue = field(default_factory=Catalogue)

    def with_catalogue(
        self, catalogue: Catalogue, index: ContentIndex, known: Catalogue | None = None
    ) -> "Recommender":
        """Return the same with another catalogue and its index, and without new items that it does not hold.

        Parameters
        ----------
        catalogue, index : what may be listed.
        known : all that is known; by default the catalogue.
        """
        known = catalogue if known is None else known
        return self._with(catalogue=catalogue, index=index, new=_within(self.new, catalogue), known=known)

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

    def with_queries(self, queries: QueryScorer | None) -> "Recommender":
        """Return the same with another reader of queries, whose catalogue may be an earlier one."""
        return self._with(queries=queries)

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
            queries=other.queries,
            known=other.known,
        )

    def genres_of(self, item_id: str) -> tuple[str, ...]:
        """Return the genres of an item, listed or not, none if nobody knows it."""
        first_id = self.known.renames.first_id(item_id)
        item = self.known.find(first_id) or self.catalogue.find(first_id)
        return () if item is None else item.genres

    def decide(self, profile: Profile) -> tuple[Mode, int]:
        """Return this user's mode now, and the number of known items that it was decided by."""
        known_items = 0 if self.ranker is None else self.ranker.known_items(profile)
        return decide(profile.mode, known_items, self.thresholds, self.overrides.get(profile.user_id)), known_items

    @cached_property
    def thresholds(self) -> ModeConfig:
        """Return the thresholds between the modes: those that the version expects most hits of, where they may be."""
        return self.modes if self.ranker is None else self.modes.learnt(self.ranker.handover)

    def read(self, wishes: Sequence[Wishes], *, at_once: bool = False) -> list[CatalogueWishes | None]:
        """Read what each of some lists should be like against the catalogue; None for a list like any other.

        Parameters
        ----------
        wishes : of B lists.
        at_once : whether to leave out queries that were not read before, as reading one may take long.
        """
        return [self._read(one, at_once=at_once) for one in wishes]

    def recommend(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None] | None = None
    ) -> tuple[CandidateList, ...]:
        """Rank for a batch of users.

        Parameters
        ----------
        profiles : B users.
        n : candidates per user; fewer come back where the catalogue or a strict wish has no more.
        asked : what each of the B users asks for, from :meth:`read`; None where nobody asks for anything.

        Returns
        -------
        B candidate lists in the order of ``profiles``.
        """
        asked = asked or [None] * len(profiles)
        decided = [self.decide(profile) for profile in profiles]
        personal = [at for at, (mode, _) in enumerate(decided) if mode == "personalized"]
        cold = [at for at, (mode, _) in enumerate(decided) if mode != "personalized"]
        items: dict[int, tuple[ScoredItem, ...]] = {}
        personalized = partial(self._scored, mode="personalized")
        for where, rank in ((personal, personalized), (cold, self._cold)):
            if where:
                mine = [profiles[at] for at in where]
                items.update(zip(where, rank(mine, n, [asked[at] for at in where]), strict=True))
        return tuple(
            replace(
                self._candidates(profile, items[at], n, wish),
                mode=mode,
                known_items=known_items,
                version=self.version if mode == "personalized" or self._mixes_cold_lists else None,
                new=self.new if wish is None else (),
            )
            for at, (profile, (mode, known_items), wish) in enumerate(zip(profiles, decided, asked, strict=True))
        )

    def degraded(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None] | None = None
    ) -> tuple[CandidateList, ...]:
        """Return lists for when scoring fails: what is similar and what trends, which needs no version."""
        asked = asked or [None] * len(profiles)
        lists = self._unlearnt(profiles, n, asked)
        return tuple(
            self._candidates(profile, items, n, wish)
            for profile, items, wish in zip(profiles, lists, asked, strict=True)
        )

    def _candidates(
        self, profile: Profile, items: tuple[ScoredItem, ...], n: int, wish: CatalogueWishes | None
    ) -> CandidateList:
        """Return candidates in the mode that the user is in, as no version has scored them yet."""
        found = CandidateList(profile, profile.mode, 0, None, items, len(items) < n)
        if wish is not None:
            found = replace(found, wishes=wish.wishes, unfilled=wish.unfilled, query_method=wish.query_method)
        return replace(found, knows_user=self._knows(profile, wish))

    def _knows(self, profile: Profile, wish: CatalogueWishes | None) -> bool:
        """Return whether a user touched something that the catalogue holds, or asks by example or in words."""
        if wish is not None and wish.parts.keys() & {"like", "query"}:
            return True
        return any(one.item_id in self.catalogue for one in profile.recent)

    def _read(self, wishes: Wishes, *, at_once: bool) -> CatalogueWishes | None:
        if wishes.are_none:
            return None
        found = self._already_read.get(wishes)
        if found is not None:
            return found
        queries = None if at_once else self.queries
        found = read_wishes(wishes, self.index, queries, self._popularity, self._alike)
        if not at_once or wishes.query is None:
            if len(self._already_read) >= _MAX_READ:
                self._already_read.clear()
            self._already_read[wishes] = found
        return found

    @cached_property
    def _popularity(self) -> npt.NDArray[np.float64]:
        """Return what trends on the catalogue's rows, float64 (N,), 0..1."""
        return self.cold_start.trend_of(self.trending, self.index).astype(np.float64)

    @cached_property
    def _already_read(self) -> dict[Wishes, CatalogueWishes]:
        return {}

    def _alike(self, item_ids: tuple[str, ...]) -> npt.NDArray[np.float64] | None:
        """Return how alike the catalogue's items are to some by what users did, where the version knows one of them."""
        if self.ranker is None:
            return None
        rows = self.ranker.items.rows(item_ids)
        if not (rows >= 0).any():
            return None
        return self._on_catalogue(self.ranker.alike(rows[rows >= 0]).astype(np.float64))

    def _on_catalogue(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return scores of the version's items (..., M) on the catalogue's rows (..., N), 0 for what it lacks."""
        return np.where(self._version_rows >= 0, scores[..., self._version_rows], 0.0)

    @cached_property
    def _version_rows(self) -> npt.NDArray[np.int64]:
        """Return the version's row of each item of the catalogue, int64 (N,), -1 for none."""
        assert self.ranker is not None, "rows are those of a version"
        return self.ranker.items.rows(self.index.item_ids)

    def _with(self, **changed: Any) -> "Recommender":
        other = replace(self, **changed)
        same = other.catalogue is self.catalogue and other.ranker is self.ranker
        for name in ("_listed", "_version_rows"):
            if same and name in self.__dict__:  # a trending list comes every second, and changes nothing about them
                other.__dict__[name] = self.__dict__[name]
        return other

    def _cold(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None]
    ) -> list[tuple[ScoredItem, ...]]:
        places: dict[tuple[str, ...], list[int]] = {}
        for place, profile in enumerate(profiles):
            groups = profile.groups if profile.sequence < NEWCOMER_EVENTS and self.hint_lifts.groups else ()
            places.setdefault(groups, []).append(place)
        found: dict[int, tuple[ScoredItem, ...]] = {}
        for groups, where in places.items():
            alike = [profiles[place] for place in where]
            wanted = [asked[place] for place in where]
            lists = self._lifted(groups)._cold_alike(alike, n, wanted)  # noqa: SLF001 - of this very class
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

    def _cold_alike(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None]
    ) -> list[tuple[ScoredItem, ...]]:
        """Return cold lists of users who are told the same of what trends."""
        if not self._mixes_cold_lists:
            return self._unlearnt(profiles, n, asked)
        found = self._scored(profiles, n, asked, "cold_start")
        plain = [place for place, wish in enumerate(asked) if wish is None]
        if plain and self._unknown.item_ids:
            assert self.ranker is not None, "what is unknown is so to a version"
            mine = [profiles[place] for place in plain]
            weights = self.ranker.trend_weights(self.ranker.histories(mine))
            others = self._unknown.ranked(weights, mine, n, repeats=self.repeats)
            for place, unknown in zip(plain, others, strict=True):
                found[place] = tuple(sorted((*found[place], *unknown), key=lambda item: -item.score)[:n])
        return found

    @cached_property
    def _unknown(self) -> UnknownItems:
        """Return the catalogue's items that the version has no row for."""
        assert self.ranker is not None, "what is unknown is so to a version"
        rows = np.flatnonzero(self._version_rows < 0)
        return UnknownItems.of(self.index, rows, self.ranker.items, self.trending, self.newcomers)

    @property
    def _mixes_cold_lists(self) -> bool:
        """Return whether the version makes the cold lists too, as its blend has learnt what speaks for an item."""
        return self.ranker is not None and self.ranker.is_blend_learnt

    def _unlearnt(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None]
    ) -> list[tuple[ScoredItem, ...]]:
        """Return lists that need no version."""
        ranked = self.cold_start.rank(
            profiles, self.trending, self.index, n, asked=asked, newcomers=self.newcomers, repeats=self.repeats
        )
        return [tuple(items) for items in ranked]

    def _scored(
        self, profiles: Sequence[Profile], n: int, asked: Sequence[CatalogueWishes | None], mode: Mode
    ) -> list[tuple[ScoredItem, ...]]:
        """Return lists that the version makes; those with wishes are ordered by what is asked for as well."""
        assert self.ranker is not None, "lists are scored by a version"
        histories = self.ranker.histories(profiles)
        plain = np.array([place for place, wish in enumerate(asked) if wish is None], dtype=np.int64)
        wished = np.array([place for place, wish in enumerate(asked) if wish is not None], dtype=np.int64)
        if not len(wished):
            return self._items_of(self._retrieved(histories, n, mode), mode)
        lists: dict[int, tuple[ScoredItem, ...]] = {}
        some = np.arange(len(asked)) if self.ranker.is_exact else wished  # one product for all costs less than two
        logits = self.ranker.logits(histories.taken(some), self._texts([asked[at] for at in some]), self._signals, mode)
        if len(plain):
            mine = histories.taken(plain)
            best = (
                self.ranker.best(logits[plain], mine, n, allowed=self._listed)
                if self.ranker.is_exact
                else self._retrieved(mine, n, mode)
            )
            lists.update(zip(plain.tolist(), self._items_of(best, mode), strict=True))
        wishes = [wish for wish in asked if wish is not None]
        logits = logits[wished] if self.ranker.is_exact else logits
        asking = self._wished([profiles[at] for at in wished], n, wishes, logits, mode)
        lists.update(zip(wished.tolist(), asking, strict=True))
        return [lists[place] for place in range(len(profiles))]

    def _retrieved(self, histories: HistoryBatch, n: int, mode: Mode) -> RankedLists:
        """Return lists without wishes, from an index of candidates where the version has one."""
        assert self.ranker is not None, "lists are scored by a version"
        return self.ranker.rank(histories, n, allowed=self._listed, signals=self._signals, mode=mode)

    def _items_of(self, ranked: RankedLists, mode: Mode) -> list[tuple[ScoredItem, ...]]:
        assert self.ranker is not None, "lists are scored by a version"
        ids = self.ranker.snapshot.items
        return [
            tuple(
                ScoredItem(ids[row], score, _SOURCES[mode], "") for row, score in zip(*places, strict=True) if row >= 0
            )
            for places in zip(ranked.rows.tolist(), ranked.scores.tolist(), strict=True)
        ]

    def _wished(
        self,
        profiles: Sequence[Profile],
        n: int,
        asked: Sequence[CatalogueWishes],
        logits: npt.NDArray[np.float32],
        mode: Mode,
    ) -> list[tuple[ScoredItem, ...]]:
        """Return lists with wishes, over the whole catalogue, of users whose logits are float32 (B, M)."""
        models = self._models(profiles, logits.astype(np.float64))
        chosen = []
        for profile, wish, model in zip(profiles, asked, models, strict=True):
            allowed = wish.allowed.copy()
            if not (self.repeats or wish.wishes.allow_seen):
                allowed[self.index.rows(self.index.known(profile.recent))] = False
            scores = wish.combined(model)
            rows = best_allowed(scores, model, allowed, self.index.shelf_order, n)
            places = zip(rows.tolist(), scores[rows].tolist(), model[rows].tolist(), strict=True)
            chosen.append(tuple(self._asked_for(row, score, own, wish, mode) for row, score, own in places))
        return chosen

    def _models(self, profiles: Sequence[Profile], logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return scores of the whole catalogue without wishes, float64 (B, N), of logits of the version's items (B, M).

        What the version does not know stands behind the rest.
        """
        known = 1.0 / (1.0 + np.exp(-logits))  # as sigmoids of 32 bits the low ones would all be alike
        if (self._version_rows >= 0).all():
            return known[:, self._version_rows]
        trend, likeness = self.cold_start.parts(profiles, self.trending, self.index, newcomers=self.newcomers)
        unknown = np.clip(trend + likeness, 0.0, 1.0) * known.min(axis=1, keepdims=True)
        return np.where(self._version_rows >= 0, self._on_catalogue(known), unknown)

    def _texts(self, asked: Sequence[CatalogueWishes | None]) -> npt.NDArray[np.float32] | None:
        """Return what the version's intent tower reads of the queries, float32 (B, T); None where there are none."""
        assert self.ranker is not None, "a tower is part of a version"
        queries = ["" if wish is None else wish.wishes.query or "" for wish in asked]
        is_read = any(queries) and self.ranker.snapshot.config.text_width == TEXT_WIDTH
        return text_vectors(queries) if is_read else None

    def _asked_for(self, row: int, score: float, own: float, wish: CatalogueWishes, mode: Mode) -> ScoredItem:
        """Return an item of a list with wishes, by its row in the catalogue; ``own`` is its score without them."""
        item_id, reason = self.index.item_ids[row], wish.reason_for(row, self.index, own)
        if reason is not None:
            because, words = reason
            return ScoredItem(item_id, score, "asked", words, because)
        if self._version_rows[row] < 0:
            genre = wish.wanted_genre(row, self.index)
            because = AS_NEW if genre is None else Because("asked", None, (genre,))
            return ScoredItem(item_id, score, "catalogue", in_words(because), because)
        return ScoredItem(item_id, score, _SOURCES[mode], "")

    def diversified(self, lists: Sequence[CandidateList], k: int, config: DiversityConfig) -> list[CandidateList]:
        """Return candidates with the places of lists of k items first, so that these are not all alike.

        Lists with wishes, and those that no version has scored, keep their order.
        """
        found = list(lists)
        if not config.is_on:
            return found
        places = [
            at for at, one in enumerate(lists) if one.version is not None and one.wishes == NO_WISHES and one.items
        ]
        if not places:
            return found
        mine = [lists[at] for at in places]
        scores = _padded([[item.score for item in one.items] for one in mine], -np.inf).astype(np.float32)
        rows = _padded([[self._row_of(item.item_id) for item in one.items] for one in mine], -1).astype(np.int64)
        recents = [self.index.known(one.profile.recent) for one in mine]
        liked = _padded([self.index.rows(recent).tolist() for recent in recents], -1).astype(np.int64)
        likings = _padded([[one.liking for one in recent] for recent in recents], 0.0).astype(np.float32)
        material = ListMaterial.of(self.index.members, rows, scores, liked, likings)
        if config.impression_discount:
            material = replace(material, impressions=_impressions(mine))
        for at, order in zip(places, diversified(material, k, config).tolist(), strict=True):
            first = [place for place in order if place >= 0]
            rest = [place for place in range(len(found[at].items)) if place not in first]
            found[at] = replace(found[at], items=tuple(found[at].items[place] for place in (*first, *rest)))
        return found

    def _row_of(self, item_id: str) -> int:
        """Return an item's row in the catalogue, -1 for none."""
        row = self.index.row(item_id)
        return -1 if row is None else row

    def explain(
        self, lists: Sequence[tuple[CandidateList, Sequence[ScoredItem]]], *, at_once: bool = False
    ) -> list[tuple[ScoredItem, ...]]:
        """Return the chosen items of lists with the signals that put them there.

        What a version scored has no reason until it is chosen, as finding it costs about as much as scoring a list.

        Parameters
        ----------
        lists : candidates and what of them is listed, best first.
        at_once : whether to say only what is known without looking, for when there is no time.
        """
        found = [tuple(items) for _, items in lists]
        for mode in MODES:
            of_mode = [at for at, (one, items) in enumerate(lists) if one.mode == mode and _lacks_reasons(items)]
            if of_mode and not at_once:
                made = self._explained([lists[at] for at in of_mode], mode)
                found = [made[of_mode.index(at)] if at in of_mode else items for at, items in enumerate(found)]
        return [tuple(map(_with_plain_reason, items)) for items in found]

    def _explained(
        self, lists: Sequence[tuple[CandidateList, Sequence[ScoredItem]]], mode: Mode
    ) -> list[tuple[ScoredItem, ...]]:
        assert self.ranker is not None, "what a version scored is explained by it"
        histories = self.ranker.histories([one.profile for one, _ in lists])
        rows = np.full((len(lists), max(len(items) for _, items in lists)), -1, dtype=np.int64)
        for line, (_, items) in zip(rows, lists, strict=True):
            line[: len(items)] = self.ranker.items.rows(item.item_id for item in items)
        named = self.ranker.because(histories, rows, self._signals, mode)
        popular = np.zeros(rows.shape, dtype=np.bool_)
        if mode == "cold_start":
            popular = self.ranker.are_popular(histories, rows, rows.shape[1], self._signals)
        told = zip(lists, rows.tolist(), named.tolist(), popular.tolist(), strict=True)
        return [self._told(one, items, known, near, often) for (one, items), known, near, often in told]

    def _told(
        self,
        one: CandidateList,
        items: Sequence[ScoredItem],
        rows: Sequence[int],
        named: Sequence[int],
        popular: Sequence[bool],
    ) -> tuple[ScoredItem, ...]:
        """Return the items of one list with reasons, those that have none yet."""
        assert self.ranker is not None, "what a version scored is explained by it"
        genres = {genre.casefold(): genre for genre in (*one.wishes.genres.must, *one.wishes.genres.want)}
        touched = {one.item_id: one.liking for one in reversed(one.profile.recent)}
        open_places = [at for at, item in enumerate(items) if item.because is None and rows[at] >= 0]
        signals = []
        for at in open_places:
            item = self.catalogue.find(items[at].item_id) or Item(items[at].item_id, items[at].item_id)
            signals.append(
                ItemSignals(
                    item,
                    item if touched.get(item.item_id, 0.0) > 0.0 else self._item_at(named[at]),
                    float(self._signals.trending[rows[at]]),
                    float(self._signals.newcomers[rows[at]]),
                    popular[at],
                    tuple(genres[genre.casefold()] for genre in item.genres if genre.casefold() in genres),
                )
            )
        found = list(items)
        for at, (because, words), told in zip(open_places, explained(signals, one.mode), signals, strict=True):
            is_similar = one.mode == "cold_start" and told.named is not None and not told.is_popular
            source: Source = "similar" if is_similar else items[at].source
            found[at] = ScoredItem(items[at].item_id, items[at].score, source, words, because)
        return tuple(found)

    def _item_at(self, row: int) -> Item | None:
        """Return an item by its row in the version, None for -1 and for what has left the catalogue."""
        assert self.ranker is not None, "rows are those of a version"
        return None if row < 0 else self.catalogue.find(self.ranker.snapshot.items[row])

    @cached_property
    def _signals(self) -> Signals:
        """Return what trends, on the rows of the version."""
        assert self.ranker is not None, "signals are put on the rows of a version"
        return Signals.of(self.trending, self.newcomers, self.ranker.items)

    @cached_property
    def _listed(self) -> npt.NDArray[np.bool_]:
        """Return which of the model's rows the catalogue still holds."""
        assert self.ranker is not None, "lists are scored by a version"
        return np.fromiter((item_id in self.catalogue for item_id in self.ranker.snapshot.items), np.bool_)


def _padded(lines: Sequence[Sequence[float]], filling: float) -> npt.NDArray[np.float64]:
    """Return lines of several lengths as one array, filled at their ends."""
    found = np.full((len(lines), max([1, *map(len, lines)])), filling)
    for line, values in zip(found, lines, strict=True):
        line[: len(values)] = values
    return found


def _impressions(lists: Sequence[CandidateList]) -> npt.NDArray[np.float32]:
    """Return how often each candidate was shown to its user without being touched, float32 (B, C)."""
    shown = [untouched_impressions(one.profile) for one in lists]
    counts = [[known.get(item.item_id, 0.0) for item in one.items] for known, one in zip(shown, lists, strict=True)]
    return _padded(counts, 0.0).astype(np.float32)


def _lacks_reasons(items: Sequence[ScoredItem]) -> bool:
    return any(item.because is None for item in items)


def _with_plain_reason(item: ScoredItem) -> ScoredItem:
    """Return an item with what its source alone says, where it has no reason."""
    if item.because is not None:
        return item
    because = BY_TASTE if item.source == "neumf" else BY_POPULARITY
    return ScoredItem(item.item_id, item.score, item.source, in_words(because), because)


def _within(new: tuple[NewItem, ...], catalogue: Catalogue) -> tuple[NewItem, ...]:
    return tuple(item for item in new if item.item_id in catalogue)
