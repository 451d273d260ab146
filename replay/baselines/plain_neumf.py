"""The NeuMF of the paper [1]_, without history, genres or item biases: what the parts of ours are worth together.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from model.plain import PlainConfig, PlainNeuMF
from model.plain_training import PlainTraining, fit_torch
from model.sequences import Sequences
from model.training import torch_generator
from replay.split import Split

__all__ = ["PaperNeuMF", "PlainScorer"]

TOGETHER = 32  # users whose pairs with all items are scored at once: the MLP's activations then stay in memory


@dataclass(frozen=True, slots=True)
class PlainScorer:
    """A trained network.

    Parameters
    ----------
    network : over the rows of the split.
    users : int64 (U,), rows of the tested users.
    """

    network: PlainNeuMF
    users: NDArray[np.int64]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        rows = torch.tensor(self.users[start:stop])
        parts = [self.network.scores(rows[at : at + TOGETHER]) for at in range(0, len(rows), TOGETHER)]
        return torch.cat(parts).numpy()


@dataclass(frozen=True, slots=True)
class PaperNeuMF:
    """Its constants.

    Parameters
    ----------
    network, training : shape, and how to train.
    """

    is_random: ClassVar[bool] = True
    network: PlainConfig = field(default_factory=PlainConfig)
    training: PlainTraining = field(default_factory=PlainTraining)

    def fit(self, split: Split, generator: np.random.Generator) -> PlainScorer:
        """Train on the split's events."""
        events = Sequences.of(*(split.train[name].to_numpy() for name in ("user", "item", "ts", "weight")))
        first = torch_generator(generator)
        network = PlainNeuMF(self.network, len(split.user_ids), split.n_items, first)
        fit_torch(network, events, self.training, generator)
        return PlainScorer(network, split.users)
