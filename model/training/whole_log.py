"""A version from a whole log at once, its blend included: what the blend is learnt from is kept back from the network.

Two kinds of events are. Some users stay strangers to the network: how their first events go tells what to say to
newcomers. Of some others the latest events come as if a stream brought them later: they tell what a version is worth
to those whom it has learnt from, of which strangers, however long their histories, know nothing. Then a round of
fine-tuning learns from all of them, as it would on a stream.

Where a learner makes the version instead, what its first round reads is made here as well, from columns.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.catalogue import Catalogue
from model.columns.events import EventColumns
from model.columns.histories import ColumnHistories, order_by_user
from model.history import Interaction, Profile
from model.kinds import source_of
from model.network.shape import NeuMFConfig
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.ranking.signals import Signals
from model.training.blending import SHORT, learnt_blend
from model.training.fit import Progress, TrainingConfig, TrainingResult
from model.training.heat import Heat
from model.training.held_out import HeldOutEvent, held_out_of
from model.training.rounds import Material, RoundConfig, train, tuned_on
from model.vocabulary import CodedIds, Rows

__all__ = ["first_material", "train_blended"]

SHARE_APART, MAX_APART, MIN_APART = 0.05, 200, 10  # strangers; with fewer nothing can be learnt of a blend
SHARE_BACK, MAX_BACK = 0.25, 400  # users whose latest events are kept back
MAX_LATEST, LATEST_SHARE = 3, 0.25  # events of one of these, and of all that the user has
RECENT = 60  # events of a profile
REPLAYED = 900  # other users whose events are learnt again beside those of the users kept apart


def train_blended(
    users: Iterable[str] | CodedIds,
    items: Iterable[str] | CodedIds,
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


def first_material(
    events: EventColumns,
    catalogue: Catalogue,
    heat: Heat,
    *,
    held_out_share: float,
    max_held_out: int,
    max_unheated: int,
    repeats: bool,
) -> Material:
    """Return what the first round of a learner reads that has observed these events and nothing else.

    Parameters
    ----------
    events : in order of arrival; none is left out.
    catalogue : items and their genres.
    heat : which has taken nothing yet; it is changed.
    held_out_share, max_held_out : as in :class:`model.training.learner.LearnerConfig`.
    max_unheated : events that wait before trending takes half of them.
    repeats : whether an item that its user touched before is tested.
    """
    n = len(events)
    share = int(n * held_out_share)
    trained_to = n - min(share, max_held_out)
    order = order_by_user(events)
    histories = ColumnHistories(events.taken(order[order < trained_to]))
    ordinals = _ordinals(events, order)
    heated = 0
    while n - heated > max_unheated:
        more = slice(heated, heated + max_unheated + 1 - max_unheated // 2)
        heat.add_columns(events.taken(more), ordinals[more])
        heated = more.stop
    before = heat.lists()
    rest = slice(heated, max(heated, trained_to))
    heat.add_columns(events.taken(rest), ordinals[rest])
    counts = histories.events.items.counts()
    return Material(
        champion=None,
        catalogue=catalogue,
        histories=histories,
        fresh=dict(zip(histories, histories.lengths().tolist(), strict=True)),
        held_out=tuple(_held_out(events, order, trained_to, repeats=repeats)),
        popularity={item_id: n for item_id, n in zip(events.items.ids, counts.tolist(), strict=True) if n},
        trends=heat.lists(),
        unseen=(),
        trends_before=before,
        trained_to=trained_to,
        observed_to=n,
        may_wait=held_out_share > 0.0 and share < max_held_out,
    )


def _ordinals(events: EventColumns, order: Rows) -> Rows:
    """Return the number of each event among its user's events of the same source, from 0: int64 (E,).

    order : places of the events user after user.
    """
    sources = sorted({source_of(kind) for kind in events.kinds.ids})
    source = np.array([sources.index(source_of(kind)) for kind in events.kinds.ids], dtype=np.int32)
    group = events.users.codes[order] * max(1, len(sources)) + source[events.kinds.codes[order]]
    if len(sources) > 1:
        again = np.argsort(group, kind="stable")
        order, group = order[again], group[again]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    found = np.empty(len(events), dtype=np.int64)
    found[order] = np.arange(len(events)) - np.repeat(starts, np.diff(starts, append=len(events)))
    return found


def _held_out(events: EventColumns, order: Rows, trained_to: int, *, repeats: bool) -> list[HeldOutEvent]:
    """Return what is held out, user after user; ``order`` are the places of the events user after user."""
    codes = events.users.codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))
    kept = np.add.reduceat(order < trained_to, starts, dtype=np.int64) if len(starts) else starts
    found = []
    for place in np.flatnonzero(kept < ends - starts).tolist():
        history = tuple(events.taken(order[starts[place] : ends[place]]).interactions())
        user_id = events.users.ids[codes[starts[place]]]
        found += held_out_of(user_id, history, int(kept[place]), repeats=repeats)
    return found


class _Columns:
    """The events of a log; ``wanted`` is float32 (E,)."""

    def __init__(
        self,
        users: Iterable[str] | CodedIds,
        items: Iterable[str] | CodedIds,
        times: ArrayLike,
        weights: ArrayLike,
        wanted: ArrayLike | None,
    ) -> None:
        self._users, self._items = CodedIds.of(users), CodedIds.of(items)
        self._times, self._weights = np.asarray(times, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        n = len(self._users)
        self.wanted = np.ones(n, np.float32) if wanted is None else np.asarray(wanted, dtype=np.float32)

    def users_apart(self, generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the events of the users to keep apart; none where there are too few users."""
        n = min(MAX_APART, int(SHARE_APART * np.count_nonzero(self._users.counts())))
        return self.some_users(np.ones(len(self._users), dtype=np.bool_), n if n >= MIN_APART else 0, generator)

    def some_users(self, among: NDArray[np.bool_], n: int, generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the events of ``n`` random users of some events."""
        ids = self._users.ids
        codes = sorted(np.flatnonzero(self._users.taken(among).counts()).tolist(), key=ids.__getitem__)
        chosen = [codes[place] for place in generator.permutation(len(codes))[:n]]
        return self._of_users(np.array(chosen, dtype=np.int64))

    def _of_users(self, codes: Rows) -> NDArray[np.bool_]:
        """Return bool (E,), the events of some users."""
        is_chosen = np.zeros(len(self._users.ids), dtype=np.bool_)
        is_chosen[codes] = True
        return is_chosen[self._users.codes]

    def taken(self, kept: NDArray[np.bool_]) -> tuple[CodedIds, CodedIds, NDArray[np.int64], NDArray[np.float32]]:
        """Return some of the events as columns."""
        return self._users.taken(kept), self._items.taken(kept), self._times[kept], self._weights[kept]

    def latest(self, among: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool (E,), the latest events of some random users of some events."""
        n = min(MAX_BACK, int(SHARE_BACK * np.count_nonzero(self._users.taken(among).counts())))
        places: dict[int, list[int]] = defaultdict(list)
        for at in self._in_time(self.some_users(among, n, generator)).tolist():
            places[int(self._users.codes[at])].append(at)
        found = np.zeros(len(self._users), dtype=np.bool_)
        for mine in places.values():
            found[mine[len(mine) - min(MAX_LATEST, int(LATEST_SHARE * len(mine))) :]] = True
        return found

    def tests(self, apart: NDArray[np.bool_], back: NDArray[np.bool_], *, repeats: bool) -> list[HeldOutEvent]:
        """Return what was kept back, with what users had done before; without repeats first touches alone.

        apart : bool (E,), events of strangers, of which only those with few known items are returned.
        back : bool (E,), all that was kept back.
        """
        asked = self._of_users(np.flatnonzero(self._users.taken(back).counts()))
        recent: dict[str, list[Interaction]] = defaultdict(list)
        touched: dict[str, set[str]] = defaultdict(set)
        found = []
        for at in self._in_time(asked).tolist():
            user_id, item_id = self._users.ids[self._users.codes[at]], self._items.ids[self._items.codes[at]]
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
