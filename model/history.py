"""What a user did: interactions, and the profile that the state returns about a user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["Interaction", "Mode", "Profile", "distinct_items"]

Mode = Literal["cold_start", "personalized"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One item that a user touched.

    Parameters
    ----------
    item_id : the item.
    ts : event time, milliseconds since the epoch.
    kind : ``watch``, ``rate``, or another of the table (``model.kinds``).
    weight : how much it counts, 0..1 (progress of a watch; rating / 5; what the table says of another kind).
    is_positive : whether it says that the user liked the item (``model.feedback``).
    """

    item_id: str
    ts: int
    kind: str
    weight: float
    is_positive: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """One user's state after the latest applied event.

    Parameters
    ----------
    user_id : the user.
    watches, ratings, actions : how many events of each topic were applied.
    rating_sum : sum of the applied ratings, in stars.
    first_ts, last_ts : earliest and latest event time, milliseconds; 0 for a user without events.
    mode : the mode of the last list that was published.
    seen : number of distinct items the user touched.
    hidden : number of items that are hidden from the user.
    recent : latest interactions by event time, newest first, bounded, without items that are hidden.
    genres : decayed affinity per genre as of ``last_ts``.
    """

    user_id: str
    watches: int = 0
    ratings: int = 0
    actions: int = 0
    rating_sum: float = 0.0
    first_ts: int = 0
    last_ts: int = 0
    mode: Mode = "cold_start"
    seen: int = 0
    hidden: int = 0
    recent: tuple[Interaction, ...] = ()
    genres: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sequence(self) -> int:
        """How many events were applied; grows by one with each and orders a user's lists."""
        return self.watches + self.ratings + self.actions


def distinct_items(recent: Iterable[Interaction]) -> tuple[Interaction, ...]:
    """Keep the first (newest) interaction of each item, order unchanged."""
    found: dict[str, Interaction] = {}
    for interaction in recent:
        found.setdefault(interaction.item_id, interaction)
    return tuple(found.values())
