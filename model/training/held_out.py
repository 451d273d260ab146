"""Events kept from training, to judge a version by what it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.history import Profile
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig, decide

__all__ = ["HeldOutEvent", "are_cold"]


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


def are_cold(ranker: Ranker, held_out: Sequence[HeldOutEvent]) -> NDArray[np.bool_]:
    """Return before which events a version would make its user a cold-start list: bool (E,).

    It hands over as a worker does whose thresholds nobody has set. A version whose blend has learnt nothing makes no
    such list, as cold start does without it.
    """
    if not ranker.is_blend_learnt:
        return np.zeros(len(held_out), dtype=np.bool_)
    modes = ModeConfig().learnt(ranker.handover)
    return np.array(
        [decide("cold_start", ranker.known_items(event.before), modes) == "cold_start" for event in held_out],
        dtype=np.bool_,
    )
