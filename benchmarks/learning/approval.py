"""What approval is worth, by the weights of its terms: test, then learn, over a log once for each of them.

``python -m benchmarks.learning.approval ml-100k`` prints HR@10 over all tests and over those of four stars or more, and
the share of ratings below three stars among the hits. ``--weights 0,0,0`` is the network alone. Each line is a run of
its own, of a few minutes on ml-100k; ``--limit`` takes the earliest events only.
"""

import argparse
from dataclasses import replace

import torch

from commands.parts.training_options import training_of
from model.network.snapshot import Snapshot
from model.ranking.approval import ApprovalConfig
from model.ranking.exact import Ranker
from model.training.rounds import RoundConfig
from replay.datasets.readers import read_dataset
from replay.prequential.outcome import ONLINE, PrequentialOutcome
from replay.prequential.run import PrequentialConfig, PrequentialRun
from replay.prequential.stream import Stream

WEIGHTS = ("0,0,0", "0.25,0,0", "0,0.5,0", "0,0,1", "0.25,0.5,1", "0.5,0.5,1", "0.5,0.5,1.5")


class WeighedRun(PrequentialRun):
    """A run whose versions serve with other weights."""

    def __init__(self, stream: Stream, config: PrequentialConfig, approval: ApprovalConfig) -> None:
        super().__init__(stream, config)
        self._approval = approval

    def use(self, snapshot: Snapshot | None) -> None:
        """Serve a version from here on, or none."""
        super().use(snapshot)
        if snapshot is not None:
            self.worker.use(Ranker(snapshot, approval=self._approval), str(self.promoted))


def outcome_of(stream: Stream, approval: ApprovalConfig, epochs: int) -> PrequentialOutcome:
    """Run over a stream and return what came of it."""
    rounds = replace(RoundConfig(), first=training_of(stream.warm, epochs))
    config = PrequentialConfig(rounds=rounds)
    run = WeighedRun(stream, config, approval)
    run.warm_up(stream.warm)
    run.round()
    for _ in run.blocks():
        pass
    return PrequentialOutcome(stream, run.track, run.marks, {ONLINE: run.track.ranks}, config.road.serving.k)


def main() -> None:
    """Print a line for each triple of weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--weights", nargs="+", default=WEIGHTS, metavar="ITEM,GENRE,FOLLOWING")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--epochs", type=int, default=18)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stream = Stream.of(read_dataset(options.log, seed=0), limit=options.limit)
    print("item, genre, following | HR@10 | 4 stars or more | below 3 among hits")
    for weights in options.weights:
        outcome = outcome_of(stream, ApprovalConfig(*map(float, weights.split(","))), options.epochs)
        taste = outcome.taste(ONLINE)
        hit_rate = outcome.figures(ONLINE).hit_rate
        print(f"{weights} | {hit_rate:.4f} | {taste.liked_hit_rate:.4f} | {taste.low_share:.4f}", flush=True)


if __name__ == "__main__":
    main()
