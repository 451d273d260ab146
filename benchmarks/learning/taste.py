"""Measure the long-term taste alone, beside the ``als`` baseline: full ranking of each user's latest event.

Run: ``python -m benchmarks.learning.taste ml-100k`` (or the path of a log or of an NCF split; ``--validate`` for
penultimate events). It prints one line a method. Not run by the test suite.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from commands.parts.splits import split_at
from model.metrics.ranking import hit_rate, ndcg
from model.network.shape import NeuMFConfig
from model.network.taste import TasteReader
from model.sequences import Sequences
from model.trainable.taste import Taste
from replay.evaluation.baselines.als import ImplicitALS
from replay.evaluation.protocol import run_method
from replay.evaluation.split import Split

SHAPE = NeuMFConfig()


@dataclass(frozen=True, slots=True)
class TasteScorer:
    """Scores by taste alone, from the newest items of the tested users."""

    reader: TasteReader
    split: Split

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        begins, ends = (bound[start:stop] for bound in self.split.bounds())
        at = ends[:, None] - 1 - np.arange(SHAPE.history_length)
        items = self.split.train["item"].to_numpy()[np.maximum(at, 0)]
        return self.reader.scores(np.where(at >= begins[:, None], items, -1))


@dataclass(frozen=True, slots=True)
class TasteMethod:
    """The part by itself."""

    is_random: bool = False

    def fit(self, split: Split, generator: np.random.Generator) -> TasteScorer:  # noqa: ARG002 - nothing is random
        """Factorise the split's events."""
        taste = Taste(split.n_items, SHAPE.taste_factors)
        columns = (split.train[name] for name in ("user", "item", "ts", "weight"))
        taste.fit(Sequences.of(*columns), SHAPE.history_length)
        print(f"strength {float(taste.strength):.2f}")
        return TasteScorer(taste.reader(), split)


def main() -> None:
    """Print the figures of both methods."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--validate", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    split = split_at(arguments.dataset, None, 0, negatives=False)
    if arguments.validate:
        split = split.validation(np.random.default_rng(0))
    for name, method in (("taste", TasteMethod()), ("als", ImplicitALS())):
        began = time.process_time()
        run = run_method(method, split, 0)
        figures = f"HR@10 {hit_rate(run.ranks.full):.4f}, NDCG@10 {ndcg(run.ranks.full):.4f}"
        print(f"{name}: {figures}, {time.process_time() - began:.1f} s of CPU")


if __name__ == "__main__":
    main()
