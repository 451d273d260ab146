"""Where ours is behind a known method: over all tested users, and among those of one length of history.

The two answered the same users, so what counts is the mean of the paired differences, and its standard error over
users. Over all users every method that is ahead is told; of a group only what is ahead by more than two standard
errors, for among many groups somebody is always ahead by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.evaluation.protocol import MethodRun
from replay.evaluation.split import Split
from replay.evaluation.summary import Protocol, groups

__all__ = ["ALL", "BetterMethod", "better_methods"]

ALL = "all"
CLEAR = 2.0  # standard errors


@dataclass(frozen=True, slots=True)
class BetterMethod:
    """A method that is ahead of ours.

    Parameters
    ----------
    method : its name.
    group : of which users, ``all`` or by history length as in the tables.
    users : how many they are.
    hit_rate, ours : HR@k of the two, means over their runs.
    error : standard error of the lead, over users.
    """

    method: str
    group: str
    users: int
    hit_rate: float
    ours: float
    error: float

    @property
    def lead(self) -> float:
        """Return by how much it is ahead."""
        return self.hit_rate - self.ours

    @property
    def is_clear(self) -> bool:
        """Return whether the lead is more than two of its standard errors."""
        return self.lead > CLEAR * self.error


def better_methods(
    ours: Sequence[MethodRun], others: Mapping[str, Sequence[MethodRun]], split: Split, protocol: Protocol, k: int = 10
) -> tuple[BetterMethod, ...]:
    """Return the methods that are ahead of ours: over all users first, and those furthest ahead first.

    Parameters
    ----------
    ours : runs of our model.
    others : runs of the known methods, on the same split.
    split : whose users were tested.
    protocol : the ranks that are compared.
    k : length of the lists.
    """
    mine = _hits(ours, protocol, k)
    found = []
    for name, runs in others.items():
        theirs = _hits(runs, protocol, k)
        for group, members in {ALL: np.ones(len(split), dtype=np.bool_), **groups(split)}.items():
            n, lead = int(members.sum()), theirs[members] - mine[members]
            error = float(lead.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
            better = BetterMethod(name, group, n, float(theirs[members].mean()), float(mine[members].mean()), error)
            if better.lead > 0.0 and (group == ALL or (n > 1 and better.is_clear)):
                found.append(better)
    return tuple(sorted(found, key=lambda one: (one.group != ALL, -one.lead)))


def _hits(runs: Sequence[MethodRun], protocol: Protocol, k: int) -> NDArray[np.float64]:
    """Return float64 (U,), the share of the runs whose list held each user's item."""
    ranks = [run.ranks.sampled if protocol == "sampled" else run.ranks.full for run in runs]
    return np.asarray(np.mean([found <= k for found in ranks], axis=0))
