"""What the recent interactions of many profiles are as columns: made once for all versions that rank after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from model.history import Profile
from model.vocabulary import CodedIds, Rows

__all__ = ["ProfileColumns"]


@dataclass(frozen=True, slots=True)
class ProfileColumns:
    """The interactions of B profiles, profile after profile, each newest first.

    Parameters
    ----------
    users : ids, (B,).
    owners : int64 (E,), ascending, the profile that each interaction is of.
    items : ids, (E,).
    times : int64 (E,), milliseconds.
    weights, likings : float32 (E,), as an interaction has them.
    is_newest : bool (E,), whether an interaction is its profile's newest with the item.
    """

    users: CodedIds
    owners: Rows
    items: CodedIds
    times: Rows
    weights: NDArray[np.float32]
    likings: NDArray[np.float32]
    is_newest: NDArray[np.bool_]

    @classmethod
    def of(cls, profiles: Sequence[Profile]) -> "ProfileColumns":
        """Return the recent interactions of profiles as columns."""
        all_of_them = list(chain.from_iterable(profile.recent for profile in profiles))
        owners = np.repeat(np.arange(len(profiles)), [len(profile.recent) for profile in profiles])
        items = CodedIds.of([one.item_id for one in all_of_them])
        is_newest = np.zeros(len(all_of_them), dtype=np.bool_)
        is_newest[np.unique(owners * (len(items.ids) + 1) + items.codes, return_index=True)[1]] = True
        return cls(
            CodedIds.of([profile.user_id for profile in profiles]),
            owners,
            items,
            np.array([one.ts for one in all_of_them], dtype=np.int64),
            np.array([one.weight for one in all_of_them], dtype=np.float32),
            np.array([one.liking for one in all_of_them], dtype=np.float32),
            is_newest,
        )

    def __len__(self) -> int:
        return len(self.users)

    def newest(self, kept: NDArray[np.bool_], most: int) -> tuple[Rows, Rows]:
        """Return which interactions are among the ``most`` newest of their profile that are kept, and their places.

        kept : bool (E,).   Returns two int64 (K,): the interactions, and the place of each, the oldest of them at 0.
        """
        which = np.flatnonzero(kept)
        owners = self.owners[which]
        counts = np.bincount(owners, minlength=len(self))
        from_newest = np.arange(len(which)) - (np.cumsum(counts) - counts)[owners]
        is_among = from_newest < most
        places = np.minimum(counts, most)[owners] - 1 - from_newest
        return which[is_among], places[is_among]
