"""Events kept from training, to judge a version by what it has not seen."""

from dataclasses import dataclass

from model.history import Profile

__all__ = ["HeldOutEvent"]


@dataclass(frozen=True, slots=True)
class HeldOutEvent:
    """One event kept from training.

    Parameters
    ----------
    before : the user as they were before it.
    item_id : the item that came.
    is_new : whether no earlier round has judged by it.
    is_positive : whether it says that the user liked the item.
    """

    before: Profile
    item_id: str
    is_new: bool = True
    is_positive: bool = True
