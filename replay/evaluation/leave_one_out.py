"""The last event of every user of a recorded log, held out: the protocol of the NCF paper for any log.

A repeated item is dropped first, so the held-out item is always one that its user had not touched; where repeats are
kept it may be one that the user comes back to. Users of a single event stay in training and are not tested. The items
are those that occur in the log; what the catalogue describes beyond them nobody could ever hit, and it would only
dilute coverage and the negatives.
"""

import numpy as np
import pandas as pd

from model.catalogue import Catalogue
from model.vocabulary import Vocabulary
from replay.datasets.dataset import Dataset
from replay.evaluation.split import NEGATIVES, Split, held_out_last

__all__ = ["leave_one_out"]

STARS = 5.0  # a rating's weight is its share of the most stars


def leave_one_out(
    dataset: Dataset, generator: np.random.Generator, *, negatives: int = NEGATIVES, repeats: bool = False
) -> Split:
    """Split a log.

    Parameters
    ----------
    dataset : the log; its order decides which of several events of one time is a user's last.
    generator : of the negatives.
    negatives : unseen items that each held-out one is ranked among; 0 to rank among all items only.
    repeats : whether a user's further events with an item are kept.

    Raises
    ------
    DataError
        If no user has two items, or one has not touched fewer than ``negatives``.
    """
    log = dataset.events()
    n_items = max(1, len(log.items.ids))
    pairs = log.users.codes.astype(np.int64) * n_items + log.items.codes
    is_repeated = pd.Series(pairs, copy=False).duplicated().to_numpy()
    del pairs
    weights = dataset.interactions["rating"].to_numpy() / STARS
    if not repeats and is_repeated.any():
        log, weights = log.taken(~is_repeated), weights[~is_repeated]
    touched = set(log.items.ids)
    catalogue = Catalogue.of(item for item in dataset.catalogue if item.item_id in touched)
    user_ids = tuple(sorted(log.users.ids))
    users = Vocabulary(user_ids).rows(log.users)
    order = np.argsort(users, kind="stable")
    columns = {
        "user": users[order],
        "item": Vocabulary(catalogue.items).rows(log.items)[order],
        "weight": weights[order],
        "ts": log.times[order],
        "positive": log.positive[order],
    }
    events = pd.DataFrame(columns, copy=False)
    nobody = np.empty(0, dtype=np.int64)
    whole = Split(
        name=dataset.name,
        sha256=dataset.origin.sha256,
        train=events,
        users=nobody,
        candidates=nobody.reshape(0, 1),
        times=nobody,
        user_ids=user_ids,
        catalogue=catalogue,
        repeated=int(is_repeated.sum()),
        repeats=repeats,
    )
    return held_out_last(whole, negatives, generator)
