"""How many users a second are ranked against a whole catalogue, and what the precomputed item side saves.

Run: ``python -m benchmarks.learning.ranking [--users 256] [--items 3706] [--threads 1 2]``. Weights are random:
the arithmetic does not depend on them. The naive pass that the factor compares with runs the plain network for
every pair of user and item: tower, item vectors and MLP anew. Not run by the test suite.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from model.history import Interaction, Profile
from model.network.shape import NeuMFConfig, genre_matrix
from model.ranking.exact import HistoryBatch, Ranker
from model.sequences import Sequences
from model.trainable.neumf import NeuMF

LIKED = 3  # of five items; for the others approval is added


def main() -> None:
    """Print one line per question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--items", type=int, default=3706)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    torch.set_num_threads(1)
    profiles = _profiles(given.users, given.items)
    for threads in given.threads:
        ranker = _ranker(given.items, threads)
        print(f"{given.users} users x {given.items} items, top 10, {threads} threads, median of runs")
        _report(ranker, profiles)


def _report(ranker: Ranker, profiles: list[Profile]) -> None:
    histories = ranker.histories(profiles)
    one, few = histories.taken(slice(0, 1)), histories.taken(slice(0, 8))
    network = NeuMF.of(ranker.snapshot)
    read = _seconds(lambda: ranker.histories(profiles))
    batch = _seconds(lambda: ranker.rank(histories, 10))
    single = _seconds(lambda: ranker.rank(one, 10), times=50)
    known = _seconds(lambda: _known_user(ranker, network, few)) / len(few)
    naive = _seconds(lambda: _pair_by_pair(ranker, network, one), times=3)
    content = _seconds(lambda: ranker.rank(replace(histories, likings=np.abs(histories.likings)), 10))
    each = batch / len(histories)
    print(f"histories to rows   {1e3 * read:8.2f} ms")
    print(f"rank                {1e3 * batch:8.2f} ms  {1 / each:10,.0f} users/s")
    print(f"nothing disliked    {1e3 * content:8.2f} ms  {batch / content:10.2f} x the batch's time")
    print(f"one user            {1e3 * single:8.2f} ms")
    print(f"tower once a user   {1e3 * known:8.2f} ms  {known / each:10,.1f} x the batch's time per user")
    print(f"naive, every pair   {1e3 * naive:8.2f} ms  {naive / each:10,.0f} x")


def _ranker(n_items: int, threads: int) -> Ranker:
    names = tuple(f"g{number}" for number in range(18))
    genres = genre_matrix([[names[row % 18], names[row % 7]] for row in range(n_items)], names)
    network = NeuMF(NeuMFConfig(), 1000, genres, torch.Generator().manual_seed(0))
    network.evidence.count(_walks(n_items))
    items, users = (tuple(map(str, range(n))) for n in (n_items, 1000))
    return Ranker(network.snapshot(items, users, names), threads=threads)


def _walks(n_items: int) -> Sequences:
    """Return 200 events of each of 500 users, among which most items follow most others at some time."""
    generator = np.random.default_rng(1)
    users, times = np.repeat(np.arange(500), 200), np.tile(np.arange(200) * 60_000, 500)
    return Sequences.of(users, generator.integers(0, n_items, len(users)), times, np.ones(len(users)))


def _profiles(n_users: int, n_items: int) -> list[Profile]:
    generator = np.random.default_rng(0)
    return [
        Profile(
            str(user),
            recent=tuple(
                Interaction(
                    str(item), 1_000_000 - 1000 * place, "rate", 0.8 if place % 5 < LIKED else 0.4, place % 5 < LIKED
                )
                for place, item in enumerate(generator.choice(n_items, 50, replace=False).tolist())
            ),
        )
        for user in range(n_users)
    ]


def _pair_by_pair(ranker: Ranker, network: NeuMF, histories: HistoryBatch) -> None:
    """Score as the plain network does: tower, item side and MLP input anew for every pair of user and item."""
    rows = torch.arange(len(ranker)).unsqueeze(1)
    with torch.no_grad():
        for place in range(len(histories)):
            alone = histories.taken(slice(place, place + 1))
            users, items, times, weights = (
                torch.from_numpy(column).repeat_interleave(len(ranker), 0)
                for column in (alone.users, np.maximum(alone.items, 0), alone.times, alone.weights)
            )
            lengths = torch.full((len(ranker),), alone.items.shape[1])
            network.pair_logits(network.users_now(users, items, times, weights, lengths), network.item_side(), rows)


def _known_user(ranker: Ranker, network: NeuMF, histories: HistoryBatch) -> None:
    """Score with the tower once a user, but the item side and MLP input for every pair."""
    rows = torch.arange(len(ranker)).unsqueeze(1)
    with torch.no_grad():
        for place in range(len(histories)):
            alone = histories.taken(slice(place, place + 1))
            items = torch.from_numpy(alone.items)
            lengths = torch.tensor([items.shape[1]])
            columns = (torch.from_numpy(alone.times), torch.from_numpy(alone.weights), lengths)
            user = network.users_now(torch.from_numpy(alone.users), items.clamp(min=0), *columns)
            network.pair_logits(user.expand(len(ranker), -1), network.item_side(), rows)


def _seconds(run: object, times: int = 15) -> float:
    assert callable(run)
    run()
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
