"""What Redis holds while serving, held in memory while replaying: profiles, seen items, modes, trending.

The second implementation of what ``streams.state.store`` does in Redis, for one process and events that come once and
are never lost, so it guards nothing and lets nothing expire. It has no genre affinities: no list is made from them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model.catalogue import Catalogue
from model.feedback import is_positive_rating
from model.history import Interaction, Mode, Profile
from model.ranking.cold_start import Trending
from streams.records.records import Event, Rating
from streams.state.calls import StateConfig, heat_of
from streams.state.trending import PartitionHeat, merge

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
        self._heat = _Heat(self._config.trending_half_life_ms)

    def apply(self, events: Iterable[Event]) -> None:
        """Take events in their order."""
        for event in events:
            self._take(self._users.setdefault(event.user_id, _UserRecord()), event)
            self._heat.add(event.item_id, event.ts, heat_of(event))

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

    def trending(self, catalogue: Catalogue, kept: int) -> Trending:
        """Return the hot list as a worker reads it after a merge."""
        heat = self._heat.hottest(self._config.trending_read)
        return Trending.of(merge([heat], catalogue, self._config.trending_kept).everything[:kept])

    def _take(self, user: _UserRecord, event: Event) -> None:
        one = event.interaction()
        if isinstance(event, Rating):
            one = replace(one, is_positive=is_positive_rating(event.rating, user.ratings, user.rating_sum))
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


class _Heat:
    """Forward-decayed weights of all items (see ``functions.lua``); ``landmark`` moves before a weight overflows."""

    def __init__(self, half_life_ms: int) -> None:
        self._half_life_ms = half_life_ms
        self._landmark = self._newest = 0
        self._rows: dict[str, int] = {}
        self._weights = np.zeros(1024)

    def add(self, item_id: str, ts: int, heat: float) -> None:
        """Add an event."""
        if not self._rows:
            self._landmark = self._newest = ts
        self._newest = max(self._newest, ts)
        if (ts - self._landmark) / self._half_life_ms > MAX_EXPONENT:
            self._weights *= 2.0 ** ((self._landmark - ts) / self._half_life_ms)
            self._landmark = ts
        row = self._rows.setdefault(item_id, len(self._rows))
        if row == len(self._weights):
            self._weights = np.concatenate([self._weights, np.zeros(row)])
        self._weights[row] += heat * 2.0 ** ((ts - self._landmark) / self._half_life_ms)

    def hottest(self, n: int) -> PartitionHeat:
        """Return the ``n`` hottest items, as a partition tells of them."""
        weights = self._weights[: len(self._rows)]
        ids = list(self._rows)
        rows = np.argsort(-weights, kind="stable")[:n].tolist()
        found = tuple((ids[row], float(weights[row])) for row in rows)
        return PartitionHeat(self._landmark, self._newest, self._half_life_ms, found)
