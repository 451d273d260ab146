"""From profiles to lists: decide, score within the budget, drop what was seen, name the result.

A worker calls this once for each batch of events and once for each request. Nothing here publishes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from model.because import BY_TASTE
from model.history import Mode, Profile
from model.ranking.asked import CatalogueWishes
from model.ranking.cold_start import ScoredItem
from model.ranking.exploration import explore
from model.ranking.exposure import NewItem, expose
from model.ranking.recommender import CandidateList, Recommender
from model.renames import Renames
from model.reranking.diversified import DiversityConfig
from model.reranking.impressions import impressions_after
from model.wishes.wishes import NO_WISHES, Wishes
from streams.records.codec import encode
from streams.records.decoding import RefusedRequest
from streams.records.records import ListedItem, ListMode, ModeChange, Origin, Recommendation, Tier, recommendation_id
from streams.serving.renamed import listed_today, without_hidden
from streams.state.calls import StoredList

T = TypeVar("T")
Asked = Sequence[CatalogueWishes | None]  # as wishes were read; None for a list like any other

__all__ = [
    "NO_EXPERIMENT",
    "Answer",
    "ExperimentContext",
    "Scorer",
    "Scores",
    "SeenFilter",
    "Serving",
    "ServingConfig",
    "Trigger",
    "refusal",
]


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """How lists are made.

    Parameters
    ----------
    k : length of a list.
    overfetch : further candidates that are ranked, because some will turn out to be seen.
    budget_s : seconds that scoring one chunk may take.
    chunk : users scored in one call, so that a large batch does not eat the budget of all.
    wished_scores : most scores of items that lists with wishes hold at once: of a catalogue of
        2,000 items 16 lists, of one of 100,000 one. Many at once cost less in all, but a call that takes a quarter of
        its budget is late where others share the cores.
    read_budget_s : seconds that reading the wishes of one chunk may take; queries that are late are left out.
    explore : last places of a list that are filled by chance from the further candidates.
    expose : share of the lists whose last place goes to a new item; lists that explore have none.
    diversity : what keeps lists from being all alike.
    explain : most lists made at once for which it is looked for what put each item there. Where more are wanted, lists
        are behind events, and what would take longer than ranking them is left out; 0 where nobody reads reasons.
    explain_budget_s : seconds that this may take for one chunk.
    """

    k: int = 10
    overfetch: int = 30
    budget_s: float = 0.150
    chunk: int = 64
    wished_scores: int = 1 << 15
    read_budget_s: float = 0.100
    explore: int = 0
    expose: float = 0.0
    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    explain: int = 16
    explain_budget_s: float = 0.050


@dataclass(frozen=True, slots=True)
class ExperimentContext:
    """Under what lists are made, as written on them.

    Parameters
    ----------
    experiment, arm : the experiment and the users' arm in it; None without one.
    explore : places left to chance; None for as many as the configuration says.
    """

    experiment: str | None = None
    arm: str | None = None
    explore: int | None = None


NO_EXPERIMENT = ExperimentContext()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What led to a list: its identity, its public description, and its event time."""

    identity: str
    described: Mapping[str, Any]
    ts: int

    @classmethod
    def of_event(cls, origin: Origin, event_id: str, ts: int) -> "Trigger":
        """Describe the event at ``origin``."""
        described = {
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": origin.offset,
            "event_id": event_id,
            "timestamp": origin.timestamp,
        }
        return cls(f"{origin.topic}:{origin.partition}:{origin.offset}", described, ts)

    @classmethod
    def of_request(cls, request_id: str, ts: int) -> "Trigger":
        """Describe a request."""
        return cls(f"request:{request_id}", {"request_id": request_id}, ts)


@dataclass(frozen=True, slots=True)
class Answer:
    """One user's list, and what is to be kept with the profile.

    Parameters
    ----------
    recommendation : the list.
    mode : decided for the user.
    change : of the mode, if there was one.
    impressions : what the user was shown so far, this list included; None where what is kept of it stays.
    began : ``Profile.began`` of the user; None where no user was looked at.
    """

    recommendation: Recommendation
    mode: Mode
    change: ModeChange | None
    impressions: Mapping[str, float] | None = None
    began: str | None = None

    def stored(self) -> StoredList:
        """Return the list as it is kept to be looked up."""
        made = self.recommendation
        return StoredList(made.user_id, made.sequence, self.mode, encode(made), self.impressions, self.began)


class Scorer(Protocol):
    """Runs the ranking: under a budget while serving, at leisure in a replay."""

    async def within_budget(self, score: Callable[[], T], fallback: Callable[[], T], *, is_urgent: bool = True) -> T:
        """Return ``score()``, or ``fallback()`` where that cannot be had; what is not urgent may take longer."""


class SeenFilter(Protocol):
    """Tells which items users have touched or hidden: Redis while serving, the offline state in a replay.

    Items are named by their first ids; what was done under their other ids counts.
    """

    async def seen_among(
        self, wanted: Sequence[tuple[Profile, Sequence[str]]], renames: Renames
    ) -> Sequence[frozenset[str]]:
        """Return, for each profile, those of the given items that its user has seen or hidden."""

    async def hidden_among(
        self, wanted: Sequence[tuple[Profile, Sequence[str]]], renames: Renames
    ) -> Sequence[frozenset[str]]:
        """Return, for each profile, those of the given items that its user has hidden."""


class Serving:
    """Makes lists from profiles.

    Parameters
    ----------
    config : sizes and budget.
    scoring : runs the ranking.
    seen : the seen sets.
    wall_clock : milliseconds since the epoch, for ``published_ts``.
    explaining : runs the search for reasons, so that no list is lost to it; by default the same as the ranking.
    reading : runs the reading of wishes, so that slow queries stop no ranking; by default the same as the ranking.
    """

    def __init__(
        self,
        config: ServingConfig,
        scoring: Scorer,
        seen: SeenFilter,
        wall_clock: Callable[[], int],
        explaining: Scorer | None = None,
        reading: Scorer | None = None,
    ) -> None:
        self._config = config
        self._scoring = scoring
        self._explaining = explaining or scoring
        self._reading = reading or scoring
        self._seen = seen
        self._wall_clock = wall_clock

    def now(self) -> int:
        """Return the wall clock, milliseconds since the epoch."""
        return self._wall_clock()

    async def answer(
        self,
        recommender: Recommender,
        wanted: Sequence[tuple[Profile, Trigger]],
        *,
        wishes: Sequence[Wishes] | None = None,
        under: ExperimentContext = NO_EXPERIMENT,
        is_behind: bool = False,
    ) -> tuple[Answer, ...]:
        """Make one list per profile, in the order given; a replay asks for several moments of one user at once.

        Parameters
        ----------
        recommender : ranks.
        wanted : for whom, and what led to it.
        wishes : what each list should be like; None where nobody asks for anything.
        under : what is written on the lists.
        is_behind : whether much more waits. Reasons that take longer than ranking are left out then, and ranking may
            take longer, as these lists are late anyway.
        """
        answers: list[Answer] = []
        wishes = [NO_WISHES] * len(wanted) if wishes is None else wishes
        chunk = self._chunk(recommender, wishes)
        for start in range(0, len(wanted), chunk):
            some = slice(start, start + chunk)
            renames = recommender.known.renames
            profiles = await without_hidden(self._seen.hidden_among, [profile for profile, _ in wanted[some]], renames)
            asked = await self._read(recommender, wishes[some])
            lengths = [self._length(one) for one in wishes[some]]
            candidate_lists = await self._candidate_lists(
                recommender, profiles, asked, lengths, is_urgent=not is_behind
            )
            mixed = recommender.diversified([one for one, _ in candidate_lists], self._config.k, self._config.diversity)
            candidate_lists = [(one, degraded) for one, (_, degraded) in zip(mixed, candidate_lists, strict=True)]
            triggers = [trigger for _, trigger in wanted[some]]
            drafts = [
                self._draft(candidates, trigger, k, under, degraded=degraded)
                for (candidates, degraded), trigger, k in zip(candidate_lists, triggers, lengths, strict=True)
            ]
            drafts = await self._explained(
                recommender, drafts, is_behind=is_behind or len(wanted) > self._config.explain
            )
            answers += [
                self._answer(draft, trigger, under, renames) for draft, trigger in zip(drafts, triggers, strict=True)
            ]
        return tuple(answers)

    def _length(self, wishes: Wishes) -> int:
        return self._config.k if wishes.k is None else wishes.k

    def _chunk(self, recommender: Recommender, wishes: Sequence[Wishes]) -> int:
        """Return for how many users to score in one call."""
        if all(one.are_none for one in wishes):
            return self._config.chunk
        return max(1, min(self._config.chunk, self._config.wished_scores // max(1, len(recommender.index))))

    async def _read(self, recommender: Recommender, wishes: Sequence[Wishes]) -> Asked:
        """Read wishes, as far as the budget goes."""
        if all(one.are_none for one in wishes):
            return [None] * len(wishes)
        return await self._reading.within_budget(
            partial(recommender.read, wishes), partial(recommender.read, wishes, at_once=True)
        )

    async def _candidate_lists(
        self,
        recommender: Recommender,
        profiles: Sequence[Profile],
        asked: Asked,
        lengths: Sequence[int],
        *,
        is_urgent: bool,
    ) -> list[tuple[CandidateList, bool]]:
        """Score, drop the seen unless repeats are kept, and look deeper for users who are left with too few."""
        found: dict[int, tuple[CandidateList, bool]] = {}
        short: Sequence[int] = range(len(profiles))
        n = max(lengths, default=0) + self._config.overfetch
        while short:
            of_short = [profiles[place] for place in short], [asked[place] for place in short]
            scored, degraded = await self._scoring.within_budget(
                partial(_scored, recommender, *of_short, n),
                partial(_degraded, recommender, *of_short, n),
                is_urgent=is_urgent,
            )
            unseen = await self._unseen(scored, recommender.known.renames, repeats=recommender.repeats)
            kept = dict(zip(short, unseen, strict=True))
            found.update({place: (candidates, degraded) for place, candidates in kept.items()})
            short = [
                place
                for place, candidates in kept.items()
                if len(candidates.items) < lengths[place] and not candidates.complete
            ]
            n *= 4
        return [found[place] for place in range(len(profiles))]

    async def _unseen(
        self, candidate_lists: Sequence[CandidateList], renames: Renames, *, repeats: bool
    ) -> list[CandidateList]:
        """Drop hidden items, and seen ones unless repeats are kept; who has none of these needs no look-up."""
        found = list(candidate_lists)
        for may_repeat in (False, True):
            places = [
                place
                for place, one in enumerate(candidate_lists)
                if (repeats or one.wishes.allow_seen) is may_repeat and _has_unlisted(one.profile, repeats=may_repeat)
            ]
            if places:
                among = self._seen.hidden_among if may_repeat else self._seen.seen_among
                asked = [candidate_lists[place] for place in places]
                wanted = [(one.profile, [*_ids(one.items), *_ids(one.new)]) for one in asked]
                seen = await among(wanted, renames)
                for place, items in zip(places, seen, strict=True):
                    found[place] = _without(found[place], items)
        return found

    async def _explained(
        self, recommender: Recommender, drafts: Sequence["_Draft"], *, is_behind: bool
    ) -> list["_Draft"]:
        """Look for what put the items there that are listed, as far as the budget goes."""
        lists = [(draft.candidates, draft.scored()) for draft in drafts]
        at_once = partial(recommender.explain, lists, at_once=True)
        if is_behind or all(item.because for _, items in lists for item in items):
            found = at_once()
        else:
            found = await self._explaining.within_budget(partial(recommender.explain, lists), at_once)
        return [draft.with_reasons(items) for draft, items in zip(drafts, found, strict=True)]

    def _draft(
        self, candidates: CandidateList, trigger: Trigger, k: int, under: ExperimentContext, *, degraded: bool
    ) -> "_Draft":
        rec_id = recommendation_id(candidates.profile.user_id, trigger.identity, candidates.version)
        slots = self._config.explore if under.explore is None else under.explore
        items = (
            _ranked(candidates.items, k)
            if degraded
            else _explored(candidates.items, k, slots, rec_id)
            if slots
            else _exposed(candidates, k, self._config.expose, rec_id)
        )
        return _Draft(candidates, rec_id, k, degraded, items)

    def _answer(self, draft: "_Draft", trigger: Trigger, under: ExperimentContext, renames: Renames) -> Answer:
        candidates, items = draft.candidates, draft.items
        profile = candidates.profile
        mode: ListMode = "degraded" if draft.degraded else candidates.mode
        recommendation = Recommendation(
            rec_id=draft.rec_id,
            user_id=profile.user_id,
            ts=trigger.ts,
            mode=mode,
            model_version=candidates.version,
            k=draft.k,
            items=listed_today(items, renames),
            trigger=trigger.described,
            sequence=profile.sequence,
            event_ts=trigger.ts,
            published_ts=self._wall_clock(),
            experiment=under.experiment,
            arm=under.arm,
            tier=_tier(mode, candidates, items),
            unfilled=_unfilled(candidates, len(items), draft.k),
            query_method=candidates.query_method,
        )
        changed = not draft.degraded and candidates.mode != profile.mode
        change = ModeChange(
            profile.user_id,
            trigger.ts,
            profile.mode,
            candidates.mode,
            candidates.known_items,
            candidates.version,
            trigger.described,
        )
        shown = self._impressions(profile, items)
        return Answer(recommendation, candidates.mode, change if changed else None, shown, profile.began)

    def _impressions(self, profile: Profile, items: Sequence[ListedItem]) -> Mapping[str, float] | None:
        """Return what a user was shown, with these items; where it is not counted, what was counted once is dropped."""
        if self._config.diversity.impression_discount:
            return impressions_after(profile, (item.item_id for item in items))
        return {} if profile.impressions else None


def refusal(refused: RefusedRequest, now_ms: int) -> Answer:
    """Return what a request that breaks its contract is answered: no list, but what is wrong and what to do."""
    trigger = Trigger.of_request(refused.request_id, refused.origin.timestamp)
    recommendation = Recommendation(
        rec_id=recommendation_id(refused.user_id, trigger.identity, None),
        user_id=refused.user_id,
        ts=trigger.ts,
        mode="refused",
        model_version=None,
        k=0,
        items=(),
        trigger=trigger.described,
        sequence=0,
        event_ts=trigger.ts,
        published_ts=now_ms,
        error=f"recommendation-requests: {refused.detail}; mend it and ask again under another request_id",
    )
    return Answer(recommendation, "cold_start", None)


@dataclass(frozen=True, slots=True)
class _Draft:
    """The places of a list before they are explained."""

    candidates: CandidateList
    rec_id: str
    k: int
    degraded: bool
    items: tuple[ListedItem, ...]

    def scored(self) -> tuple[ScoredItem, ...]:
        """Return the candidates that are listed, in the order of the list."""
        known = {item.item_id: item for item in self.candidates.items}
        return tuple(known[item.item_id] for item in self.items if item.item_id in known)

    def with_reasons(self, items: Sequence[ScoredItem]) -> "_Draft":
        """Return the list with what is said of its items; chance stays the source of what it put there."""
        told = {item.item_id: item for item in items}
        places = [_told(place, told[place.item_id]) if place.item_id in told else place for place in self.items]
        return replace(self, items=tuple(places))


Scores = tuple[tuple[CandidateList, ...], bool]


def _scored(recommender: Recommender, profiles: Sequence[Profile], asked: Asked, n: int) -> Scores:
    candidate_lists = recommender.recommend(profiles, n, asked)
    if not recommender.lacks_model:
        return candidate_lists, False
    return tuple(
        replace(candidates, mode=candidates.profile.mode) for candidates in candidate_lists
    ), True  # nobody was decided about


def _degraded(recommender: Recommender, profiles: Sequence[Profile], asked: Asked, n: int) -> Scores:
    return recommender.degraded(profiles, n, asked), True


def _tier(mode: ListMode, candidates: CandidateList, items: Sequence[ListedItem]) -> Tier:
    """Return how much a list knows of its user; what is shown by chance says nothing."""
    if mode == "personalized":
        return "personalized"
    if candidates.knows_user:
        return "hybrid"
    return "trending" if any(item.source in ("trending", "neumf") for item in items) else "static"


def _unfilled(candidates: CandidateList, listed: int, k: int) -> tuple[str, ...]:
    """Return what a list lacks of what was asked for."""
    return (*candidates.unfilled, *([f"{listed} of {k} items"] if listed < k else ()))


def _has_unlisted(profile: Profile, *, repeats: bool) -> bool:
    return profile.hidden > 0 or (profile.seen > 0 and not repeats)


def _without(candidates: CandidateList, seen: frozenset[str]) -> CandidateList:
    if not seen:
        return candidates
    return replace(
        candidates,
        items=tuple(item for item in candidates.items if item.item_id not in seen),
        new=tuple(item for item in candidates.new if item.item_id not in seen),
    )


def _ids(items: Iterable[ScoredItem | NewItem]) -> Iterator[str]:
    return (item.item_id for item in items)


def _explored(items: Sequence[ScoredItem], k: int, slots: int, rec_id: str) -> tuple[ListedItem, ...]:
    """Return the places of a list; chance is seeded by its identity, so that a redelivered trigger repeats it."""
    places = explore(items, k, slots, Random(rec_id))
    shown = [_listed(item, rank) for rank, item in enumerate(places.ranked, 1)]
    drawn = [
        replace(_listed(item, rank, places.propensity), source="exploration")
        for rank, item in enumerate(places.drawn, len(shown) + 1)
    ]
    return (*shown, *drawn)


def _exposed(candidates: CandidateList, k: int, share: float, rec_id: str) -> tuple[ListedItem, ...]:
    """Return the places of a list, the last of which may be a new item's; seeded as ``_explored``."""
    found = expose(candidates.items, k, candidates.new, share, Random(rec_id))
    places = _ranked(found.items, k)
    return (*places[:-1], *(replace(place, propensity=found.propensity) for place in places[-1:]))


def _ranked(items: Sequence[ScoredItem], k: int) -> tuple[ListedItem, ...]:
    """Return the places of a list that is given by score alone."""
    return tuple(_listed(item, rank) for rank, item in enumerate(items[:k], 1))


def _listed(item: ScoredItem, rank: int, propensity: float = 1.0) -> ListedItem:
    because = item.because or BY_TASTE  # until it is explained
    return ListedItem(item.item_id, rank, round(item.score, 6), item.source, item.reason, propensity, because)


def _told(place: ListedItem, item: ScoredItem) -> ListedItem:
    if place.source == "exposure":  # it came to its place as a new item, though it may be a candidate as well
        return place
    source = place.source if place.source == "exploration" else item.source
    because = item.because or BY_TASTE
    return ListedItem(place.item_id, place.rank, place.score, source, item.reason, place.propensity, because)
