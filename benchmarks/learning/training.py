"""How many samples a second the training takes, and how long a round of fine-tuning lasts.

Run: ``python benchmarks/learning/training.py [--users 1000] [--threads 1]``. The log is made up: 165 events a user
on 3,706 items, as in ml-1m. A sample is one positive or one negative. Not run by the test suite.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from model.catalogue import Catalogue
from model.history import Interaction
from model.training.gate import gate
from model.training.learner import Learner
from model.training.rounds import Candidate, RoundConfig

EVENTS, ITEMS, NEW = 165, 3706, 5000


def main() -> None:
    """Print a line for a first training of one pass, and for two rounds of 5,000 new events, each with its gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    generator = np.random.default_rng(0)
    rounds = RoundConfig()
    learner = Learner(rounds=replace(rounds, first=replace(rounds.first, epochs=1, least_steps=0)))
    learner.observe(_log(given.users, EVENTS, 0, generator))
    first = _timed("first training, one pass", learner, generator)
    learner.settle(first, replace(gate(first), decision="promote"))  # there is nothing in this log but popularity
    for number, name in enumerate(("gate", "gate with an anchor"), start=1):
        learner.observe(_log(given.users, max(1, NEW // given.users), number * 10**9, generator))
        candidate = _timed("round of new events", learner, generator)
        began = time.perf_counter()
        verdict = gate(candidate)
        print(f"{name:26} {verdict.events:9,} events {time.perf_counter() - began:7.1f} s")
        learner.settle(candidate, replace(verdict, decision="promote"))


def _timed(name: str, learner: Learner, generator: np.random.Generator) -> Candidate:
    began = time.perf_counter()
    candidate = learner.fine_tune(Catalogue(), generator=generator)
    seconds = time.perf_counter() - began
    samples = candidate.training.samples
    print(f"{name:26} {learner.new_events:9,} events {seconds:7.1f} s {samples / seconds:12,.0f} samples/s")
    return candidate


def _log(users: int, events: int, begin: int, generator: np.random.Generator) -> list[tuple[str, Interaction]]:
    weights = 1.0 / np.arange(10, ITEMS + 10)
    items = generator.choice(ITEMS, (events, users), p=weights / weights.sum())
    return [
        (str(user), Interaction(str(items[step, user]), begin + 60_000 * step, "watch", 1.0))
        for step in range(events)
        for user in range(users)
    ]


if __name__ == "__main__":
    main()
