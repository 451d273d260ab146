"""Training on sequences: at every position of a history, tell the next item from sampled others.

The loss is the binary cross-entropy of NeuMF [1]_ with sampled negatives, one pass of the tower serving
all positions of a window (causal, so position t sees nothing later than t). No I/O and no clock: progress
is a call-back.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, equation 7.
.. [2] Smith and Topin, "Super-convergence", 2017 (one-cycle learning rate).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.neumf import NeuMF
from model.sampling import NegativeSampler
from model.sequences import Cuts, Sequences, Windows
from model.vocabulary import Rows

__all__ = ["Progress", "Step", "TrainingConfig", "TrainingResult", "fit", "fit_cuts", "torch_generator"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    epochs : passes over all events.
    least_steps : steps below which further passes are added, so that a small log is learnt from as well.
    batch : windows per step.
    negatives : sampled items per positive.
    learning_rate : the highest of the one-cycle schedule.
    warm_up : share of the steps on which the rate still rises.
    weight_decay : of AdamW.
    clip : largest norm of the gradient.
    """

    epochs: int = 12
    least_steps: int = 0
    batch: int = 128
    negatives: int = 4
    learning_rate: float = 4.0e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step: its number from 1, of how many, and its loss."""

    number: int
    of: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training did: steps, positives and negatives seen, mean loss of the last tenth of the steps."""

    steps: int
    samples: int
    loss: float


Progress = Callable[[Step], None]


def torch_generator(generator: np.random.Generator) -> torch.Generator:
    """Return a torch generator seeded by the next draw of a numpy one."""
    return torch.Generator().manual_seed(int(generator.integers(2**63 - 1)))


def fit(
    network: NeuMF,
    sequences: Sequences,
    config: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network in place on all events, with new cuts and a new order of ties in every epoch.

    Raises
    ------
    ValueError
        If no user has two events, so that there is nothing to predict.
    FloatingPointError
        If a loss is not a number or infinite.
    """
    length = network.config.history_length

    def cut() -> tuple[Sequences, Cuts]:
        shuffled = sequences.shuffled_ties(generator)
        return shuffled, shuffled.phased_cuts(length, generator)

    steps = math.ceil(len(cut()[1]) / config.batch)
    epochs = max(config.epochs, math.ceil(config.least_steps / max(1, steps)))
    return fit_cuts(network, [cut] * epochs, sequences, config, generator, progress)


def fit_cuts(
    network: NeuMF,
    epochs: list[Callable[[], tuple[Sequences, Cuts]]],
    touched: Sequences,
    config: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network in place on the cuts that each epoch gives.

    Parameters
    ----------
    network : changed in place.
    epochs : one function per epoch, returning the sequences and the cuts to train on.
    touched : what users touched, from which negatives are never drawn.
    config : how to train; its ``epochs`` is not read.
    generator : of cuts, order, negatives and dropout.
    progress : called after each step.

    Raises
    ------
    ValueError
        If there is nothing to predict.
    FloatingPointError
        If a loss is not a number or infinite; the network is then spoilt.
    """
    sequences, cuts = epochs[0]()
    if not len(cuts):
        raise ValueError(f"fit: a user with two events is required, got {len(touched)!r} events, none to predict")
    total = len(epochs) * math.ceil(len(cuts) / config.batch)  # about: another phase may cut another number
    optimiser, schedule = _optimiser(network, config, total)
    sampler, dropout = NegativeSampler(touched), torch_generator(generator)
    losses: list[float] = []
    samples = 0
    for epoch in epochs:
        if losses:
            sequences, cuts = epoch()
        for chosen in _batches(len(cuts), config.batch, generator):
            windows = sequences.windows(cuts.taken(chosen))
            loss = _loss(network, windows, sampler, config.negatives, generator, dropout)
            losses.append(_checked(loss, len(losses) + 1, windows))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            optimiser.step()
            if len(losses) < total:
                schedule.step()
            samples += int(windows.is_event.sum()) * (1 + config.negatives)
            if progress is not None:
                progress(Step(len(losses), max(total, len(losses)), losses[-1]))
    return TrainingResult(len(losses), samples, float(np.mean(losses[-max(1, len(losses) // 10) :])))


def _optimiser(
    network: NeuMF, config: TrainingConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=steps + 1, pct_start=config.warm_up, cycle_momentum=False
    )
    return optimiser, schedule


def _batches(n: int, size: int, generator: np.random.Generator) -> list[Rows]:
    order = generator.permutation(n)
    return [order[start : start + size] for start in range(0, n, size)]


def _loss(
    network: NeuMF,
    windows: Windows,
    sampler: NegativeSampler,
    negatives: int,
    generator: np.random.Generator,
    dropout: torch.Generator,
) -> Tensor:
    """Return the mean over all events of the cross-entropy of one positive and its negatives."""
    users = network.users_along(
        torch.from_numpy(windows.users),
        torch.from_numpy(windows.items),
        torch.from_numpy(windows.times),
        torch.from_numpy(windows.weights),
        dropout,
    )  # (B, L, D)
    owner, place = np.nonzero(windows.is_event)
    asking = users[torch.from_numpy(owner), torch.from_numpy(place)]  # (P, D)
    others = sampler.draw(windows.users[owner], negatives, generator)  # (P, negatives)
    rows = np.concatenate([windows.targets[owner, place][:, None], others], axis=1)
    logits = network.pair_logits(asking, network.item_side(), torch.from_numpy(rows))
    labels = torch.zeros_like(logits)
    labels[:, 0] = 1.0
    return functional.binary_cross_entropy_with_logits(logits, labels)


def _checked(loss: Tensor, step: int, windows: Windows) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: a finite loss is required, got {value!r} at step {step} "
            f"with the windows of users {windows.users.tolist()!r}; lower the learning rate"
        )
    return value
