"""How fast retrieval and reranking answer over a million items, and how much of the exact lists they find.

Run: ``python -m benchmarks.learning.retrieval [--items 1000000] [--train DATASET] [--epochs 6] [--mlp-share 0.25]
[--taste 1.0 [--tower]]``.

No log of a million trained items is at hand, so a network is trained on a small one and its catalogue grown:
each new item lies at a random place between a trained item and one of that item's ten nearest, in all that is
trained of it (all vectors and the bias), plus noise of a quarter of each column's spread; it has the first
one's genres. So clusters, the spread of norms, the tower and the MLP are those of training, and the MLP's share of the
logits' variance, which is printed, stays what it was. Users keep their histories, each item replaced by one grown from
it. The small log is made up (80 clusters of 50 items, popular ones among them, users with three favourite
clusters); such a log leaves the MLP next to nothing to do, so its weights in the last layer are multiplied until it
makes ``--mlp-share`` of the variance, by default as much as after six epochs on ml-1m. With ``--train`` the log is a
recorded one and nothing is multiplied. With ``--taste`` the blend lets long-term taste count so much for everybody;
``--tower`` leaves it out of the index all the same. Not run by the test suite.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.network.blend import MODES, feature
from model.network.cooccurrence import ITEM_COUNTS, width_for
from model.network.snapshot import Snapshot
from model.ranking.exact import HistoryBatch, Ranker
from model.ranking.retrieval import RetrievalConfig, RetrievingRanker, measure_recall
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import RoundConfig
from replay.datasets.readers import read_dataset

CLUSTERS, EACH, USERS, EVENTS = 80, 50, 2000, 60
NEAR, NOISE = 10, 0.25
MIN_LARGE_EVENTS = 300_000  # from here on larger batches leave enough steps
SINGLE_USERS = 300  # asked one by one: three lie beyond the 99th percentile

Log = list[tuple[str, Interaction]]


class GrownSnapshot(NamedTuple):
    """A snapshot of many items, and which item each of them was grown from."""

    snapshot: Snapshot
    source: torch.Tensor


def main() -> None:
    """Print one line per step and per number of probes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train", metavar="DATASET", help="a recorded log instead of a made-up one")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--mlp-share", type=float, default=0.25, help="of the logits' variance, for the made-up log")
    parser.add_argument("--taste", type=float, default=0.0, help="its weight in the blend")
    parser.add_argument("--tower", action="store_true", help="leave taste out of the index")
    parser.add_argument("--probes", type=int, nargs="+", default=[32, RetrievalConfig().probes, 128])
    parser.add_argument("--candidates", type=int, nargs="+", default=[200, RetrievalConfig().candidates])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    log, catalogue = made_up() if given.train is None else _recorded(given.train)
    small = trained(log, catalogue, given.epochs)
    histories = _histories(Ranker(small), log, given.users)
    if given.train is None:
        small = _scaled(small, histories, given.mlp_share)
    small = _weighing_taste(small, given.taste)
    print(f"trained on {len(log):,} events, {len(small.items):,} items; MLP share {_mlp_share(small, histories):.1%}")
    grown = grown_to(small, given.items, np.random.default_rng(0))
    histories = _moved(histories, grown, np.random.default_rng(1))
    few = histories.taken(slice(0, 16))
    print(f"grown to {given.items:,} items; MLP share {_mlp_share(grown.snapshot, few):.1%}")
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    Ranker(grown.snapshot)
    plain = time.perf_counter() - began
    ranker = RetrievingRanker(grown.snapshot, RetrievalConfig(taste=not given.tower))
    built = time.perf_counter() - began - plain
    held = psutil.Process().memory_info().rss - before
    print(f"exact ranker built in {plain:.1f} s, retrieving one in {built:.1f} s; it holds {held / 2**20:,.0f} MiB")
    exact = _milliseconds(lambda: ranker.rank_exactly(few, 10), 3) / len(few)
    print(f"exact ranking: {np.median(exact):.1f} ms a user in batches of 16, {given.threads} threads")
    for candidates in given.candidates:
        for probes in given.probes:
            config = replace(ranker.config, candidates=candidates, per_item=1, probes=probes)
            _report(ranker.with_config(config), histories)


def _report(ranker: RetrievingRanker, histories: HistoryBatch) -> None:
    recall = measure_recall(ranker, histories)
    together = _milliseconds(lambda: ranker.rank(histories, 10), 7) / len(histories)
    alone = [
        _milliseconds(partial(ranker.rank, histories.taken(slice(at, at + 1)), 10), 1)[0]
        for at in np.arange(SINGLE_USERS) % len(histories)
    ]
    print(
        f"{ranker.config.probes:4} probes, {ranker.config.candidates} candidates: recall@10 {recall.mean:.4f} "
        f"+- {recall.standard_error:.4f}, worst {recall.worst:.1f}; ms a user: batch of {len(histories)} "
        f"{np.median(together):.2f} (slowest {max(together):.2f}), alone {np.median(alone):.2f}, "
        f"p99 {np.percentile(alone, 99):.2f}"
    )


def made_up() -> tuple[Log, Catalogue]:
    """Return a log in which a user draws from three favourite clusters, popular items more often."""
    generator = np.random.default_rng(0)
    popular = 1.0 / np.arange(3, EACH + 3)
    log = []
    for user in range(USERS):
        favourites = generator.choice(CLUSTERS, 3, replace=False)
        clusters = generator.choice(favourites, EVENTS, p=[0.5, 0.3, 0.2])
        items = clusters * EACH + generator.choice(EACH, EVENTS, p=popular / popular.sum())
        times = np.sort(generator.integers(0, 10**10, EVENTS))
        log += [
            (f"u{user}", Interaction(str(item), ts, "watch", 1.0))
            for item, ts in zip(items.tolist(), times.tolist(), strict=True)
        ]
    catalogue = [
        Item(str(row), f"Item {row}", None, (f"g{row // EACH % 18}", f"g{row % 7}")) for row in range(CLUSTERS * EACH)
    ]
    return sorted(log, key=lambda event: event[1].ts), Catalogue.of(catalogue)


def _recorded(name_or_path: str) -> tuple[Log, Catalogue]:
    data = read_dataset(name_or_path, seed=0)
    table = data.interactions
    columns = (table["user_id"], table["item_id"], table["ts"], table["rating"] / 5.0, data.positive())
    log = [
        (user, Interaction(item, ts, "rate", weight, bool(is_positive)))
        for user, item, ts, weight, is_positive in zip(*columns, strict=True)
    ]
    return log, data.catalogue


def trained(log: Log, catalogue: Catalogue, epochs: int) -> Snapshot:
    """Return a first version of a log."""
    rounds = RoundConfig()
    rounds = replace(
        rounds,
        first=replace(rounds.first, epochs=epochs, least_steps=0, batch=16 if len(log) < MIN_LARGE_EVENTS else 64),
    )
    learner = Learner(LearnerConfig(max_events=len(log) + 1, max_events_per_user=len(log) + 1), rounds)
    learner.observe(log)
    return learner.fine_tune(catalogue, generator=np.random.default_rng(0)).snapshot


def _histories(ranker: Ranker, log: Log, n: int) -> HistoryBatch:
    """Return what the first n users have done."""
    recent: dict[str, list[Interaction]] = {}
    for user, one in log:
        if user in recent or len(recent) < n:
            recent.setdefault(user, []).append(one)
    return ranker.histories([Profile(user, recent=tuple(events[::-1])) for user, events in recent.items()])


def _weighing_taste(snapshot: Snapshot, weight: float) -> Snapshot:
    """Return the snapshot with this weight of taste in personalised lists."""
    blend = snapshot.weights["blend.weights"].copy()
    blend[MODES.index("personalized"), :, feature("taste")] = weight
    return replace(snapshot, weights=dict(snapshot.weights) | {"blend.weights": blend})


def grown_to(small: Snapshot, n: int, generator: np.random.Generator) -> GrownSnapshot:
    """Return a snapshot of n items, each between two alike of a small one, as told above."""
    weights = {name: torch.from_numpy(weight.copy()) for name, weight in small.weights.items()}
    directions = torch.nn.functional.normalize(weights["item_factors"], dim=1)
    nearest = (directions @ directions.T).fill_diagonal_(-2.0).topk(NEAR).indices  # (n_small, NEAR)
    source = torch.from_numpy(generator.integers(0, len(directions), n))
    other = nearest[source, torch.from_numpy(generator.integers(0, NEAR, n))]
    share = torch.from_numpy(generator.random(n, dtype=np.float32))
    for name in ("item_factors", "item_mlp_factors", "item_bias", "taste.factors"):
        table = weights[name]
        noise = torch.from_numpy(generator.standard_normal((n, *table.shape[1:]), dtype=np.float32))
        weights[name] = torch.lerp(table[source], table[other], share.view(-1, *[1] * (table.ndim - 1)))
        weights[name] += NOISE * table.std(dim=0) * noise
    weights["item_genres"] = weights["item_genres"][source]
    width = width_for(n, small.config.neighbours)
    weights |= _grown_evidence(weights, source, width, generator)
    arrays = {name: weight.contiguous().numpy() for name, weight in weights.items()}
    shape = replace(small.config, neighbours=width)
    return GrownSnapshot(Snapshot(shape, arrays, tuple(map(str, range(n))), small.users, small.genres), source)


def _grown_evidence(
    small: dict[str, torch.Tensor], source: torch.Tensor, width: int, generator: np.random.Generator
) -> dict[str, torch.Tensor]:
    """Return the evidence of grown items: what followed an item's source most, each as one item grown from it."""
    rows, counts = small["evidence.neighbours"].long(), small["evidence.counts"]
    kept = counts.topk(min(width, counts.shape[1]), dim=1).indices
    order, many = source.argsort(), torch.bincount(source, minlength=len(rows))
    rows, counts = rows.gather(1, kept)[source], counts.gather(1, kept)[source]  # (n, width)
    place = torch.from_numpy(generator.random(rows.shape)) * many[rows.clamp(min=0)]
    first = (many.cumsum(0) - many)[rows.clamp(min=0)]
    grown = order[(first + place.long()).clamp(max=len(order) - 1)]
    known = (rows >= 0) & (many[rows.clamp(min=0)] > 0)
    return {
        "evidence.neighbours": torch.where(known, grown, -1).to(torch.int32),
        "evidence.counts": torch.where(known, counts, 0.0),
        **{f"evidence.{name}": small[f"evidence.{name}"][source] for name in ITEM_COUNTS},
    }


def _moved(histories: HistoryBatch, grown: GrownSnapshot, generator: np.random.Generator) -> HistoryBatch:
    """Return the histories with each item replaced by a random one that was grown from it."""
    order = np.argsort(grown.source.numpy(), kind="stable")
    wanted = np.maximum(histories.items, 0)
    first, last = (np.searchsorted(grown.source.numpy()[order], wanted, side) for side in ("left", "right"))
    at = first + (generator.random(wanted.shape) * np.maximum(last - first, 1)).astype(np.int64)
    items = np.where(histories.items >= 0, order[np.minimum(at, len(order) - 1)], -1)
    return replace(histories, items=items)


def _mlp_share(snapshot: Snapshot, histories: HistoryBatch) -> float:
    """Return the variance over items of the MLP's part of the logit, as a share of the logit's, mean over users."""
    logits, rest = (Ranker(one).logits(histories) for one in (snapshot, _times(snapshot, 0.0)))
    return _share(logits - rest, rest)


def _share(mlp: NDArray[np.float32], rest: NDArray[np.float32]) -> float:
    return float((mlp.var(axis=1) / (mlp + rest).var(axis=1)).mean())


def _times(snapshot: Snapshot, factor: float) -> Snapshot:
    """Return the snapshot with the MLP's part of the logit multiplied."""
    return replace(snapshot, weights=dict(snapshot.weights) | {"fuse_mlp": snapshot.weights["fuse_mlp"] * factor})


def _scaled(snapshot: Snapshot, histories: HistoryBatch, share: float) -> Snapshot:
    """Return the snapshot with the MLP multiplied until it makes this share of the variance, found by halving."""
    rest = Ranker(_times(snapshot, 0.0)).logits(histories)
    mlp = Ranker(snapshot).logits(histories) - rest
    low, high = 0.0, 1024.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _share(middle * mlp, rest) < share else (low, middle)
    return _times(snapshot, high)


def _milliseconds(run: Callable[[], object], times: int) -> np.ndarray:
    """Return how long each of some runs took; the first one, which sets things up, is left out if there are several."""
    spent = []
    for _ in range(times + (times > 1)):
        began = time.perf_counter()
        run()
        spent.append(1e3 * (time.perf_counter() - began))
    return np.array(spent[-times:])


if __name__ == "__main__":
    main()
