"""What the runs of one method come to: means, standard errors, and groups of users.

Recall and precision follow from the hit rate, as there is one right item each; they are kept because others print them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.metrics.diversity import genre_vectors, mean_diversity
from model.metrics.ranking import coverage, hit_rate, ndcg, novelty, precision, recall
from replay.evaluation.protocol import MethodRun
from replay.evaluation.split import Split

__all__ = ["Estimate", "MethodSummary", "Protocol", "ProtocolQuality", "UserGroup", "groups", "summary"]

Protocol = Literal["sampled", "full"]
LENGTHS = (20, 50, 100, 200)  # upper bounds of the groups of users by number of training events
RETRIEVED = 100  # candidates that a retriever would hand on


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over several runs.

    Parameters
    ----------
    mean : over the runs.
    error : its standard error, the runs' standard deviation / sqrt(runs); None for a single run.
    """

    mean: float
    error: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Summarise one value per run."""
        n = len(values)
        return cls(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else None)


@dataclass(frozen=True, slots=True)
class ProtocolQuality:
    """Figures under one protocol."""

    hit_rate: Estimate
    ndcg: Estimate
    recall: Estimate
    precision: Estimate


@dataclass(frozen=True, slots=True)
class UserGroup:
    """Some of the tested users, and the main figures on them alone."""

    name: str
    users: int
    hit_rate: Estimate
    ndcg: Estimate


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """One method.

    Parameters
    ----------
    name : as printed.
    protocol : of the main figures, and of those of the groups.
    runs : how many there were; 1 for a method without chance in it.
    sampled : among the negatives; None for a split without.
    full : among all items that the user had not touched.
    retrieved : share of held-out items among the 100 best of all items, what a retriever of 100 candidates keeps.
    coverage, novelty : of the lists of the k best.
    diversity : of these lists, by genres; a mean of nan where no item has a genre.
    fit_s, rank_s : mean seconds of a run.
    by_length : groups of users by number of training events.
    apart : users whose held-out event does not share its time with the one before.
    """

    name: str
    protocol: Protocol
    runs: int
    sampled: ProtocolQuality | None
    full: ProtocolQuality
    retrieved: Estimate
    coverage: Estimate
    novelty: Estimate
    diversity: Estimate
    fit_s: float
    rank_s: float
    by_length: tuple[UserGroup, ...]
    apart: UserGroup

    @property
    def main(self) -> ProtocolQuality:
        """Return the figures of the main protocol."""
        return self.full if self.protocol == "full" or self.sampled is None else self.sampled


def groups(split: Split) -> dict[str, NDArray[np.bool_]]:
    """Return who is in each group of users by number of training events, bool (U,); empty groups are left out."""
    lengths = split.lengths()
    names = [f"<={LENGTHS[0]}", *(f"{low + 1}-{high}" for low, high in pairwise(LENGTHS)), f">{LENGTHS[-1]}"]
    found = np.searchsorted(LENGTHS, lengths)  # int64 (U,): how many of the bounds each length exceeds
    members = {name: found == at for at, name in enumerate(names)}
    return {name: chosen for name, chosen in members.items() if chosen.any()}


def summary(name: str, runs: Sequence[MethodRun], split: Split, protocol: Protocol, k: int = 10) -> MethodSummary:
    """Summarise the runs of one method.

    protocol : of the main figures and the groups.
    k : length of the lists.
    """
    owners, n_users = split.owners(), len(split.user_ids)
    vectors = genre_vectors([item.genres for item in split.catalogue])

    def over(figure: Callable[[MethodRun], float]) -> Estimate:
        return Estimate.of([figure(run) for run in runs])

    def group(label: str, members: NDArray[np.bool_]) -> UserGroup:
        return UserGroup(
            label,
            int(members.sum()),
            over(lambda run: hit_rate(_ranks(run, protocol)[members], k)),
            over(lambda run: ndcg(_ranks(run, protocol)[members], k)),
        )

    def quality(of: Protocol) -> ProtocolQuality:
        return ProtocolQuality(
            over(lambda run: hit_rate(_ranks(run, of), k)),
            over(lambda run: ndcg(_ranks(run, of), k)),
            over(lambda run: recall(_ranks(run, of), k)),
            over(lambda run: precision(_ranks(run, of), k)),
        )

    return MethodSummary(
        name=name,
        protocol=protocol,
        runs=len(runs),
        sampled=quality("sampled") if split.n_negatives else None,
        full=quality("full"),
        retrieved=over(lambda run: recall(run.ranks.full, RETRIEVED)),
        coverage=over(lambda run: coverage(run.ranks.recommended)),
        novelty=over(lambda run: novelty(run.ranks.recommended, owners, n_users)),
        diversity=over(lambda run: mean_diversity(vectors, run.ranks.lists)),
        fit_s=float(np.mean([run.fit_s for run in runs])),
        rank_s=float(np.mean([run.rank_s for run in runs])),
        by_length=tuple(group(label, members) for label, members in groups(split).items()),
        apart=group("apart", split.apart()),
    )


def _ranks(run: MethodRun, protocol: Protocol) -> NDArray[np.float64]:
    return run.ranks.sampled if protocol == "sampled" else run.ranks.full
