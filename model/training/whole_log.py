"""A version from a whole log at once, its blend included: what the blend is learnt from is kept back from the network.

Two kinds of events are. Some users stay strangers to the network: how their first events go tells what to say to
newcomers. Of some others the latest events come as if a stream brought them later: they tell what a version is worth
to those whom it has learnt from, of which strangers, however long their histories, know nothing. Then a round of
fine-tuning learns from all of them, as it would on a stream.
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
from model.training.blending import SHORT, learnt_blend
from model.training.fit import Progress, TrainingConfig, TrainingResult
from model.training.held_out import HeldOutEvent
from model.training.rounds import RoundConfig, train, tuned_on

__all__ = ["train_blended"]

SHARE_APART, MAX_APART, MIN_APART = 0.05, 200, 10  # strangers; with fewer nothing can be learnt of a blend
SHARE_BACK, MAX_BACK = 0.25, 400  # users whose latest events are kept back
MAX_LATEST, LATEST_SHARE = 3, 0.25  # events of one of these, and of all that the user has
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
    back = apart | columns.latest(~apart, generator) if apart.any() else apart
    first, result = train(
        *columns.taken(~back),
        catalogue,
        wanted=columns.wanted[~back],
        network=network,
        training=training,
        generator=generator,
        progress=progress,
    )
    if not apart.any():
        return first, result
    ranker = Ranker(first)
    tests = columns.tests(apart, back, repeats=network.repeats)
    blend = learnt_blend(ranker, Signals.none(len(ranker)), tests, generator)
    chosen = back | columns.some_users(~back, REPLAYED, generator)
    snapshot, more = tuned_on(
        first,
        catalogue,
        *columns.taken(chosen),
        back[chosen],
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

    def latest(self, among: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the latest events of some random users of some events."""
        n = min(MAX_BACK, int(SHARE_BACK * len(set(self._users[among].tolist()))))
        places: dict[str, list[int]] = defaultdict(list)
        for at in self._in_time(self.some_users(among, n, generator)).tolist():
            places[self._users[at]].append(at)
        found = np.zeros(len(self._users), dtype=np.bool_)
        for mine in places.values():
            found[mine[len(mine) - min(MAX_LATEST, int(LATEST_SHARE * len(mine))) :]] = True
        return found

    def tests(self, apart: NDArray[np.bool_], back: NDArray[np.bool_], *, repeats: bool) -> list[HeldOutEvent]:
        """Return what was kept back, with what users had done before; without repeats first touches alone.

        apart : bool (E,), events of strangers, of which only those with few known items are returned.
        back : bool (E,), all that was kept back.
        """
        asked = set(self._users[back].tolist())
        recent: dict[str, list[Interaction]] = defaultdict(list)
        touched: dict[str, set[str]] = defaultdict(set)
        found = []
        for at in self._in_time(np.fromiter((user in asked for user in self._users), np.bool_, len(back))).tolist():
            user_id, item_id = self._users[at], self._items[at]
            weight, is_positive = float(self._weights[at]), bool(self.wanted[at] >= 1.0)
            mine = recent[user_id]
            is_test = back[at] and mine and (len(mine) < SHORT or not apart[at])
            if is_test and (repeats or item_id not in touched[user_id]):
                profile = Profile(user_id, recent=tuple(mine[: -RECENT - 1 : -1]), seen=len(touched[user_id]))
                found.append(HeldOutEvent(profile, item_id, is_positive=is_positive))
            touched[user_id].add(item_id)
            mine.append(Interaction(item_id, int(self._times[at]), "rate", weight, is_positive))
        return found

    def _in_time(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of some events, oldest first."""
        places = np.flatnonzero(kept)
        return places[np.argsort(self._times[places], kind="stable")]
