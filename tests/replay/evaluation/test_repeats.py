"""People who come back to items: what keeping repeats is worth on a made-up log."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from model.catalogue import Catalogue, Item
from model.metrics.ranking import hit_rate
from model.network.shape import NeuMFConfig
from model.training.fit import TrainingConfig
from replay.datasets.dataset import Dataset, Provenance
from replay.evaluation.leave_one_out import leave_one_out
from replay.evaluation.neumf import TrainedNeuMF
from replay.evaluation.protocol import run_method

USERS, ITEMS, PLAYS, AGAIN = 200, 300, 25, 0.3
SMALL = NeuMFConfig(history_length=20, factors=16, mlp_factors=8, genre_factors=4, neighbours=300, hidden=(8, 4))


@pytest.fixture(scope="module")
def plays():
    """Return 200 users who play 25 of 300 tracks each: one of two kinds, and three times in ten one of the last ten."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(5)
    rows = []
    for user in range(USERS):
        history: list[int] = []
        for step in range(PLAYS):
            if history and generator.random() < AGAIN:
                item = int(generator.choice(history[-10:]))
            else:
                item = int(generator.integers(0, ITEMS // 2)) * 2 + user % 2
            history.append(item)
            rows.append((f"u{user}", f"t{item}", 5.0, 60_000 * (step * USERS + user)))
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "ts"]).sort_values("ts", ignore_index=True)
    catalogue = Catalogue.of(Item(f"t{row}", f"Track {row}") for row in range(ITEMS))
    return Dataset("plays", catalogue, frame, Provenance("table", "made", "0" * 64))


def ranks_of(log, *, repeats):
    """Return how our model ranks each user's last play among all items that may be listed."""
    split = leave_one_out(log, np.random.default_rng(0), negatives=0, repeats=repeats)
    method = TrainedNeuMF(
        replace(SMALL, repeats=repeats), TrainingConfig(epochs=6, batch=16, negatives=8, learning_rate=1.0e-2)
    )
    return run_method(method, split, 0).ranks.full


def test_a_log_with_repeats_is_hit_more_often_where_they_are_kept(plays):
    """Three plays in ten are of one of ten known tracks: keeping repeats hits those, and dropping them nobody can."""
    kept, dropped = hit_rate(ranks_of(plays, repeats=True)), hit_rate(ranks_of(plays, repeats=False))
    assert kept > dropped + 0.1
