"""Training on sequences: at every position of a history, tell the next item from sampled others.

The loss is the binary cross-entropy of NeuMF [1]_ with sampled negatives, one pass of the tower serving
all positions of a window (causal, so position t sees nothing later than t). The learning rate rises and falls once
[2]_, or several times over with warm restarts [3]_. No I/O and no clock: progress,
scores and checkpoints are call-backs.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, equation 7.
.. [2] Smith and Topin, "Super-convergence", 2017 (one-cycle learning rate).
.. [3] Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.sequences import Sequences, Spans
from model.trainable.neumf import NeuMF
from model.training.batches import Batch, Batches, ahead
from model.training.checkpoint import Checkpoint, capture, restore
from model.training.peers import Peers, SharedLoss
from model.vocabulary import Rows

__all__ = [
    "Progress",
    "Step",
    "TrainingConfig",
    "TrainingHooks",
    "TrainingResult",
    "fit",
    "fit_spans",
    "torch_generator",
]

LOSSES_AT_ONCE = 32  # that are fetched from a GPU together, as it has to come to rest for it
FIRST_RATE, LAST_RATE = 1.0 / 25.0, 1.0e-5 / 25.0  # of the highest learning rate: where a cycle begins and ends


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    epochs : passes over all events.
    least_steps : steps below which further passes are added, so that a small log is learnt from as well.
    batch : windows per step.
    epoch_events : events that an epoch predicts at most, 0 for all: of a longer log each epoch takes a random part of
        the windows, another one each time.
    negatives : sampled items per positive.
    popular : share of them that is drawn by popularity instead of uniformly; the loss is corrected for it.
    learning_rate : the highest of the one-cycle schedule.
    warm_up : share of the steps of a cycle on which the rate still rises.
    restarts : further cycles of the rate, each of the same length.
    patience : epochs without a better score after which training ends, its best weights kept; 0 to train on.
    weight_decay : of AdamW.
    clip : largest norm of the gradient.
    queries : share of the events for which a query in words is made up, where items have texts.
    device : ``"cpu"``, or ``"cuda"`` with bfloat16 where precision allows.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    epochs: int = 12
    least_steps: int = 0
    batch: int = 128
    epoch_events: int = 0
    negatives: int = 4
    popular: float = 0.5
    learning_rate: float = 4.0e-3
    warm_up: float = 0.1
    restarts: int = 0
    patience: int = 0
    weight_decay: float = 0.01
    clip: float = 1.0
    queries: float = 0.1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (
            min(self.epochs, self.batch, self.negatives) < 1
            or min(self.least_steps, self.epoch_events, self.restarts, self.patience) < 0
        ):
            raise ValueError(f"TrainingConfig: positive epochs, batch and negatives are required, got {self!r}")
        if not (
            0.0 < self.warm_up < 1.0
            and 0.0 <= self.popular <= 1.0
            and 0.0 <= self.queries <= 1.0
            and 0.0 < self.learning_rate < math.inf
            and 0.0 <= self.weight_decay < math.inf
            and self.clip > 0.0
        ):
            raise ValueError(
                f"TrainingConfig: shares, a positive rate and clip, and a decay from 0 are required, got {self!r}"
            )

    def rate(self, step: int, of: int) -> float:
        """Return the learning rate of a step, counted from 0, of so many.

        In each cycle a half cosine rises from 1/25 of the highest rate to it, and another falls to 4e-7 of it.
        """
        length = max(1, math.ceil(of / (self.restarts + 1)))
        place = (step % length) / length if step < of else 1.0
        if place < self.warm_up:
            low, share = FIRST_RATE, place / self.warm_up
        else:
            low, share = LAST_RATE, 1.0 - (place - self.warm_up) / (1.0 - self.warm_up)
        return self.learning_rate * (low + (1.0 - low) * (1.0 - math.cos(math.pi * share)) / 2.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step: its number from 1, of how many, and its loss."""

    number: int
    of: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training did.

    Parameters
    ----------
    steps : taken.
    samples : positives and negatives seen.
    loss : mean of the last tenth of the steps.
    epochs : passed through.
    scores : after each epoch, where they were asked for; the best one's weights were kept.
    """

    steps: int
    samples: int
    loss: float
    epochs: int
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """What a training calls and reads besides its events; every part is optional.

    Parameters
    ----------
    texts : float32 (N, T), the text vector of each item, to learn intents from.
    score : how good the network is on events kept from training, asked after each epoch; more is better.
    keep : takes a checkpoint after each epoch, to continue from later.
    start : a checkpoint of the same training to continue from.
    """

    texts: NDArray[np.float32] | None = None
    score: Callable[[NeuMF], float] | None = None
    keep: Callable[[Checkpoint], None] | None = None
    start: Checkpoint | None = None


Progress = Callable[[Step], None]


def torch_generator(generator: np.random.Generator, device: str = "cpu") -> torch.Generator:
    """Return a torch generator seeded by the next draw of a numpy one."""
    return torch.Generator(device).manual_seed(int(generator.integers(2**63 - 1)))


def fit(
    network: NeuMF,
    sequences: Sequences,
    config: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
    hooks: TrainingHooks | None = None,
) -> TrainingResult:
    """Train a network in place on all events, with new spans and a new order of ties in every epoch.

    The evidence is counted here as well, and the long-term taste factorised: all events, before the first step.

    Raises
    ------
    ValueError
        If no user has two events, so that there is nothing to predict, or a checkpoint is of another training.
    FloatingPointError
        If a loss is not a number or infinite.
    """
    length = network.config.history_length
    hooks = hooks or TrainingHooks()

    def cut() -> tuple[Sequences, Spans]:
        shuffled = sequences.shuffled_ties(generator)
        return shuffled, shuffled.phased_spans(length, generator)

    first: tuple[Sequences, Spans] | None = cut()
    assert first is not None
    _refuse_nothing(first[1], sequences)
    if "evidence" in network.config.parts:
        network.evidence.count(sequences)
        network.evidence.calibrate(sequences, length, generator, repeats=network.config.repeats)
    if "taste" in network.config.parts:
        network.taste.fit(sequences, length)
    steps = math.ceil(first[1].share(config.epoch_events) * len(first[1]) / config.batch)
    epochs = max(config.epochs, math.ceil(config.least_steps / max(1, steps)))
    run = _TrainingRun(network, sequences, config, generator, epochs * steps, hooks, progress)
    if hooks.start is not None:
        run.restore(hooks.start)
    while run.epochs < epochs and not run.is_over():
        run.pass_over(*(cut() if run.steps or first is None else first))
        first = None  # of a long log a gigabyte
        run.end_epoch()
    return run.result()


def fit_spans(
    network: NeuMF,
    sequences: Sequences,
    epochs: Iterable[Spans],
    config: TrainingConfig,
    generator: np.random.Generator,
    progress: Progress | None = None,
    hooks: TrainingHooks | None = None,
    pool: Rows | None = None,
) -> TrainingResult:
    """Train a network in place on the spans that each epoch gives; its evidence stays as it is.

    Parameters
    ----------
    network : changed in place.
    sequences : what users touched; negatives are never among it.
    epochs : the spans to train on in each epoch.
    config : how to train; its ``epochs`` is not read.
    generator : of spans, order, negatives and dropout.
    progress : called after each step.
    hooks : its texts are read.
    pool : int64, the items that negatives are drawn from, each of which somebody touched; all of those if None.

    Raises
    ------
    ValueError
        If there is nothing to predict.
    FloatingPointError
        If a loss is not a number or infinite; the network is then spoilt.
    """
    passes = list(epochs)
    for spans in passes:
        _refuse_nothing(spans, sequences)
    total = sum(math.ceil(len(spans) / config.batch) for spans in passes)
    run = _TrainingRun(network, sequences, config, generator, total, hooks or TrainingHooks(), progress, pool)
    for spans in passes:
        run.pass_over(sequences, spans)
    return run.result()


class _TrainingRun:
    """One training under way."""

    def __init__(
        self,
        network: NeuMF,
        touched: Sequences,
        config: TrainingConfig,
        generator: np.random.Generator,
        total: int,
        hooks: TrainingHooks,
        progress: Progress | None,
        pool: Rows | None = None,
    ) -> None:
        self._network, self._config, self._hooks, self._progress = network, config, hooks, progress
        self._generator, self._total = generator, total
        self._batches = Batches(
            network,
            touched,
            negatives=config.negatives,
            popular=config.popular,
            queries=config.queries,
            generator=generator,
            texts=hooks.texts,
            pool=pool,
            device=config.device,
        )
        self._is_ahead = config.device != "cpu" or torch.get_num_threads() > 1
        self._peers = Peers.of_group()
        self._dropout = torch_generator(generator, config.device)
        if self._peers.rank:  # what one process hides of its windows says nothing of what another does
            self._dropout.manual_seed(self._dropout.initial_seed() + self._peers.rank)
        network.to(config.device)
        self._shared_loss = SharedLoss(network, self._loss, self._peers)
        self._optimiser = torch.optim.AdamW(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._about = _described(network, touched, config, generator, total)
        self._losses: list[float] = []
        self._unchecked: list[tuple[Tensor, Rows]] = []
        self._samples = 0
        self._scores: list[float] = []
        self._best: dict[str, Tensor] = {}
        self.epochs = 0

    @property
    def steps(self) -> int:
        """Return how many steps were taken."""
        return len(self._losses) + len(self._unchecked)

    def pass_over(self, sequences: Sequences, spans: Spans) -> None:
        """Take the steps of one epoch."""
        self._batches.begin(sequences)
        order = self._generator.permutation(len(spans))
        if self._config.epoch_events:
            order = order[: len(spans.taken(order).within(self._config.epoch_events, least=1))]
        cuts = (order[start : start + self._config.batch] for start in range(0, len(order), self._config.batch))
        batches = (self._batches.of(sequences.windows(spans.taken(cut))) for cut in cuts)
        for batch in ahead(batches) if self._is_ahead else batches:
            self._step(batch)
        self._check_losses()

    def end_epoch(self) -> None:
        """Score the network, keep it if it is the best so far, and hand out a checkpoint."""
        self.epochs += 1
        if self._hooks.score is not None:
            self._scores.append(self._hooks.score(self._network))
            if self._scores[-1] >= max(self._scores):
                self._best = {name: weight.detach().clone() for name, weight in self._network.state_dict().items()}
        if self._hooks.keep is not None:
            self._hooks.keep(self._checkpoint())

    def is_over(self) -> bool:
        """Tell whether the score has not improved for as long as patience lasts."""
        if not (self._scores and self._config.patience):
            return False
        return len(self._scores) - 1 - int(np.argmax(self._scores)) >= self._config.patience

    def result(self) -> TrainingResult:
        """Leave the best weights in the network and tell what was done."""
        if self._best:
            self._network.load_state_dict(self._best)
        self._network.to("cpu")
        last = self._losses[-max(1, len(self._losses) // 10) :]
        return TrainingResult(self.steps, self._samples, float(np.mean(last)), self.epochs, tuple(self._scores))

    def restore(self, start: Checkpoint) -> None:
        """Continue where a checkpoint was taken."""
        state = restore(start, self._about, self._network, self._optimiser, self._generator, self._dropout)
        self._losses, self._samples, self._scores = state["losses"], state["samples"], state["scores"]
        self.epochs, self._best = state["epochs"], state["best"]

    def _checkpoint(self) -> Checkpoint:
        state = {"losses": self._losses, "samples": self._samples, "scores": self._scores, "epochs": self.epochs}
        parts = (self._network, self._optimiser, self._generator, self._dropout)
        return capture(self._about, state, self._best, *parts)

    def _step(self, batch: Batch) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.rate(self.steps, self._total)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._config.device != "cpu"):
            loss = self._shared_loss(batch)
        self._unchecked.append((loss.detach(), batch.about))
        if len(self._unchecked) >= (1 if self._config.device == "cpu" else LOSSES_AT_ONCE):
            self._check_losses()
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._config.clip)
        self._optimiser.step()
        self._samples += batch.rows.numel()
        if self._progress is not None:
            last = self._losses[-1] if self._losses else math.nan
            self._progress(Step(self.steps, max(self._total, self.steps), last))

    def _check_losses(self) -> None:
        """Fetch the losses that are still on the device, and refuse one that is no number."""
        if not self._unchecked:
            return
        losses = self._peers.mean(torch.stack([loss for loss, _ in self._unchecked]))
        for (_, users), value in zip(self._unchecked, losses.tolist(), strict=True):
            self._losses.append(_checked(value, len(self._losses) + 1, users))
        self._unchecked.clear()

    def _loss(self, batch: Batch) -> Tensor:
        """Return the mean over all events of the cross-entropy of one positive and its negatives.

        An event counts as much as it was wanted.
        """
        network, drop = self._network, self._dropout
        side = network.item_side(batch.met)
        read = (batch.users, batch.items, batch.times, batch.weights)
        asking = network.users_along(*read, batch.at, drop, side.factors)  # (P, D)
        asking = asking if batch.known is None else asking * batch.known
        logits = network.pair_logits(asking, side, batch.rows, batch.texts, drop)
        if batch.features is not None:
            logits = logits + network.evidence(batch.features)
        labels = torch.zeros_like(logits)
        labels[:, 0] = 1.0
        logits = logits - batch.bias
        return functional.binary_cross_entropy_with_logits(logits, labels, batch.wanted.unsqueeze(1))


def _described(
    network: NeuMF, touched: Sequences, config: TrainingConfig, generator: np.random.Generator, total: int
) -> dict[str, Any]:
    """Return what must be the same when a training continues: data, shape, constants, and where chance begins."""
    columns = (touched.users, touched.items, touched.times, touched.weights, touched.wanted)
    return {
        "events": len(touched),
        "digests": [crc32(np.ascontiguousarray(column).data) for column in columns],
        "steps": total,
        "network": network.config.describe(),
        "config": asdict(config),
        "random": crc32(repr(generator.bit_generator.state).encode()),
    }


def _refuse_nothing(spans: Spans, touched: Sequences) -> None:
    if not len(spans):
        raise ValueError(f"fit: a user with two events is required, got {len(touched)!r} events, none to predict")


def _checked(value: float, step: int, users: Rows) -> float:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: a finite loss is required, got {value!r} at step {step} "
            f"with the windows of users {users.tolist()!r}; lower the learning rate"
        )
    return value
