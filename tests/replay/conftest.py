"""A small split with a rule: of 120 items in a ring, each user walks to the next, and is asked for the one after."""

import numpy as np
import pandas as pd
import pytest

from model.catalogue import Catalogue, Item
from replay.evaluation.split import Split, held_out_last

N_ITEMS = 120
STEPS = 12


@pytest.fixture(scope="session")
def ring_split():
    """Return the split of 60 users; user u walks from item 2 u on, an hour a step, and 99 unseen items compete."""
    users = np.repeat(np.arange(60), STEPS)
    steps = np.tile(np.arange(STEPS), 60)
    events = pd.DataFrame(
        {
            "user": users,
            "item": (2 * users + steps) % N_ITEMS,
            "weight": np.ones(len(users)),
            "ts": 3_600_000 * steps,
            "positive": True,
        }
    )
    nobody = np.empty(0, dtype=np.int64)
    catalogue = Catalogue.of(Item(f"i{row}", f"Item {row}") for row in range(N_ITEMS))
    ids = tuple(f"u{user}" for user in range(60))
    whole = Split("ring", "0" * 64, events, nobody, nobody.reshape(0, 1), nobody, ids, catalogue)
    return held_out_last(whole, 99, np.random.default_rng(0))
