"""What Redis holds while serving, held in memory while replaying: profiles, seen items, modes, trending.

The second implementation of what ``streams.state.store`` does in Redis, for one process and events that come once and
are never lost, so it guards nothing and lets nothing expire. It has no genre affinities: no list is made from them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS, is_positive_rating, is_positive_watch
from model.history import Interaction, Mode, Profile
from model.kinds import DEFAULT_KINDS, KindTable, source_of
from model.own_time import OwnTime
from model.renames import Renames
from streams.records.records import Action, Event, Rating, Watch
from streams.state.calls import StateConfig, heat_of
from streams.state.trending import DecayedWeights, SourceHeat, Trends, merge

__all__ = ["OfflineState"]

MAX_EXPONENT = 256.0  # doublings after which the weights get a new landmark
RANK = {"watch": 0, "rate": 1}  # of two events at the same time, the rating is the newer, and any other newer still


@dataclass(slots=True)
class _UserRecord:
    """One user.

    ``recent`` is oldest first, and ``seen`` holds the number of the event that touched an item first. ``decided`` holds
    what was decided about hiding an item: number of the event, its time, and whether the item is hidden from then on.
    """

    watches: int = 0
    ratings: int = 0
    actions: int = 0
    rating_sum: float = 0.0
    first_ts: int = 0
    last_ts: int = 0
    mode: Mode = "cold_start"
    impressions: Mapping[str, float] = field(default_factory=dict)
    recent: list[Interaction] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    decided: dict[str, list[tuple[int, int, bool]]] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many there were."""
        return self.watches + self.ratings + self.actions

    def is_hidden(self, item_id: str, at: int) -> bool:
        """Tell whether an item was hidden after so many events."""
        return next((hides for number, _, hides in reversed(self.decided.get(item_id, ())) if number <= at), False)


class OfflineState:
    """The state of one replay.

    Parameters
    ----------
    config : the same bounds as Redis keeps.
    kinds : of events that there are.
    """

    def __init__(self, config: StateConfig | None = None, kinds: KindTable = DEFAULT_KINDS) -> None:
        self._kinds = kinds
        self._config = config or StateConfig()
        self._users: dict[str, _UserRecord] = {}
        self._heat: dict[str, _Heat] = {}

    def apply(self, events: Iterable[Event]) -> None:
        """Take events in their order."""
        for event in events:
            user = self._users.setdefault(event.user_id, _UserRecord())
            is_positive = self._is_positive(user, event)
            heat = self._heat.setdefault(source_of(event.kind), _Heat(self._config))
            weight = heat_of(event, self._kinds) if is_positive else 0.0
            heat.add(event.item_id, event.ts, weight, is_newcomers=_so_far(user, event) < NEWCOMER_EVENTS)
            self._count(user, event)
            one = event.interaction(self._kinds)
            if one is None:
                self._decide(user, event)
            else:
                self._touch(user, one if is_positive == one.is_positive else replace(one, is_positive=is_positive))

    def profile(self, user_id: str) -> Profile:
        """Return a user as of now; a stranger has an empty profile."""
        user = self._users.get(user_id)
        if user is None:
            return Profile(user_id)
        return Profile(
            user_id,
            user.watches,
            user.ratings,
            user.actions,
            user.rating_sum,
            user.first_ts,
            user.last_ts,
            user.mode,
            len(user.seen),
            sum(decisions[-1][2] for decisions in user.decided.values()),
            tuple(
                one
                for one in user.recent[: -self._config.recent_returned - 1 : -1]
                if not user.is_hidden(one.item_id, user.events)
            ),
            impressions=user.impressions,
        )

    def keep_mode(self, user_id: str, mode: Mode) -> None:
        """Note the mode of the list that a user got; of a stranger nothing is kept."""
        if user_id in self._users:
            self._users[user_id].mode = mode

    def modes(self) -> dict[str, Mode]:
        """Return the users whose mode is not the one that everybody starts in."""
        return {user_id: user.mode for user_id, user in self._users.items() if user.mode != "cold_start"}

    def keep_impressions(self, user_id: str, impressions: Mapping[str, float]) -> None:
        """Note what a user was shown so far; of a stranger nothing is kept."""
        if user_id in self._users:
            self._users[user_id].impressions = impressions

    def impressions(self) -> dict[str, Mapping[str, float]]:
        """Return what each user was shown so far, of those who were shown anything that counts."""
        return {user_id: user.impressions for user_id, user in self._users.items() if user.impressions}

    def impressions_of(self, user_id: str) -> Mapping[str, float]:
        """Return what one user was shown so far."""
        user = self._users.get(user_id)
        return {} if user is None else user.impressions

    async def seen_among(
        self,
        wanted: Sequence[tuple[Profile, Sequence[str]]],
        renames: Renames,  # noqa: ARG002 - a SeenFilter's signature; a log has no renames
    ) -> list[frozenset[str]]:
        """Return, for each profile and candidate items, which of them its user had touched or hidden by then."""
        return [self._seen(profile, items) for profile, items in wanted]

    async def hidden_among(
        self,
        wanted: Sequence[tuple[Profile, Sequence[str]]],
        renames: Renames,  # noqa: ARG002 - a SeenFilter's signature; a log has no renames
    ) -> list[frozenset[str]]:
        """Return, for each profile and candidate items, which of them its user had hidden by then."""
        users = [
            (self._users.get(profile.user_id, _UserRecord()), profile.sequence, items) for profile, items in wanted
        ]
        return [frozenset(item for item in items if user.is_hidden(item, at)) for user, at, items in users]

    def _seen(self, profile: Profile, items: Sequence[str]) -> frozenset[str]:
        user = self._users.get(profile.user_id)
        if user is None:
            return frozenset()
        at = profile.sequence
        return frozenset(item for item in items if user.seen.get(item, at + 1) <= at or user.is_hidden(item, at))

    def trends(self, catalogue: Catalogue) -> Trends:
        """Return the trending lists as the worker that leads merges them."""
        heats = [heat.hottest(self._config.trending_read) for heat in self._heat.values()]
        return merge(heats, catalogue, self._config.trending_kept)

    def _is_positive(self, user: _UserRecord, event: Event) -> bool:
        if not self._kinds.of_kind(event.kind).is_positive:
            return False
        if isinstance(event, Rating):
            return is_positive_rating(event.rating, user.ratings, user.rating_sum)
        return not isinstance(event, Watch) or is_positive_watch(event.progress)

    def _count(self, user: _UserRecord, event: Event) -> None:
        if not user.events:
            user.first_ts = user.last_ts = event.ts
        if isinstance(event, Rating):
            user.ratings += 1
            user.rating_sum += event.rating
        elif isinstance(event, Watch):
            user.watches += 1
        else:
            user.actions += 1
        user.first_ts, user.last_ts = min(user.first_ts, event.ts), max(user.last_ts, event.ts)

    def _decide(self, user: _UserRecord, event: Event) -> None:
        decisions = user.decided.setdefault(event.item_id, [])
        if not decisions or event.ts >= decisions[-1][1]:
            hides = self._kinds.of_kind(event.kind).effect == "hide"
            decisions.append((user.events, event.ts, hides))

    def _touch(self, user: _UserRecord, one: Interaction) -> None:
        if user.recent and _when(user.recent[-1]) > _when(one):
            user.recent.insert(bisect_right(user.recent, _when(one), key=_when), one)
        else:
            user.recent.append(one)
        del user.recent[: -self._config.recent_length]
        user.seen.setdefault(one.item_id, user.events)


def _when(one: Interaction) -> tuple[int, int]:
    return one.ts, RANK.get(one.kind, len(RANK))


def _so_far(user: _UserRecord, event: Event) -> int:
    """Return how many events of its topic the user has."""
    if isinstance(event, Action):
        return user.actions
    return user.ratings if isinstance(event, Rating) else user.watches


class _Heat:
    """Forward-decayed weights of the items of one topic (see ``functions.lua``), of all users and of newcomers."""

    def __init__(self, config: StateConfig) -> None:
        self._half_lives = (config.trending_half_life_ms, config.newcomers_half_life_ms)
        self._longest_ms = MAX_EXPONENT * min(self._half_lives)
        self._clock: OwnTime | None = None
        self._landmark = 0
        self._rows: dict[str, int] = {}
        self._weights = [np.zeros(1024), np.zeros(1024)]  # of everybody, of newcomers

    def add(self, item_id: str, ts: int, heat: float, *, is_newcomers: bool) -> None:
        """Add an event; one without heat only moves the clock."""
        if self._clock is None:
            self._clock, self._landmark = OwnTime.beginning(ts, self._half_lives[0]), ts
        own = self._clock.take(ts)
        if not heat:
            return
        if self._clock.own - self._landmark > self._longest_ms:
            for place, half_life in enumerate(self._half_lives):
                self._weights[place] *= 2.0 ** ((self._landmark - self._clock.own) / half_life)
            self._landmark = self._clock.own
        row = self._rows.setdefault(item_id, len(self._rows))
        if row == len(self._weights[0]):
            self._weights = [np.concatenate([weights, np.zeros(row)]) for weights in self._weights]
        for place in range(1 + is_newcomers):
            self._weights[place][row] += heat * 2.0 ** ((own - self._landmark) / self._half_lives[place])

    def hottest(self, n: int) -> SourceHeat:
        """Return the ``n`` hottest items of each list, as Redis tells of them."""
        assert self._clock is not None, "heat is made for the first event"
        everything, newcomers = (
            DecayedWeights(half_life, self._hottest(weights, n))
            for half_life, weights in zip(self._half_lives, self._weights, strict=True)
        )
        clock = self._clock
        return SourceHeat(clock.newest, clock.own, clock.warm, self._landmark, everything, newcomers)

    def _hottest(self, weights: NDArray[np.float64], n: int) -> dict[str, float]:
        ids = list(self._rows)
        rows = np.argsort(-weights[: len(ids)], kind="stable")[:n].tolist()
        return {ids[row]: float(weights[row]) for row in rows if weights[row] > 0.0}
