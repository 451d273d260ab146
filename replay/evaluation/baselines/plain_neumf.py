"""The NeuMF of the paper as one of the evaluated methods: ids only, no history, no genres."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from model.plain.fit import Backend, PlainProgress, PlainTraining, train_plain
from model.plain.network import PlainConfig, PlainNeuMF
from model.sequences import Sequences
from replay.evaluation.split import Split

__all__ = ["PaperNeuMF", "PlainScorer"]


@dataclass(frozen=True, slots=True)
class PaperNeuMF:
    """One configuration.

    Parameters
    ----------
    network, training : shape, and how to train; the batch is made smaller for a small log.
    backend : what does the arithmetic.
    progress : called after each step.
    """

    is_random: ClassVar[bool] = True
    network: PlainConfig = field(default_factory=PlainConfig)
    training: PlainTraining = field(default_factory=PlainTraining)
    backend: Backend = "torch"
    progress: PlainProgress | None = None

    def fit(self, split: Split, generator: np.random.Generator) -> "PlainScorer":
        """Train on the split's events."""
        return PlainScorer(self.trained(split, generator), split.users)

    def trained(self, split: Split, generator: np.random.Generator) -> PlainNeuMF:
        """Return the network that training leads to."""
        events = Sequences.of(*(split.train[name] for name in ("user", "item", "ts", "weight")))
        return train_plain(
            events,
            (len(split.user_ids), split.n_items),
            self.network,
            self.training.sized(len(events)),
            generator,
            backend=self.backend,
            progress=self.progress,
        )


@dataclass(frozen=True, slots=True)
class PlainScorer:
    """A trained network, asked about users.

    Parameters
    ----------
    network : the network.
    users : int64 (U,), rows of the tested users.
    """

    network: PlainNeuMF
    users: NDArray[np.int64]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        return self.network.scores(torch.tensor(self.users[start:stop])).numpy()
