"""Events kept from training, to judge a version by what it has not seen, and where versions rank them.

A list ends after k items, so what is ranked behind it is a miss, however far behind. In a large catalogue a few
thousand items are scored first: those that are popular, and all that came. Once k of them are ahead of what came, the
event is a miss and is asked about no more. What is left over are the hits and little else; for these all items are
scored. So hits are exact, and misses, of which most events are, cost little.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.columns.profiles import ProfileColumns
from model.history import Interaction, Mode, Profile
from model.metrics.ranking import full_ranks
from model.ranking.exact import HistoryBatch, Ranker
from model.ranking.modes import ModeConfig, decide
from model.ranking.signals import Signals
from model.training.heat import TrendingLists
from model.vocabulary import CodedIds, Rows

__all__ = [
    "HeldOutColumns",
    "HeldOutEvent",
    "Questions",
    "are_cold",
    "counts_ranks",
    "held_out_of",
    "held_out_ranks",
    "popularity_ranks",
]

EVENTS_PER_BATCH = 256  # 256 x 3,706 scores are 4 MB
LEADING = 1000  # items that lead in each kind of popularity, of which more than k are ahead of most of what came
ITEMS_PER_BLOCK = 1 << 13  # scored at once for those that are left
Ranks = NDArray[np.float64]
Scores = NDArray[np.float32]


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


def held_out_of(
    user_id: str, events: Sequence[Interaction], kept: int, *, repeats: bool, are_new: Sequence[bool] | None = None
) -> list[HeldOutEvent]:
    """Return a user's events from place ``kept`` that came after another and, without repeats, with a new item.

    Parameters
    ----------
    user_id, events : of the user, oldest first.
    kept : how many of them stay in training.
    repeats : whether an item that the user touched before is tested.
    are_new : of each event from place ``kept`` on, whether no earlier round has judged by it; all are new if None.
    """
    begin = max(1, kept)
    if begin >= len(events):
        return []
    newest_first = tuple(reversed(events))
    met = {one.item_id for one in events[:begin]}
    found = []
    for place in range(begin, len(events)):
        event = events[place]
        if repeats or event.item_id not in met:
            profile = Profile(user_id, recent=newest_first[len(events) - place :], seen=len(met))
            is_new = are_new is None or are_new[place - kept]
            found.append(HeldOutEvent(profile, event.item_id, is_new, event.is_positive))
        met.add(event.item_id)
    return found


@dataclass(frozen=True, slots=True)
class HeldOutColumns:
    """Held-out events, with what came before them as columns: made once for all versions that rank them.

    Parameters
    ----------
    events : of which these are the columns.
    before : the profiles before them.
    targets : ids of the items that came.
    """

    events: Sequence[HeldOutEvent]
    before: ProfileColumns
    targets: CodedIds

    @classmethod
    def of(cls, events: "Sequence[HeldOutEvent] | HeldOutColumns") -> "HeldOutColumns":
        """Return the columns of events; of what is columns already, themselves."""
        if isinstance(events, HeldOutColumns):
            return events
        before = ProfileColumns.of([event.before for event in events])
        return cls(events, before, CodedIds.of([event.item_id for event in events]))

    def __len__(self) -> int:
        return len(self.events)


@dataclass(frozen=True, slots=True)
class Questions:
    """What a version knows of E held-out events.

    Parameters
    ----------
    histories : before them.
    targets : int64 (E,), rows of the items that came, -1 for one that the version does not know.
    owners, known : the items that compete with no event's own, as distinct pairs: numbers of events, and rows, two
        int64 (K,). Those are what its user touched before, and none where repeats are kept.
    known_counts : int64 (E,), distinct items of the profile that the version knows.
    """

    histories: HistoryBatch
    targets: Rows
    owners: Rows
    known: Rows
    known_counts: Rows

    @classmethod
    def of(cls, ranker: Ranker, events: Sequence[HeldOutEvent] | HeldOutColumns) -> Self:
        """Return what a ranker's version knows of events."""
        columns = HeldOutColumns.of(events)
        before, targets = columns.before, ranker.items.rows(columns.targets)
        rows = ranker.items.rows(before.items)
        distinct = before.is_newest & (rows >= 0)
        competes_not = distinct & (rows != targets[before.owners]) & (not ranker.snapshot.config.repeats)
        return cls(
            _histories(ranker, before, rows),
            targets,
            before.owners[competes_not],
            rows[competes_not],
            np.bincount(before.owners[distinct], minlength=len(columns)),
        )

    def __len__(self) -> int:
        return len(self.targets)

    def taken(self, chosen: Rows) -> "Questions":
        """Return some of the events, int64 (C,), distinct."""
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.owners] >= 0
        return Questions(
            self.histories.taken(chosen),
            self.targets[chosen],
            place[self.owners[kept]],
            self.known[kept],
            self.known_counts[chosen],
        )


def _histories(ranker: Ranker, profiles: ProfileColumns, rows: Rows) -> HistoryBatch:
    """Return what the network reads about users, as the ranker makes it of profiles.

    rows : int64 (E,), of the items of the profiles.
    """
    config, n = ranker.snapshot.config, len(profiles)
    kept = (rows >= 0) if config.repeats else (rows >= 0) & profiles.is_newest
    which, places = profiles.newest(kept, config.history_length)
    owners, width = profiles.owners[which], int(places.max(initial=0)) + 1
    is_last = places == np.bincount(owners, minlength=n)[owners] - 1
    items = np.full((n, width), -1, dtype=np.int64)
    times = np.zeros((n, width), dtype=np.int64)
    weights, likings = np.zeros((2, n, width), dtype=np.float32)
    times[owners[is_last]] = profiles.times[which[is_last], None]  # as padding
    items[owners, places], times[owners, places] = rows[which], profiles.times[which]
    weights[owners, places], likings[owners, places] = profiles.weights[which], profiles.likings[which]
    return HistoryBatch(ranker.users.rows(profiles.users), items, times, weights, likings)


def are_cold(ranker: Ranker, held_out: Sequence[HeldOutEvent] | HeldOutColumns) -> NDArray[np.bool_]:
    """Return before which events a version would make its user a cold-start list: bool (E,).

    It hands over as a worker does whose thresholds nobody has set. A version whose blend has learnt nothing makes no
    such list, as cold start does without it.
    """
    return _are_cold(ranker, Questions.of(ranker, held_out))


def _are_cold(ranker: Ranker, asked: Questions) -> NDArray[np.bool_]:
    if not ranker.is_blend_learnt:
        return np.zeros(len(asked), dtype=np.bool_)
    modes = ModeConfig().learnt(ranker.handover)
    counts = asked.known_counts.tolist()
    return np.array([decide("cold_start", known, modes) == "cold_start" for known in counts], dtype=np.bool_)


def held_out_ranks(
    ranker: Ranker,
    held_out: Sequence[HeldOutEvent] | HeldOutColumns,
    trends: TrendingLists | None = None,
    k: int | None = None,
) -> Ranks:
    """Return the rank of each event's item in the whole catalogue: float64 (E,), infinite if unknown.

    Each is in a list of the mode that its user would get.

    Parameters
    ----------
    trends : what trended before the events; nothing did if None.
    k : length of the lists; in a large catalogue a rank beyond it may be said to be any other one beyond it. All ranks
        are exact if None.
    """
    signals = (trends or TrendingLists()).signals(ranker.items)
    asked = Questions.of(ranker, held_out)
    is_cold = _are_cold(ranker, asked)
    ranks = np.empty(len(held_out))
    by_mode: tuple[tuple[Mode, NDArray[np.bool_]], ...] = (("cold_start", is_cold), ("personalized", ~is_cold))
    for mode, some in by_mode:
        places = np.flatnonzero(some)
        if k is not None and ranker.has_many_items:
            ranks_of: _RanksOf = partial(_ranks_to, ranker, k=k, signals=signals, mode=mode)
        else:
            ranks_of = partial(_ranks, partial(ranker.logits, signals=signals, mode=mode))
        ranks[places] = _in_batches(ranks_of, asked.taken(places))
    return ranks


def popularity_ranks(
    ranker: Ranker, held_out: Sequence[HeldOutEvent] | HeldOutColumns, popularity: Mapping[str, int]
) -> Ranks:
    """Return the ranks by number of interactions, over the same items as the ranker's."""
    counts = np.array([popularity.get(item_id, 0) for item_id in ranker.items.ids], dtype=np.int64)
    asked = Questions.of(ranker, held_out)
    ascending, targets, owners, known = np.sort(counts), asked.targets, asked.owners, asked.known
    own = counts[targets]  # -1 reads the last one and is overwritten below
    below, up_to = (np.searchsorted(ascending, own, side=side) for side in ("left", "right"))
    better = len(counts) - up_to - np.bincount(owners, counts[known] > own[owners], len(held_out))
    equal = up_to - below - 1 - np.bincount(owners, counts[known] == own[owners], len(held_out))
    return np.where(targets >= 0, 1.0 + better + 0.5 * equal, np.inf)


def counts_ranks(ranker: Ranker, held_out: Sequence[HeldOutEvent] | HeldOutColumns) -> Ranks | None:
    """Return the ranks by the version's co-occurrence counts alone, None where it keeps none."""
    if not ranker.has_counts:
        return None
    asked = Questions.of(ranker, held_out)
    if ranker.has_many_items:
        return _in_batches(partial(_ranks_by_counts, ranker), asked)
    return _in_batches(partial(_ranks, ranker.counts), asked)


_RanksOf = Callable[[Questions], Ranks]


def _in_batches(ranks_of: _RanksOf, asked: Questions) -> Ranks:
    starts = range(0, len(asked), EVENTS_PER_BATCH)
    parts = (np.arange(start, min(start + EVENTS_PER_BATCH, len(asked))) for start in starts)
    return np.concatenate([np.empty(0), *(ranks_of(asked.taken(part)) for part in parts)])


def _ranks(score: Callable[[HistoryBatch], Scores], asked: Questions) -> Ranks:
    scores = score(asked.histories)
    is_known = np.zeros(scores.shape, dtype=np.bool_)
    is_known[asked.owners, asked.known] = True
    return full_ranks(scores, asked.targets, is_known)


def _ranks_to(ranker: Ranker, events: Questions, *, k: int, signals: Signals, mode: Mode) -> Ranks:
    """Return the ranks as far as they are at most k, and beyond it any other one beyond it."""
    targets, owners, known = events.targets, events.owners, events.known
    better, equal = np.zeros(len(events)), np.zeros(len(events))
    left = np.flatnonzero(targets >= 0)  # those of which it is not known yet that they are a miss
    asking = ranker.asking(events.histories, signals=signals, mode=mode)
    asking = asking.taken(left)
    pool = np.union1d(targets[left], ranker.leading_by_popularity(LEADING, signals))
    scores = ranker.logits_of(asking, pool)
    column = np.full(len(ranker), -1)
    column[pool] = np.arange(len(pool))
    own = scores[np.arange(len(left)), column[targets[left]]]
    scores[np.arange(len(left)), column[targets[left]]] = -np.inf
    for start in range(0, len(ranker) + ITEMS_PER_BLOCK, ITEMS_PER_BLOCK):
        place = np.full(len(events), -1)
        place[left] = np.arange(len(left))
        inside = (place[owners] >= 0) & (column[known] >= 0)
        scores[place[owners[inside]], column[known[inside]]] = -np.inf
        better[left] += np.count_nonzero(scores > own[:, None], axis=1)
        equal[left] += np.count_nonzero(scores == own[:, None], axis=1)
        may_hit = better[left] < k
        left, own, asking = left[may_hit], own[may_hit], asking.taken(np.flatnonzero(may_hit))
        if not len(left) or start >= len(ranker):
            break
        block = np.arange(start, min(start + ITEMS_PER_BLOCK, len(ranker)))
        scores = ranker.logits_of(asking, slice(start, start + len(block)))
        column = np.full(len(ranker), -1)
        column[block] = block - start
        scores[:, column[pool][column[pool] >= 0]] = -np.inf  # they were met before
    return np.where(targets >= 0, 1.0 + better + 0.5 * equal, np.inf)


def _ranks_by_counts(ranker: Ranker, events: Questions) -> Ranks:
    """Return the ranks by the counts, which are zero for all but a few items."""
    n, targets, owners, known = len(ranker), events.targets, events.owners, events.known
    users, items, scores = ranker.entries_of_counts(events.histories)
    is_own = items == targets[users]
    own = np.zeros(len(events), dtype=np.float32)
    own[users[is_own]] = scores[is_own]
    competes = ~is_own & ~np.isin(users * n + items, owners * n + known)
    users, scores = users[competes], scores[competes]
    unsaid = n - 1 - np.bincount(owners, minlength=len(events)) - np.bincount(users, minlength=len(events))
    better = np.bincount(users, scores > own[users], len(events))
    equal = np.bincount(users, scores == own[users], len(events)) + np.where(own == 0.0, unsaid, 0)
    return np.where(targets >= 0, 1.0 + better + 0.5 * equal, np.inf)
