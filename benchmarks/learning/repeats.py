"""What keeping repeats is worth where people come back to items.

Run: ``python -m benchmarks.learning.repeats [--seed 1] [--epochs 18]``. The log is made up: 25,000 plays of 1,200
tracks by 700 users of uneven activity, each with two kinds of music; three plays in ten are of one of the user's last
20. It prints HR@10 of each user's last play with repeats dropped and kept, ours and beside it what is simple, and how
the hits part into repeats and new tracks. Not run by the test suite.
"""

import argparse

import numpy as np
import pandas as pd
import torch

from commands.parts.training_options import EPOCHS, training_of
from model.catalogue import Catalogue, Item
from model.network.shape import NeuMFConfig
from replay.datasets.dataset import Dataset, Provenance
from replay.evaluation.baselines import baseline
from replay.evaluation.leave_one_out import leave_one_out
from replay.evaluation.neumf import TrainedNeuMF
from replay.evaluation.protocol import run_method

PLAYS, USERS, TRACKS, KINDS, K = 25_000, 700, 1200, 8, 10
AGAIN, REMEMBERED, PREFERRED = 0.3, 20, 0.8
SIMPLE = ("popularity", "item-knn", "co-occurrence", "ease", "als")


def main() -> None:
    """Print two blocks, one for repeats dropped and one for repeats kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    log = made_up(np.random.default_rng(given.seed))
    for repeats in (False, True):
        split = leave_one_out(log, np.random.default_rng(given.seed), negatives=0, repeats=repeats)
        held_out = np.arange(len(split)), split.candidates[:, 0]
        is_repeat = split.known(0, len(split))[held_out]
        became = "kept" if repeats else "dropped"
        print(f"{split.repeated:,} repeats {became}; {len(split):,} tests, {is_repeat.mean():.0%} of them repeats")
        ours = TrainedNeuMF(NeuMFConfig(repeats=repeats), training_of(len(split.train), given.epochs))
        for name, method in (("Reelstream", ours), *((name, baseline(name)) for name in SIMPLE)):
            hits = run_method(method, split, given.seed, K).ranks.full <= K
            parts = (("repeats", is_repeat), ("new", ~is_repeat))
            apart = ", ".join(f"{part} {hits[chosen].mean():.3f}" for part, chosen in parts if chosen.any())
            print(f"  {name:14} HR@{K} {hits.mean():.4f}  ({apart})")


def made_up(generator: np.random.Generator) -> Dataset:
    """Return the log."""
    kinds = generator.integers(0, KINDS, TRACKS)
    popularity = 1.0 / (generator.permutation(TRACKS) + 5.0) ** 0.8
    tastes = np.array([generator.choice(KINDS, 2, replace=False) for _ in range(USERS)])
    activity = generator.pareto(1.1, USERS) + 1.0
    owners = generator.choice(USERS, PLAYS, p=activity / activity.sum())
    histories: list[list[int]] = [[] for _ in range(USERS)]
    rows = []
    for minute, user in enumerate(owners.tolist()):
        history = histories[user]
        if history and generator.random() < AGAIN:
            track = int(generator.choice(history[-REMEMBERED:]))
        else:
            is_wanted = kinds == tastes[user][int(generator.random() < AGAIN)]
            weights = popularity * (is_wanted if generator.random() < PREFERRED else 1.0)
            track = int(generator.choice(TRACKS, p=weights / weights.sum()))
        history.append(track)
        rows.append((f"u{user}", f"t{track}", 5.0, 60_000 * minute))
    catalogue = Catalogue.of(Item(f"t{row}", f"Track {row}", None, (f"kind {kinds[row]}",)) for row in range(TRACKS))
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "ts"])
    return Dataset("plays", catalogue, frame, Provenance("table", "made up", ""))


if __name__ == "__main__":
    main()
