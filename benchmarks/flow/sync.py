"""What it costs to bring one round of fine-tuning to a worker: the changes alone against the whole version.

Run: ``python -m benchmarks.flow.sync [--items 100000] [--users 20000] [--events 1000] [--rounds 8] [--json]``. The log
is made up: a version over a catalogue of ``--items``, of which popularity is Zipf's, is stored, and then ``--rounds``
rounds of twice ``--events`` new events each, half of them of new users, are trained, stored as changes, and followed by
a worker's ranker, one after the other in one process with one thread. The floor is reading the same bytes from the same
folder. Not run by the test suite.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from model.catalogue import Catalogue, Item
from model.history import Interaction
from model.network.snapshot import Snapshot
from model.ranking.exact import HistoryBatch
from model.ranking.retrieval import RetrievingRanker, build_ranker, measure_recall
from model.training.gate import gate
from model.training.learner import Learner
from model.training.rounds import RoundConfig
from streams.registry.registry import Registry

ABOUT: dict[str, Any] = {"metrics": {}, "offsets": {}, "seed": 0, "code_revision": "benchmark"}


def main() -> None:
    """Print a line for each step: median seconds over the rounds, and bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument(
        "--events", type=int, default=1000, help="users with a new event in a round, new and old ones each"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.items, given.users, given.events, given.rounds, Path(folder))
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<44} {value:,.3f}" if isinstance(value, float) else f"{name:<44} {value:,}")


def measured(n_items: int, n_users: int, n_events: int, rounds: int, folder: Path) -> dict[str, float | int]:
    """Return what each step took."""
    generator = np.random.default_rng(0)
    catalogue = Catalogue.of(Item(f"i{row}", f"Film {row}", None, (f"g{row % 20}",)) for row in range(n_items))
    learner = Learner(rounds=replace(RoundConfig(), first=replace(RoundConfig().first, epochs=1, least_steps=0)))
    learner.observe(log(n_users, 20, n_items, 0, generator))
    first = learner.fine_tune(catalogue, generator=generator)
    learner.settle(first, replace(gate(first), decision="promote"))  # whatever a made-up log is good for
    registry = Registry(str(folder))
    parent = registry.save(first.snapshot, parent=None, created_ms=0, **ABOUT)
    seconds: dict[str, list[float]] = {}
    with timed(seconds, "build a ranker of the whole, s"):
        ranker = build_ranker(first.snapshot, "auto")
    held: tuple[str, Snapshot] = (parent.version_id, first.snapshot)
    size, rows = [], []
    for number in range(1, rounds + 1):
        learner.observe(log(n_events, 1, n_items, number * 10**9, generator, first=n_users + number * n_events))
        learner.observe(log(n_events, 1, n_items, number * 10**9, generator))
        with timed(seconds, "train a round, s"):
            candidate = learner.fine_tune(catalogue, generator=generator)
        with timed(seconds, "gate, s"):
            verdict = gate(candidate)
        learner.settle(candidate, replace(verdict, decision="promote"))
        with timed(seconds, "store changes, s"):
            stored = registry.save(candidate.snapshot, parent=held[0], onto=held[1], created_ms=0, **ABOUT)
        with timed(seconds, "follow changes, s"):
            followed = registry.follow(stored.version_id, held)
        assert followed.changed is not None, "a round must be shipped as changes"
        with timed(seconds, "patch the ranker, s"):
            ranker = build_ranker(followed.snapshot, "auto", before=ranker, changed=followed.changed)
        with timed(seconds, "floor: read the bytes of the changes, s"):
            registry.fetch(stored, "delta.safetensors")
        size.append(stored.size)
        rows.append(len(followed.changed))
        held = (stored.version_id, followed.snapshot)
    with timed(seconds, "follow the same from nothing, s"):
        registry.follow(held[0])
    found: dict[str, float | int] = {"bytes of the whole version": parent.size}
    found |= {"bytes of changes": int(median(size)), "items changed": int(median(rows))}
    found |= {name: median(values) for name, values in seconds.items()}
    found |= {f"{name}, slowest": max(seconds[name]) for name in ("follow changes, s", "patch the ranker, s")}
    if isinstance(ranker, RetrievingRanker):
        found |= recalls(ranker, held[1], n_items, generator)
    return found


def recalls(
    ranker: RetrievingRanker, snapshot: Snapshot, n_items: int, generator: np.random.Generator
) -> dict[str, float]:
    """Return recall@10 of the patched index and of a new one over the same version."""
    users = 64
    weights = np.ones((users, 10), dtype=np.float32)
    histories = HistoryBatch(
        np.full(users, -1),
        generator.choice(n_items, (users, 10), p=zipf(n_items)),
        np.cumsum(generator.integers(1000, 100_000, (users, 10)), axis=1),
        weights,
        weights,
    )
    return {
        "recall@10 over the patched index": measure_recall(ranker, histories).mean,
        "recall@10 over a new index": measure_recall(RetrievingRanker(snapshot), histories).mean,
    }


@contextmanager
def timed(seconds: dict[str, list[float]], name: str) -> Iterator[None]:
    """Note how long a ``with`` block took."""
    began = time.perf_counter()
    yield
    seconds.setdefault(name, []).append(time.perf_counter() - began)


def zipf(n_items: int) -> np.ndarray:
    """Return how likely each item is."""
    weights = 1.0 / np.arange(10, n_items + 10)
    return np.asarray(weights / weights.sum())


def log(
    users: int, events: int, n_items: int, begin: int, generator: np.random.Generator, first: int = 0
) -> list[tuple[str, Interaction]]:
    """Return some events of each user, a minute apart."""
    items = generator.choice(n_items, (events, users), p=zipf(n_items))
    return [
        (f"u{first + user}", Interaction(f"i{items[step, user]}", begin + 60_000 * step, "watch", 1.0))
        for step in range(events)
        for user in range(users)
    ]


if __name__ == "__main__":
    main()
