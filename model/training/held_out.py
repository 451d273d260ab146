"""Events kept from training, to judge a version by what it has not seen."""

from dataclasses import dataclass

from model.history import Profile

__all__ = ["HeldOutEvent"]


@dataclass(frozen=True, slots=True)
class HeldOutEvent:
    """One event kept from training: the user as they were before it, and the item that came."""

    before: Profile
    item_id: str
