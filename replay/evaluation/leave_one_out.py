"""The last event of every user of a recorded log, held out: the protocol of the NCF paper for any log.

A repeated item is dropped first, so the held-out item is always one that its user had not touched; where repeats are
kept it may be one that the user comes back to. Users of a single event stay in training and are not tested. The items
are those that occur in the log; what the catalogue describes beyond them nobody could ever hit, and it would only
dilute coverage and the negatives.
"""

import numpy as np
import pandas as pd

from model.catalogue import Catalogue
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
    log = dataset.interactions
    is_repeated = log.duplicated(["user_id", "item_id"])
    positive = dataset.positive()
    if not repeats:
        log, positive = log[~is_repeated], positive[~is_repeated]
    users, user_ids = pd.factorize(log["user_id"], sort=True)
    touched = set(log["item_id"])
    catalogue = Catalogue.of(item for item in dataset.catalogue if item.item_id in touched)
    row = {item_id: row for row, item_id in enumerate(catalogue.items)}
    columns = {
        "user": users.astype(np.int64),
        "item": log["item_id"].map(row).to_numpy(dtype=np.int64),
        "weight": log["rating"].to_numpy() / STARS,
        "ts": log["ts"].to_numpy(),
        "positive": positive,
    }
    events = pd.DataFrame(columns).sort_values("user", kind="stable", ignore_index=True)
    nobody = np.empty(0, dtype=np.int64)
    whole = Split(
        name=dataset.name,
        sha256=dataset.origin.sha256,
        train=events,
        users=nobody,
        candidates=nobody.reshape(0, 1),
        times=nobody,
        user_ids=tuple(user_ids),
        catalogue=catalogue,
        repeated=int(is_repeated.sum()),
        repeats=repeats,
    )
    return held_out_last(whole, negatives, generator)
