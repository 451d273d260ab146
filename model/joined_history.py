"""One history of several: of an account, and of the guests that were merged into it.

Sums add up, what was seen is seen, and what was decided last about an item stands. So the result is the same whatever
the order of the parts, and of their events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType

from model.history import Interaction, Profile

__all__ = ["HistoryPart", "is_hidden", "joined_history"]

_RANK = {"watch": 0, "rate": 1}  # of two events at the same time, the rating is the newer, and another kind newer still
_LAST_RANK = 2


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """What one user's own events made.

    Parameters
    ----------
    profile : the user's counters and affinities; ``recent`` with the items that are hidden too.
    seen : every item that the user touched; none where the user is the only part, and the profile says how many.
    decisions : item to what was decided about it, the newest first, as in ``user:{<id>}:hidden``.
    """

    profile: Profile
    seen: frozenset[str]
    decisions: Mapping[str, str]


def joined_history(parts: Sequence[HistoryPart], half_life_ms: int, n: int) -> Profile:
    """Return the profile of the first part's user with the history of all.

    Parameters
    ----------
    parts : of the account, and of each guest. Mode and impressions are the account's own.
    half_life_ms : event time after which an affinity counts half.
    n : most interactions.
    """
    profiles = [part.profile for part in parts]
    active = [one for one in profiles if one.sequence]
    last_ts = max((one.last_ts for one in active), default=0)
    decided = {item: is_hidden(part.decisions.get(item) for part in parts) for part in parts for item in part.decisions}
    recent = sorted(chain.from_iterable(one.recent for one in profiles), key=_newness, reverse=True)[:n]
    return replace(
        profiles[0],
        watches=sum(one.watches for one in profiles),
        ratings=sum(one.ratings for one in profiles),
        actions=sum(one.actions for one in profiles),
        withdrawn=sum(one.withdrawn for one in profiles),
        rating_sum=sum(one.rating_sum for one in profiles),
        first_ts=min((one.first_ts for one in active if one.first_ts), default=0),
        last_ts=last_ts,
        seen=len(frozenset().union(*(part.seen for part in parts))) if len(parts) > 1 else profiles[0].seen,
        hidden=sum(decided.values()),
        recent=tuple(one for one in recent if not decided.get(one.item_id)),
        genres=MappingProxyType(_joined_genres(active, last_ts, half_life_ms)),
    )


def is_hidden(decisions: Iterable[str | None]) -> bool:
    """Return whether an item is hidden by the newest of what several users decided; at the same time hiding wins."""
    newest = [_newest(told) for told in decisions if told]
    return bool(newest) and max(newest)[1]


def _newest(told: str) -> tuple[int, bool]:
    what, ts = told.split(" ")[:2]
    return int(ts), what == "hide"


def _newness(one: Interaction) -> tuple[int, int]:
    return one.ts, _RANK.get(one.kind, _LAST_RANK)


def _joined_genres(profiles: Iterable[Profile], last_ts: int, half_life_ms: int) -> dict[str, float]:
    joined: dict[str, float] = {}
    for one in profiles:
        decay = 2.0 ** ((one.last_ts - last_ts) / half_life_ms)
        for genre, affinity in one.genres.items():
            joined[genre] = joined.get(genre, 0.0) + affinity * decay
    return joined
