"""A version from a whole log at once, its blend included: some users are kept apart, as if a stream brought them later.

The network learns from all other users. Those kept apart are strangers to it at every length of their histories, so the
blend is learnt from them. Then a round of fine-tuning learns from them as well, as it would on a stream.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.catalogue import Catalogue
from model.history import Interaction, Profile
from model.network.neumf import NeuMFConfig
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.ranking.signals import Signals
from model.training.blending import learnt_blend
from model.training.fit import Progress, TrainingConfig, TrainingResult
from model.training.held_out import HeldOutEvent
from model.training.rounds import RoundConfig, train, tuned_on

__all__ = ["train_blended"]

SHARE_APART, MAX_APART, MIN_APART = 0.05, 200, 10  # users; with fewer nothing can be learnt of a blend
RECENT = 60  # events of a profile
REPLAYED = 900  # other users whose events are learnt again beside those of the users kept apart


def train_blended(
    users: Sequence[str],
    items: Sequence[str],
    times: ArrayLike,
    weights: ArrayLike,
    catalogue: Catalogue,
    *,
    wanted: ArrayLike | None = None,
    network: NeuMFConfig,
    training: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
) -> tuple[Snapshot, TrainingResult]:
    """Train a first version and its blend on events given as columns of equal length, in any order.

    Parameters and errors are those of :func:`model.training.rounds.train`. A log of fewer than 200 users keeps the
    blend that every network begins with.
    """
    columns = _Columns(users, items, times, weights, wanted)
    apart = columns.users_apart(generator)
    first, result = train(
        *columns.taken(~apart),
        catalogue,
        wanted=columns.wanted[~apart],
        network=network,
        training=training,
        generator=generator,
        progress=progress,
    )
    if not apart.any():
        return first, result
    ranker = Ranker(first)
    blend = learnt_blend(ranker, Signals.none(len(ranker)), columns.tests(apart, repeats=network.repeats), generator)
    replayed = columns.some_users(~apart, REPLAYED, generator)
    chosen = apart | replayed
    snapshot, more = tuned_on(
        first,
        catalogue,
        *columns.taken(chosen),
        apart[chosen],
        RoundConfig(),
        generator,
        wanted=columns.wanted[chosen],
    )
    samples = result.samples + more.samples
    return snapshot.with_blend(blend), replace(result, steps=result.steps + more.steps, samples=samples)


class _Columns:
    """The events of a log; ``wanted`` is float32 (E,)."""

    def __init__(
        self,
        users: Sequence[str],
        items: Sequence[str],
        times: ArrayLike,
        weights: ArrayLike,
        wanted: ArrayLike | None,
    ) -> None:
        self._users = np.asarray(users, dtype=object)
        self._items = np.asarray(items, dtype=object)
        self._times, self._weights = np.asarray(times, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        self.wanted = np.ones(len(users), np.float32) if wanted is None else np.asarray(wanted, dtype=np.float32)

    def users_apart(self, generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the events of the users to keep apart; none where there are too few users."""
        n = min(MAX_APART, int(SHARE_APART * len(set(self._users.tolist()))))
        return self.some_users(np.ones(len(self._users), dtype=np.bool_), n if n >= MIN_APART else 0, generator)

    def some_users(self, among: NDArray[np.bool_], n: int, generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the events of ``n`` random users of some events."""
        ids = sorted(set(self._users[among].tolist()))
        chosen = {ids[place] for place in generator.permutation(len(ids))[:n]}
        return np.fromiter((user in chosen for user in self._users), np.bool_, len(self._users))

    def taken(self, kept: NDArray[np.bool_]) -> tuple[list[str], list[str], NDArray[np.int64], NDArray[np.float32]]:
        """Return some of the events as columns."""
        return self._users[kept].tolist(), self._items[kept].tolist(), self._times[kept], self._weights[kept]

    def tests(self, kept: NDArray[np.bool_], *, repeats: bool) -> list[HeldOutEvent]:
        """Return some of the events with what their users had done before; without repeats first touches alone."""
        order = np.flatnonzero(kept)
        order = order[np.argsort(self._times[order], kind="stable")]
        recent: dict[str, list[Interaction]] = defaultdict(list)
        touched: dict[str, set[str]] = defaultdict(set)
        found = []
        for at in order.tolist():
            user_id, item_id = self._users[at], self._items[at]
            weight, is_positive = float(self._weights[at]), bool(self.wanted[at] >= 1.0)
            if recent[user_id] and (repeats or item_id not in touched[user_id]):
                newest = tuple(recent[user_id][: -RECENT - 1 : -1])
                profile = Profile(user_id, recent=newest, seen=len(touched[user_id]))
                found.append(HeldOutEvent(profile, item_id, is_positive=is_positive))
            touched[user_id].add(item_id)
            recent[user_id].append(Interaction(item_id, int(self._times[at]), "rate", weight, is_positive))
        return found
