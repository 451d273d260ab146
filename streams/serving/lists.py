"""From profiles to lists: decide, score within the budget, drop what was seen, name the result.

The worker calls this once per batch and the request road once per request; nothing here publishes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Protocol

from model.history import Mode, Profile
from model.ranking.cold_start import Scored
from model.ranking.exploration import explore
from model.ranking.recommender import ANY, Draft, Recommender, Wish
from streams.records.records import ListedItem, ListMode, ModeChange, Origin, Recommendation, recommendation_id

__all__ = [
    "ORDINARY",
    "Answer",
    "Conditions",
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
class Conditions:
    """Under what lists are made, as written on them.

    Parameters
    ----------
    experiment, arm : the experiment and the side that the users are on; None without one.
    explore : places left to chance; None for as many as the configuration says.
    """

    experiment: str | None = None
    arm: str | None = None
    explore: int | None = None


ORDINARY = Conditions()


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
        wish: Wish = ANY,
        under: Conditions = ORDINARY,
    ) -> tuple[Answer, ...]:
        """Make one list per profile, in the order given; a replay asks for several moments of one user at once."""
        answers: list[Answer] = []
        k = self._config.k if k is None else k
        for start in range(0, len(wanted), self._config.chunk):
            chunk = wanted[start : start + self._config.chunk]
            drafts = await self._drafts(recommender, [profile for profile, _ in chunk], k, wish)
            for (draft, degraded), (_, trigger) in zip(drafts, chunk, strict=True):
                answers.append(self._answer(draft, trigger, k, under, degraded=degraded))
        return tuple(answers)

    async def _drafts(
        self, recommender: Recommender, profiles: Sequence[Profile], k: int, wish: Wish
    ) -> list[tuple[Draft, bool]]:
        """Score, drop the seen, and look deeper for users who are left with too few."""
        found: dict[int, tuple[Draft, bool]] = {}
        short: Sequence[int] = range(len(profiles))
        n = k + self._config.overfetch
        while short:
            asked = [profiles[place] for place in short]
            scored, degraded = await self._scoring.within_budget(
                partial(_scored, recommender, asked, n, wish), partial(_degraded, recommender, asked, n, wish)
            )
            kept = dict(zip(short, await self._unseen(scored), strict=True))
            found.update({place: (draft, degraded) for place, draft in kept.items()})
            short = [place for place, draft in kept.items() if len(draft.items) < k and not draft.complete]
            n *= 4
        return [found[place] for place in range(len(profiles))]

    async def _unseen(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Drop seen items; who has touched none needs no look-up."""
        asked = [draft for draft in drafts if draft.profile.seen > 0]
        seen = iter(
            await self._seen.seen_among([(draft.profile, [item.item_id for item in draft.items]) for draft in asked])
        )
        return [_without(draft, next(seen)) if draft.profile.seen > 0 else draft for draft in drafts]

    def _answer(self, draft: Draft, trigger: Trigger, k: int, under: Conditions, *, degraded: bool) -> Answer:
        profile = draft.profile
        mode: ListMode = "degraded" if degraded else draft.mode
        rec_id = recommendation_id(profile.user_id, trigger.identity, draft.version)
        slots = self._config.explore if under.explore is None else under.explore
        recommendation = Recommendation(
            rec_id=rec_id,
            user_id=profile.user_id,
            ts=trigger.ts,
            mode=mode,
            model_version=draft.version,
            k=k,
            items=_listed(draft.items, k, 0 if degraded else slots, rec_id),
            trigger=trigger.described,
            sequence=profile.sequence,
            event_ts=trigger.ts,
            published_ts=self._wall_clock(),
            experiment=under.experiment,
            arm=under.arm,
        )
        changed = not degraded and draft.mode != profile.mode
        change = ModeChange(
            profile.user_id, trigger.ts, profile.mode, draft.mode, draft.evidence, draft.version, trigger.described
        )
        return Answer(recommendation, draft.mode, change if changed else None)


Scores = tuple[tuple[Draft, ...], bool]


def _scored(recommender: Recommender, profiles: Sequence[Profile], n: int, wish: Wish) -> Scores:
    drafts = recommender.recommend(profiles, n, wish)
    if not recommender.lacks_model:
        return drafts, False
    return tuple(replace(draft, mode=draft.profile.mode) for draft in drafts), True  # nobody was decided about


def _degraded(recommender: Recommender, profiles: Sequence[Profile], n: int, wish: Wish) -> Scores:
    return recommender.degraded(profiles, n, wish), True


def _without(draft: Draft, seen: frozenset[str]) -> Draft:
    if not seen:
        return draft
    items = tuple(item for item in draft.items if item.item_id not in seen)
    return Draft(draft.profile, draft.mode, draft.evidence, draft.version, items, draft.complete)


def _listed(items: Sequence[Scored], k: int, slots: int, rec_id: str) -> tuple[ListedItem, ...]:
    """Return the places of a list; chance is seeded by its identity, so that a redelivered trigger repeats it."""
    places = explore(items, k, slots, Random(rec_id))
    shown = [(item, item.source, 1.0) for item in places.ranked]
    drawn = [(item, "exploration", places.propensity) for item in places.drawn]
    return tuple(
        ListedItem(item.item_id, rank, round(item.score, 6), source, item.reason, propensity)
        for rank, (item, source, propensity) in enumerate([*shown, *drawn], 1)
    )
