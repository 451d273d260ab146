"""What a user did: interactions, and the profile that the state returns about a user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from model.feedback import wanted_though_disliked

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

    @property
    def liking(self) -> float:
        """How much it says that the user liked the item, -1..1, below 0 if not.

        A rating that is not positive says the more the lower it is; anything else says as much as it weighs.
        """
        if self.is_positive:
            return self.weight
        return self.weight - 1.0 if self.kind == "rate" else -self.weight

    @property
    def wanted(self) -> float:
        """How much it counts in training as what the user wanted next, 0..1.

        A watch or rating was chosen, so that it counts also where it was disliked, though less. Anything else that is
        not positive was not wanted.
        """
        if self.is_positive:
            return 1.0
        return float(wanted_though_disliked(self.weight)) if self.kind in ("watch", "rate") else 0.0


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
    groups : groups of people that the user's hints name, where there are hints (``model.hints``).
    impressions : item to how often the user was shown it, where that is counted (``model.reranking.impressions``).
    withdrawn : how many events were taken back after they had been applied; they are in none of the numbers above.
    began : the first record of each topic of the user's own history, such as ``r3:7 w3:12`` for offsets 7 and 12 of
        partition 3 of ratings and watches; empty where there is none, or where that is not known. Somebody who was
        forgotten and comes back begins with others. It is no part of what was done, so profiles that differ in it
        alone are equal.
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
    groups: tuple[str, ...] = ()
    impressions: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    withdrawn: int = 0
    began: str = field(default="", compare=False)

    @property
    def sequence(self) -> int:
        """How many events were applied or taken back; grows by one with each and orders a user's lists."""
        return self.watches + self.ratings + self.actions + 2 * self.withdrawn


def distinct_items(recent: Iterable[Interaction]) -> tuple[Interaction, ...]:
    """Keep the first (newest) interaction of each item, order unchanged."""
    found: dict[str, Interaction] = {}
    for interaction in recent:
        found.setdefault(interaction.item_id, interaction)
    return tuple(found.values())
