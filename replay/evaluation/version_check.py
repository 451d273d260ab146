"""A new version beside simple methods, right after its training.

Of each user of a sample, the first event that was held out of the training is looked for among all items that the user
does not know, or among all where repeats are kept. Popularity, item kNN and co-occurrence counts are fitted on what the
version was trained on, and asked the same. That takes seconds, where a training takes minutes. The other methods of
``reelstream eval`` take longer, or need packages that training does not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.catalogue import Catalogue, Item
from model.columns.histories import events_of
from model.ranking.exact import Ranker
from model.training.held_out import HeldOutEvent
from model.training.rounds import Candidate
from model.vocabulary import Vocabulary
from replay.evaluation.baselines import MAX_PAIRED_ITEMS, PAIRED, baseline
from replay.evaluation.behind import BetterMethod, better_methods
from replay.evaluation.protocol import MethodRun, rank_held_out, run_method
from replay.evaluation.scorers import RankerScorer
from replay.evaluation.split import Split

__all__ = ["SIMPLE", "VersionCheck", "check_version"]

SIMPLE = ("popularity", "item-knn", "co-occurrence")
MAX_USERS = 2000  # one standard error of a hit rate of 0.1 is then 0.007


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """What came of it.

    Parameters
    ----------
    users : how many were asked about.
    hit_rate : HR@k of the version.
    simple : HR@k of each simple method that was fitted.
    better : the methods that are ahead.
    """

    users: int
    hit_rate: float
    simple: dict[str, float]
    better: tuple[BetterMethod, ...]


def check_version(
    candidate: Candidate, generator: np.random.Generator, k: int = 10, threads: int = 1
) -> VersionCheck | None:
    """Compare a trained version with the simple methods; None where no event was held out of a user it learnt from.

    Parameters
    ----------
    candidate : the version, and what it was made from.
    generator : of the sample of users.
    k : length of the lists.
    threads : among which users are divided when they are ranked.
    """
    chosen = _first_held_out(candidate)
    chosen = [chosen[place] for place in np.sort(generator.permutation(len(chosen))[:MAX_USERS]).tolist()]
    if not chosen:
        return None
    split = _split_of(candidate, chosen)
    ranker = Ranker(candidate.snapshot, threads=threads)
    mine = [MethodRun(0, rank_held_out(RankerScorer(ranker, split), split, k), 0.0, 0.0)]
    names = [name for name in SIMPLE if split.n_items <= MAX_PAIRED_ITEMS or name not in PAIRED]
    simple = {name: [run_method(baseline(name), split, 0, k)] for name in names}
    rates = {name: _hit_rate(runs[0], k) for name, runs in simple.items()}
    return VersionCheck(len(split), _hit_rate(mine[0], k), rates, better_methods(mine, simple, split, "full", k))


def _first_held_out(candidate: Candidate) -> list[HeldOutEvent]:
    """Return of each user the held-out event before which the version knew everything; not of items without a row."""
    histories, items = candidate.material.histories, set(candidate.snapshot.items)
    return [
        event
        for event in candidate.material.held_out
        if len(event.before.recent) == len(histories.get(event.before.user_id, ())) and event.item_id in items
    ]


def _split_of(candidate: Candidate, chosen: list[HeldOutEvent]) -> Split:
    """Return what the version was trained on, and the chosen events, as a split without negatives."""
    snapshot, material = candidate.snapshot, candidate.material
    item_rows = {item_id: row for row, item_id in enumerate(snapshot.items)}
    user_ids = tuple(sorted(material.histories))
    user_rows = {user_id: row for row, user_id in enumerate(user_ids)}
    events = events_of(material.histories)
    users = Vocabulary(user_ids).rows(events.users)
    order = np.lexsort((events.times, users))
    columns = {
        "user": users[order],
        "item": Vocabulary(snapshot.items).rows(events.items)[order],
        "weight": events.weights[order],
        "ts": events.times[order],
        "positive": events.positive[order],
    }
    train = pd.DataFrame(columns, copy=False)
    if not snapshot.config.repeats:
        train = train.drop_duplicates(["user", "item"])
    tested = sorted(chosen, key=lambda event: user_rows[event.before.user_id])
    return Split(
        name="held out",
        sha256="",
        train=train.reset_index(drop=True),
        users=np.array([user_rows[event.before.user_id] for event in tested], dtype=np.int64),
        candidates=np.array([[item_rows[event.item_id]] for event in tested], dtype=np.int64),
        times=np.array([max(one.ts for one in event.before.recent) for event in tested], dtype=np.int64),
        user_ids=user_ids,
        catalogue=Catalogue.of(
            material.catalogue.find(item_id) or Item(item_id, item_id) for item_id in snapshot.items
        ),
    )


def _hit_rate(run: MethodRun, k: int) -> float:
    return float((run.ranks.full <= k).mean())
