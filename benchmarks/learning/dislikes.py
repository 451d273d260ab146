"""What five half-star ratings of one genre do to a user's list, before and after a round of training.

``python -m benchmarks.learning.dislikes ml-100k`` learns a version from the earliest events of a log.
Some users then rate five films of a genre, the most popular ones that they do not know, with half a star each. Printed
is how many films of that genre their lists of ten hold on average: before, after, and after a round that learnt from
these ratings; and the same for five ratings of five stars. Cold lists are those of the same users without any version.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from model.feedback import RatingTallies
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.training.learner import Learner
from model.training.rounds import RoundConfig
from replay.datasets.readers import read_dataset
from replay.prequential.offline_worker import OfflineWorker
from replay.prequential.stream import Stream
from streams.kafka.topics import RATES
from streams.records.records import Event, Origin, Rating, interactions_of

MIN_EVENTS = 20  # of a user whose list is looked at
RATED = 5


class Scene:
    """One worker and one trainer after the earliest events of a log."""

    def __init__(self, stream: Stream, snapshot: Snapshot | None) -> None:
        self.worker = OfflineWorker(stream.catalogue)
        self.learner = Learner(rounds=RoundConfig(), champion=snapshot)
        self._tallies = RatingTallies()
        events = list(stream.events(0, stream.warm))
        self.worker.state.apply(event for _, event in events)
        self.learner.preload(interactions_of((event for _, event in events), self._tallies))
        self.worker.merge_trending()
        if snapshot is not None:
            self.worker.use(Ranker(snapshot), "1")
        self._next = len(events)

    def rate(self, user_id: str, items: Sequence[str], stars: float, ts: int) -> tuple[list[str], list[str]]:
        """Rate items, and return the user's lists before and after."""
        events: list[tuple[Origin, Event]] = []
        for item_id in items:
            number, self._next = self._next, self._next + 1
            events.append((Origin(RATES, 0, number, ts), Rating(f"new:{number}", user_id, item_id, ts, stars)))
        before = self.worker.ask(events[:1], [0])[0]
        after = self.worker.take([events[1:]])[0]
        self.learner.observe(interactions_of((event for _, event in events), self._tallies))
        return [one.item_id for one in before.items], [one.item_id for one in after.items]

    def learn(self, stream: Stream) -> None:
        """Run a round on what was rated, and serve it whatever it is worth."""
        self.learner.config = replace(self.learner.config, held_out_share=0.0)
        candidate = self.learner.fine_tune(stream.catalogue, generator=np.random.default_rng(1))
        self.worker.use(Ranker(candidate.snapshot), "2")

    def list_of(self, user_id: str, ts: int) -> list[str]:
        """Return a user's list as of now; what asks for it is not kept."""
        origin = Origin(RATES, 0, self._next, ts)
        profile = self.worker.state.profile(user_id)
        event = Rating("ask", user_id, profile.recent[0].item_id, ts, 3.0)
        return [one.item_id for one in self.worker.ask([(origin, event)], [0])[0].items]


def first_version(stream: Stream, seed: int) -> Snapshot:
    """Learn a version from the warm-up."""
    learner, tallies = Learner(), RatingTallies()
    events = (event for _, event in stream.events(0, stream.warm))
    learner.observe(interactions_of(events, tallies))
    return learner.fine_tune(stream.catalogue, generator=np.random.default_rng(seed)).snapshot


def counts(
    stream: Stream, snapshot: Snapshot | None, users: Sequence[str], genre: str, stars: float
) -> dict[str, float]:
    """Return how many items of the genre a list holds on average: before, after, after a round."""
    members = {item.item_id for item in stream.catalogue if genre in item.genres}
    popular = [item for item, _ in Counter(stream.item_ids[: stream.warm].tolist()).most_common() if item in members]
    scene = Scene(stream, snapshot)
    ts = int(stream.ts[stream.warm])
    lists: dict[str, list[list[str]]] = {"before": [], "after": []}
    for user_id in users:
        seen = {one.item_id for one in scene.worker.state.profile(user_id).recent}
        before, after = scene.rate(user_id, [item for item in popular if item not in seen][:RATED], stars, ts)
        lists["before"].append(before)
        lists["after"].append(after)
    if snapshot is not None:
        scene.learn(stream)
        lists["after a round"] = [scene.list_of(user_id, ts) for user_id in users]
    return {name: sum(item in members for one in some for item in one) / len(users) for name, some in lists.items()}


def chosen_users(stream: Stream, genre: str, n: int, *, fond: bool) -> list[str]:
    """Return the first users with enough events of whom the genre makes a tenth or more, or hardly anything."""
    members = {item.item_id for item in stream.catalogue if genre in item.genres}
    touched: dict[str, list[bool]] = {}
    columns = stream.user_ids[: stream.warm].tolist(), stream.item_ids[: stream.warm].tolist()
    for user_id, item_id in zip(*columns, strict=True):
        touched.setdefault(user_id, []).append(item_id in members)
    enough = {user_id: np.mean(flags) for user_id, flags in touched.items() if len(flags) >= MIN_EVENTS}
    return [user_id for user_id, share in enough.items() if (share >= 0.1) == fond][:n]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--genre", default="Horror")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    log = read_dataset(options.log, seed=options.seed)
    stream = Stream.of(log, warm_up=0.5, limit=2 * options.events)
    version = first_version(stream, options.seed)
    found: dict[str, Any] = {}
    for who, fond in (("fond of it", True), ("others", False)):
        users = chosen_users(stream, options.genre, options.users, fond=fond)
        for mode, snapshot in (("personalized", version), ("cold start", None)):
            for stars in (0.5, 5.0):
                found[f"{who} ({len(users)}), {mode}, {stars} stars"] = counts(
                    stream, snapshot, users, options.genre, stars
                )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
