"""What Redis holds while serving, held in memory while replaying: profiles, seen items, modes, trending.

The second implementation of what ``streams.state.store`` does in Redis, for one process and events that come once and
are never lost, so it guards nothing and lets nothing expire. It has no genre affinities: no list is made from them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS, is_positive_rating, is_positive_watch
from model.history import Interaction, Mode, Profile
from model.own_time import OwnTime
from streams.records.records import Event, Rating, Watch
from streams.state.calls import StateConfig, heat_of
from streams.state.trending import DecayedWeights, SourceHeat, Trends, merge

__all__ = ["OfflineState"]

MAX_EXPONENT = 256.0  # doublings after which the weights get a new landmark
RANK = {"watch": 0, "rate": 1}  # of two events at the same time, the rating is the newer


@dataclass(slots=True)
class _UserRecord:
    """One user; ``recent`` is oldest first, ``seen`` holds the number of the event that touched an item first."""

    watches: int = 0
    ratings: int = 0
    rating_sum: float = 0.0
    first_ts: int = 0
    last_ts: int = 0
    mode: Mode = "cold_start"
    recent: list[Interaction] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)


class OfflineState:
    """The state of one replay.

    Parameters
    ----------
    config : the same bounds as Redis keeps.
    """

    def __init__(self, config: StateConfig | None = None) -> None:
        self._config = config or StateConfig()
        self._users: dict[str, _UserRecord] = {}
        self._heat: dict[str, _Heat] = {}

    def apply(self, events: Iterable[Event]) -> None:
        """Take events in their order."""
        for event in events:
            user = self._users.setdefault(event.user_id, _UserRecord())
            one = event.interaction()
            if not _is_positive(user, event):
                one = replace(one, is_positive=False)
            so_far = user.ratings if one.kind == "rate" else user.watches
            heat = self._heat.setdefault(one.kind, _Heat(self._config))
            heat.add(one, heat_of(event), is_newcomers=so_far < NEWCOMER_EVENTS)
            self._take(user, event, one)

    def profile(self, user_id: str) -> Profile:
        """Return a user as of now; a stranger has an empty profile."""
        user = self._users.get(user_id)
        if user is None:
            return Profile(user_id)
        return Profile(
            user_id,
            user.watches,
            user.ratings,
            user.rating_sum,
            user.first_ts,
            user.last_ts,
            user.mode,
            len(user.seen),
            tuple(user.recent[: -self._config.recent_returned - 1 : -1]),
        )

    def keep_mode(self, user_id: str, mode: Mode) -> None:
        """Note the mode of the list that a user got; of a stranger nothing is kept."""
        if user_id in self._users:
            self._users[user_id].mode = mode

    def modes(self) -> dict[str, Mode]:
        """Return the users whose mode is not the one that everybody starts in."""
        return {user_id: user.mode for user_id, user in self._users.items() if user.mode != "cold_start"}

    async def seen_among(self, wanted: Sequence[tuple[Profile, Sequence[str]]]) -> list[frozenset[str]]:
        """Return, for each profile and candidate items, which of them its user had touched at that moment."""
        return [self._seen(profile, items) for profile, items in wanted]

    def _seen(self, profile: Profile, items: Sequence[str]) -> frozenset[str]:
        user = self._users.get(profile.user_id)
        if user is None:
            return frozenset()
        return frozenset(item for item in items if user.seen.get(item, profile.sequence + 1) <= profile.sequence)

    def trends(self, catalogue: Catalogue) -> Trends:
        """Return the trending lists as the worker that leads merges them."""
        heats = [heat.hottest(self._config.trending_read) for heat in self._heat.values()]
        return merge(heats, catalogue, self._config.trending_kept)

    def _take(self, user: _UserRecord, event: Event, one: Interaction) -> None:
        if not user.recent:
            user.first_ts = user.last_ts = one.ts
        if isinstance(event, Rating):
            user.ratings += 1
            user.rating_sum += event.rating
        else:
            user.watches += 1
        user.first_ts, user.last_ts = min(user.first_ts, one.ts), max(user.last_ts, one.ts)
        if user.recent and _when(user.recent[-1]) > _when(one):
            user.recent.insert(bisect_right(user.recent, _when(one), key=_when), one)
        else:
            user.recent.append(one)
        del user.recent[: -self._config.recent_length]
        user.seen.setdefault(one.item_id, user.watches + user.ratings)


def _when(one: Interaction) -> tuple[int, int]:
    return one.ts, RANK[one.kind]


def _is_positive(user: _UserRecord, event: Event) -> bool:
    if isinstance(event, Rating):
        return is_positive_rating(event.rating, user.ratings, user.rating_sum)
    return is_positive_watch(event.progress) if isinstance(event, Watch) else event.interaction().is_positive


class _Heat:
    """Forward-decayed weights of the items of one topic (see ``functions.lua``), of all users and of newcomers."""

    def __init__(self, config: StateConfig) -> None:
        self._half_lives = (config.trending_half_life_ms, config.newcomers_half_life_ms)
        self._longest_ms = MAX_EXPONENT * min(self._half_lives)
        self._clock: OwnTime | None = None
        self._landmark = 0
        self._rows: dict[str, int] = {}
        self._weights = [np.zeros(1024), np.zeros(1024)]  # of everybody, of newcomers

    def add(self, one: Interaction, heat: float, *, is_newcomers: bool) -> None:
        """Add an event; one that is not positive only moves the clock."""
        if self._clock is None:
            self._clock, self._landmark = OwnTime.beginning(one.ts, self._half_lives[0]), one.ts
        own = self._clock.take(one.ts)
        if not one.is_positive:
            return
        if self._clock.own - self._landmark > self._longest_ms:
            for place, half_life in enumerate(self._half_lives):
                self._weights[place] *= 2.0 ** ((self._landmark - self._clock.own) / half_life)
            self._landmark = self._clock.own
        row = self._rows.setdefault(one.item_id, len(self._rows))
        if row == len(self._weights[0]):
            self._weights = [np.concatenate([weights, np.zeros(row)]) for weights in self._weights]
        for place in range(1 + is_newcomers):
            self._weights[place][row] += heat * 2.0 ** ((own - self._landmark) / self._half_lives[place])

    def hottest(self, n: int) -> SourceHeat:
        """Return the ``n`` hottest items of each list, as Redis tells of them."""
        assert self._clock is not None, "heat is made for the first event"
        everything, newcomers = (
            DecayedWeights(half_life, self._ranked(weights, n))
            for half_life, weights in zip(self._half_lives, self._weights, strict=True)
        )
        clock = self._clock
        return SourceHeat(clock.newest, clock.own, clock.warm, self._landmark, everything, newcomers)

    def _ranked(self, weights: NDArray[np.float64], n: int) -> tuple[tuple[str, float], ...]:
        ids = list(self._rows)
        rows = np.argsort(-weights[: len(ids)], kind="stable")[:n].tolist()
        return tuple((ids[row], float(weights[row])) for row in rows if weights[row] > 0.0)
