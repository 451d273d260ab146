"""From profiles to lists: decide, score within the budget, drop what was seen, name the result.

A worker calls this once for each batch of events and once for each request. Nothing here publishes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Protocol

from model.history import Mode, Profile
from model.ranking.cold_start import ScoredItem
from model.ranking.exploration import explore
from model.ranking.recommender import NO_FILTER, CandidateList, ListFilter, Recommender
from streams.records.records import ListedItem, ListMode, ModeChange, Origin, Recommendation, recommendation_id

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
    explore : last places of a list that are filled by chance from the further candidates.
    """

    k: int = 10
    overfetch: int = 30
    budget_s: float = 0.150
    chunk: int = 64
    explore: int = 0


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
    """One user's list, the mode to keep with the profile, and the change of mode if there was one."""

    recommendation: Recommendation
    mode: Mode
    change: ModeChange | None


class Scorer(Protocol):
    """Runs the ranking: under a budget while serving, at leisure in a replay."""

    async def within_budget(self, score: Callable[[], "Scores"], fallback: Callable[[], "Scores"]) -> "Scores":
        """Return ``score()``, or ``fallback()`` where that cannot be had."""


class SeenFilter(Protocol):
    """Tells which items users have touched: Redis while serving, the offline state in a replay."""

    async def seen_among(self, wanted: Sequence[tuple[Profile, Sequence[str]]]) -> Sequence[frozenset[str]]:
        """Return, for each profile, those of the given items that its user has seen."""


class Serving:
    """Makes lists from profiles.

    Parameters
    ----------
    config : sizes and budget.
    scoring : runs the ranking.
    seen : the seen sets.
    wall_clock : milliseconds since the epoch, for ``published_ts``.
    """

    def __init__(self, config: ServingConfig, scoring: Scorer, seen: SeenFilter, wall_clock: Callable[[], int]) -> None:
        self._config = config
        self._scoring = scoring
        self._seen = seen
        self._wall_clock = wall_clock

    async def answer(
        self,
        recommender: Recommender,
        wanted: Sequence[tuple[Profile, Trigger]],
        *,
        k: int | None = None,
        list_filter: ListFilter = NO_FILTER,
        under: ExperimentContext = NO_EXPERIMENT,
    ) -> tuple[Answer, ...]:
        """Make one list per profile, in the order given; a replay asks for several moments of one user at once."""
        answers: list[Answer] = []
        k = self._config.k if k is None else k
        for start in range(0, len(wanted), self._config.chunk):
            chunk = wanted[start : start + self._config.chunk]
            candidate_lists = await self._candidate_lists(
                recommender, [profile for profile, _ in chunk], k, list_filter
            )
            for (candidates, degraded), (_, trigger) in zip(candidate_lists, chunk, strict=True):
                answers.append(self._answer(candidates, trigger, k, under, degraded=degraded))
        return tuple(answers)

    async def _candidate_lists(
        self, recommender: Recommender, profiles: Sequence[Profile], k: int, list_filter: ListFilter
    ) -> list[tuple[CandidateList, bool]]:
        """Score, drop the seen unless repeats are kept, and look deeper for users who are left with too few."""
        found: dict[int, tuple[CandidateList, bool]] = {}
        short: Sequence[int] = range(len(profiles))
        n = k + self._config.overfetch
        while short:
            asked = [profiles[place] for place in short]
            scored, degraded = await self._scoring.within_budget(
                partial(_scored, recommender, asked, n, list_filter),
                partial(_degraded, recommender, asked, n, list_filter),
            )
            unseen = scored if recommender.repeats else await self._unseen(scored)
            kept = dict(zip(short, unseen, strict=True))
            found.update({place: (candidates, degraded) for place, candidates in kept.items()})
            short = [
                place for place, candidates in kept.items() if len(candidates.items) < k and not candidates.complete
            ]
            n *= 4
        return [found[place] for place in range(len(profiles))]

    async def _unseen(self, candidate_lists: Sequence[CandidateList]) -> list[CandidateList]:
        """Drop seen items; who has touched none needs no look-up."""
        asked = [candidates for candidates in candidate_lists if candidates.profile.seen > 0]
        seen = iter(
            await self._seen.seen_among(
                [(candidates.profile, [item.item_id for item in candidates.items]) for candidates in asked]
            )
        )
        return [
            _without(candidates, next(seen)) if candidates.profile.seen > 0 else candidates
            for candidates in candidate_lists
        ]

    def _answer(
        self, candidates: CandidateList, trigger: Trigger, k: int, under: ExperimentContext, *, degraded: bool
    ) -> Answer:
        profile = candidates.profile
        mode: ListMode = "degraded" if degraded else candidates.mode
        rec_id = recommendation_id(profile.user_id, trigger.identity, candidates.version)
        slots = self._config.explore if under.explore is None else under.explore
        recommendation = Recommendation(
            rec_id=rec_id,
            user_id=profile.user_id,
            ts=trigger.ts,
            mode=mode,
            model_version=candidates.version,
            k=k,
            items=_listed(candidates.items, k, 0 if degraded else slots, rec_id),
            trigger=trigger.described,
            sequence=profile.sequence,
            event_ts=trigger.ts,
            published_ts=self._wall_clock(),
            experiment=under.experiment,
            arm=under.arm,
        )
        changed = not degraded and candidates.mode != profile.mode
        change = ModeChange(
            profile.user_id,
            trigger.ts,
            profile.mode,
            candidates.mode,
            candidates.known_items,
            candidates.version,
            trigger.described,
        )
        return Answer(recommendation, candidates.mode, change if changed else None)


Scores = tuple[tuple[CandidateList, ...], bool]


def _scored(recommender: Recommender, profiles: Sequence[Profile], n: int, list_filter: ListFilter) -> Scores:
    candidate_lists = recommender.recommend(profiles, n, list_filter)
    if not recommender.lacks_model:
        return candidate_lists, False
    return tuple(
        replace(candidates, mode=candidates.profile.mode) for candidates in candidate_lists
    ), True  # nobody was decided about


def _degraded(recommender: Recommender, profiles: Sequence[Profile], n: int, list_filter: ListFilter) -> Scores:
    return recommender.degraded(profiles, n, list_filter), True


def _without(candidates: CandidateList, seen: frozenset[str]) -> CandidateList:
    if not seen:
        return candidates
    items = tuple(item for item in candidates.items if item.item_id not in seen)
    return CandidateList(
        candidates.profile, candidates.mode, candidates.known_items, candidates.version, items, candidates.complete
    )


def _listed(items: Sequence[ScoredItem], k: int, slots: int, rec_id: str) -> tuple[ListedItem, ...]:
    """Return the places of a list; chance is seeded by its identity, so that a redelivered trigger repeats it."""
    places = explore(items, k, slots, Random(rec_id))
    shown = [(item, item.source, 1.0) for item in places.ranked]
    drawn = [(item, "exploration", places.propensity) for item in places.drawn]
    return tuple(
        ListedItem(item.item_id, rank, round(item.score, 6), source, item.reason, propensity)
        for rank, (item, source, propensity) in enumerate([*shown, *drawn], 1)
    )
