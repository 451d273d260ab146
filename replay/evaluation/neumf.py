"""Reelstream's NeuMF as one of the evaluated methods: trained as ``reelstream train`` does, asked as a worker asks."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from model.network.shape import NeuMFConfig
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.training.fit import Progress, TrainingConfig
from model.training.whole_log import train_blended
from replay.evaluation.scorers import RankerScorer
from replay.evaluation.split import Split

__all__ = ["TrainedNeuMF"]


@dataclass(frozen=True, slots=True)
class TrainedNeuMF:
    """One configuration.

    Parameters
    ----------
    network, training : shape, and how to train.
    progress : called after each step.
    threads : among which a batch of users is divided when they are ranked.
    """

    is_random: ClassVar[bool] = True
    network: NeuMFConfig = field(default_factory=NeuMFConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    progress: Progress | None = None
    threads: int = 1

    def fit(self, split: Split, generator: np.random.Generator) -> RankerScorer:
        """Train on the split's events."""
        return RankerScorer(Ranker(self.snapshot(split, generator), threads=self.threads), split)

    def snapshot(self, split: Split, generator: np.random.Generator) -> Snapshot:
        """Return the version that training leads to."""
        snapshot, _ = train_blended(
            split.event_users(),
            split.event_items(),
            split.train["ts"].to_numpy(),
            split.train["weight"].to_numpy(),
            split.catalogue,
            wanted=split.wanted(),
            network=self.network,
            training=self.training,
            generator=generator,
            progress=self.progress,
        )
        return snapshot
