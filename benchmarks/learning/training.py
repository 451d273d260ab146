"""How many samples a second the training takes, and which part of a round of fine-tuning takes how long.

Run: ``python -m benchmarks.learning.training [--users 1000] [--items 3706 100000] [--threads 1]``. The log is made up:
165 events a user, as in ml-1m. A sample is one positive or one negative. A part's seconds leave out those of the parts
within it; the processor's are of all threads. Not run by the test suite.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from commands.parts.running import limit_threads
from model.catalogue import Catalogue, Item
from model.history import Interaction
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.trainable.evidence import Evidence
from model.trainable.neumf import NeuMF
from model.trainable.taste import Taste
from model.training import gate as gates
from model.training import learner as learners
from model.training import rounds
from model.training.fit import TrainingConfig
from model.training.learner import Learner
from model.training.rounds import Candidate, RoundConfig

EVENTS, NEW = 165, 5000
GENRES = 18
TRAINING = ("first training, one pass", "fit")
VERSIONS = ("gate: candidate", "gate: champion", "gate: anchor")  # in the order in which the gate ranks them
PARTS: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (Learner, "observe", ("observe",)),
    (Learner, "material", ("learner's preparation",)),
    (learners, "run_round", ("all else of a round",)),
    (NeuMF, "of", ("champion copied",)),
    (rounds, "counted_pairs", ("evidence",)),
    (Evidence, "count", ("evidence",)),
    (NeuMF, "grow", ("new rows",)),
    (Taste, "fit", ("taste (ALS)",)),
    (rounds, "extract", ("rows of the round",)),
    (rounds, "write_back", ("rows of the round",)),
    (rounds, "fit_spans", ("fit",)),
    (NeuMF, "snapshot", ("snapshot",)),
    (rounds, "require_not_diverged", ("snapshot",)),
    (Snapshot, "with_blend", ("snapshot",)),
    (rounds, "learnt_blend", ("blend",)),
    (Ranker, "__init__", ("rankers made",)),
    (gates, "held_out_ranks", VERSIONS),
    (gates, "popularity_ranks", ("gate: popularity",)),
    (gates, "counts_ranks", ("gate: counts",)),
)


@dataclass
class Stopwatch:
    """Adds up what parts take, by wall and processor.

    Parameters
    ----------
    spent : seconds of both, float64 (2,), by part.
    within : what the parts inside each present one have taken, outermost first.
    """

    spent: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    within: list[NDArray[np.float64]] = field(default_factory=list)

    def timed(self, parts: tuple[str, ...], function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls are timed as these parts in turn, without other parts that they call."""
        names = cycle(parts)

        def run(*given: Any, **named: Any) -> Any:
            began = _now()
            self.within.append(np.zeros(2))
            try:
                return function(*given, **named)
            finally:
                whole, part = _now() - began, next(names)
                self.spent[part] = self.spent.get(part, np.zeros(2)) + whole - self.within.pop()
                if self.within:
                    self.within[-1] += whole

        return run

    @contextmanager
    def over(self, owner: Any, name: str, parts: tuple[str, ...]) -> Iterator[None]:
        """Time a function or method of an owner while the context lasts."""
        held = vars(owner)[name]
        bound = isinstance(held, classmethod)
        timed = self.timed(parts, held.__func__ if bound else held)
        setattr(owner, name, classmethod(timed) if bound else timed)
        try:
            yield
        finally:
            setattr(owner, name, held)

    def print(self, candidate: Candidate) -> None:
        """Print a line for each part, with the samples a second of those that train, and one for all parts."""
        total = sum(self.spent.values(), np.zeros(2))
        for part, (wall, processor) in [*self.spent.items(), ("together", total)]:
            rate = f"{candidate.training.samples / processor:12,.0f} samples/s" if part in TRAINING else ""
            print(f"  {part:26} {wall:7.2f} s {processor:7.2f} s of the processor{rate}")


def main() -> None:
    """Print a line for a first training of one pass, and the parts of two rounds of 5,000 new events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, nargs="+", default=[3706])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    limit_threads(given.threads)  # as the trainer does: NumPy's would spin while they wait for each other
    torch.set_num_threads(given.threads)
    for items in given.items:
        print(f"{items:,} items, {given.users:,} users, {given.threads} threads")
        _report(given.users, items)


def _report(users: int, items: int) -> None:
    generator, catalogue = np.random.default_rng(0), _catalogue(items)
    config = RoundConfig()
    learner = Learner(rounds=replace(config, first=TrainingConfig(epochs=1)))
    learner.observe(_log(users, items, EVENTS, 0, generator))
    watch = Stopwatch()
    candidate = watch.timed(("first training, one pass",), learner.fine_tune)(catalogue, generator=generator)
    watch.print(candidate)
    learner.settle(candidate, replace(gates.gate(candidate), decision="promote"))  # the log is nothing but popularity
    for number in (1, 2):
        new = _log(users, items, max(1, NEW // users), number * 10**9, generator)
        watch = Stopwatch()
        with ExitStack() as timing:
            for owner, name, parts in PARTS:
                timing.enter_context(watch.over(owner, name, parts))
            learner.observe(new)
            candidate = learner.fine_tune(catalogue, generator=generator)
            verdict = watch.timed(("all else of the gate",), gates.gate)(candidate)
        print(f"round of {len(new):,} new events, {verdict.events:,} of them held out")
        watch.print(candidate)
        learner.settle(candidate, replace(verdict, decision="promote"))


def _now() -> NDArray[np.float64]:
    return np.array([time.perf_counter(), time.process_time()])


def _catalogue(items: int) -> Catalogue:
    return Catalogue.of(
        Item(str(item), f"Title {item} of many", 1950 + item % 70, (f"genre {item % GENRES}", f"genre {item % 7}"))
        for item in range(items)
    )


def _log(
    users: int, n_items: int, events: int, begin: int, generator: np.random.Generator
) -> list[tuple[str, Interaction]]:
    weights = 1.0 / np.arange(10, n_items + 10)
    items = generator.choice(n_items, (events, users), p=weights / weights.sum())
    return [
        (str(user), Interaction(str(items[step, user]), begin + 60_000 * step, "watch", 1.0))
        for step in range(events)
        for user in range(users)
    ]


if __name__ == "__main__":
    main()
