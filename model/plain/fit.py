"""Training the paper's NeuMF, in PyTorch or in NumPy, on the same batches.

Every event is a positive in each epoch, with negatives drawn anew. A batch is a matrix, so Python never looks at a
single example. The same draws and the same rates go to both backends: from the same weights they take the same steps.
No I/O and no clock: progress is a call-back.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
.. [2] Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.plain.gradient import loss_and_gradients
from model.plain.network import PlainConfig, PlainNeuMF
from model.plain.numpy_network import Adam, backward, forward, loss
from model.sampling import NegativeSampler
from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["Backend", "PlainProgress", "PlainTraining", "batches", "fit_numpy", "fit_torch", "train_plain"]

MIN_BATCH = 64
STEPS_PER_EPOCH = 120  # of a small log, as on ml-1m

Backend = Literal["torch", "numpy"]
PlainProgress = Callable[[int, int, float], None]
"""Called after each step with its number from 1, of how many, and its loss."""


@dataclass(frozen=True, slots=True)
class PlainTraining:
    """How to train.

    Parameters
    ----------
    epochs : passes over the events.
    batch : positives in a step; fewer on a small log, see :meth:`sized`.
    negatives : sampled items per positive.
    learning_rate : the highest, at the end of the warm-up.
    warm_up : share of the steps on which the rate rises; afterwards it falls along a half cosine to zero.
    weight_decay : share of every weight that a step takes off, times the rate [2]_; without it large vectors learn
        the training events by heart.
    """

    epochs: int = 12
    batch: int = 8192
    negatives: int = 4
    learning_rate: float = 6.0e-3
    warm_up: float = 0.1
    weight_decay: float = 0.3

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.negatives) < 1 or not 0.0 < self.warm_up < 1.0:
            raise ValueError(f"PlainTraining: counts from 1 and a warm_up between 0 and 1 are required, got {self!r}")

    def sized(self, events: int) -> "PlainTraining":
        """Return the same with a batch so small that an epoch of so many events has about 120 steps, as on ml-1m."""
        return replace(self, batch=min(self.batch, max(MIN_BATCH, events // STEPS_PER_EPOCH)))

    def steps(self, events: int) -> int:
        """Return the number of steps on so many events."""
        return self.epochs * math.ceil(events / self.batch)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, the first of which is 1."""
        rising = self.warm_up * steps
        if step <= rising:
            return self.learning_rate * step / rising
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - rising) / (steps + 1 - rising)))


def train_plain(
    events: Sequences,
    shape: tuple[int, int],
    network: PlainConfig,
    training: PlainTraining,
    generator: np.random.Generator,
    *,
    backend: Backend = "torch",
    progress: PlainProgress | None = None,
) -> PlainNeuMF:
    """Return a network trained from fresh weights, which depend on the generator and not on the backend.

    Parameters
    ----------
    events : what to learn from.
    shape : how many users and items there are.
    network, training : its shape, and how to train; taken as given, not :meth:`PlainTraining.sized`.
    generator : of first weights, order and negatives.
    backend : what does the arithmetic.
    progress : called after each step.

    Raises
    ------
    ValueError
        If there is no event.
    FloatingPointError
        If a loss is not a number or infinite.
    """
    fresh = PlainNeuMF(network, *shape, torch.Generator().manual_seed(int(generator.integers(2**63 - 1))))
    if backend == "torch":
        fit_torch(fresh, events, training, generator, progress)
        return fresh
    weights = {name: weight.numpy() for name, weight in fresh.state_dict().items()}
    fit_numpy(weights, events, training, generator, progress)
    return PlainNeuMF.restore({name: torch.from_numpy(weight) for name, weight in weights.items()})


def batches(events: Sequences, config: PlainTraining, generator: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Give the steps of a training: users int64 (B,), and items int64 (B, 1 + negatives), the positive first."""
    sampler = NegativeSampler(events)
    for _ in range(config.epochs):
        order = generator.permutation(len(events))
        for start in range(0, len(order), config.batch):
            chosen = order[start : start + config.batch]
            users = events.users[chosen]
            others = sampler.draw(users, config.negatives, generator)
            yield users, np.concatenate([events.items[chosen][:, None], others], axis=1)


def fit_torch(
    network: PlainNeuMF,
    events: Sequences,
    config: PlainTraining,
    generator: np.random.Generator,
    progress: PlainProgress | None = None,
) -> list[float]:
    """Train a network in place and return the loss of each step.

    Raises
    ------
    ValueError
        If there is no event.
    FloatingPointError
        If a loss is not a number or infinite; the network is then spoilt.
    """
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay, fused=True)

    def step(users: Rows, items: Rows, rate: float) -> float:
        value = loss_and_gradients(network, users, items)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        return value

    return _fit(step, events, config, generator, progress)


def fit_numpy(
    weights: dict[str, NDArray[np.floating]],
    events: Sequences,
    config: PlainTraining,
    generator: np.random.Generator,
    progress: PlainProgress | None = None,
) -> list[float]:
    """Train weights of the reference in place and return the loss of each step; raises as :func:`fit_torch` does."""
    adam = Adam(weight_decay=config.weight_decay)

    def step(users: Rows, items: Rows, rate: float) -> float:
        labels = np.zeros(items.shape, dtype=weights["fuse.weight"].dtype)
        labels[:, 0] = 1.0
        cache = forward(weights, np.repeat(users, items.shape[1]), items.reshape(-1))
        adam.apply(weights, backward(weights, cache, labels.reshape(-1)), rate)
        return loss(cache.logits, labels.reshape(-1))

    return _fit(step, events, config, generator, progress)


def _fit(
    step: Callable[[Rows, Rows, float], float],
    events: Sequences,
    config: PlainTraining,
    generator: np.random.Generator,
    progress: PlainProgress | None,
) -> list[float]:
    """Take a backend's steps, each with its users, items and rate, and return their losses."""
    if not len(events):
        raise ValueError(f"plain training: one event at least is required, got {len(events)!r}")
    steps, losses = config.steps(len(events)), list[float]()
    for number, (users, items) in enumerate(batches(events, config, generator), start=1):
        value = step(users, items, config.rate(number, steps))
        if not math.isfinite(value):
            raise FloatingPointError(
                f"plain training: a finite loss is required, got {value!r} at step {number} of {steps}; "
                f"lower the learning rate, {config.learning_rate!r}"
            )
        losses.append(value)
        if progress is not None:
            progress(number, steps, value)
    return losses
