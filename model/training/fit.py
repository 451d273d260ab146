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

from model.network.cooccurrence import recent_at
from model.network.neumf import NeuMF
from model.sequences import Sequences, Spans, Windows
from model.training.checkpoint import Checkpoint, capture, restore
from model.training.sampling import NegativeSampler
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

KEPT_WORDS = 0.5  # share of an item's text that a made-up query keeps
MIN_MEAN_WANTED = 0.1  # mean of a step that is scaled up to one; a step of dislikes alone teaches little
STRANGERS = 0.5  # share of the made-up queries whose user is hidden
FIRST_RATE, LAST_RATE = 1.0 / 25.0, 1.0e-5 / 25.0  # of the highest learning rate: where a cycle begins and ends


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    epochs : passes over all events.
    least_steps : steps below which further passes are added, so that a small log is learnt from as well.
    batch : windows per step.
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
        if min(self.epochs, self.batch, self.negatives) < 1 or min(self.least_steps, self.restarts, self.patience) < 0:
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

    first = cut()
    _refuse_nothing(first[1], sequences)
    if "evidence" in network.config.parts:
        network.evidence.count(sequences)
        network.evidence.calibrate(sequences, length, generator, repeats=network.config.repeats)
    if "taste" in network.config.parts:
        network.taste.fit(sequences, length)
    steps = math.ceil(len(first[1]) / config.batch)
    epochs = max(config.epochs, math.ceil(config.least_steps / max(1, steps)))
    run = _TrainingRun(network, sequences, config, generator, epochs * steps, hooks, progress)
    if hooks.start is not None:
        run.restore(hooks.start)
    while run.epochs < epochs and not run.is_over():
        run.pass_over(*(cut() if run.steps else first))
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
        self._sampler = NegativeSampler(touched, config.popular, pool)
        self._reader = network.evidence_reader()
        self._texts = hooks.texts if "intent" in network.config.parts else None
        self._dropout = torch_generator(generator, config.device)
        network.to(config.device)
        self._optimiser = torch.optim.AdamW(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._about = _described(network, touched, config, generator, total)
        self._losses: list[float] = []
        self._samples = 0
        self._scores: list[float] = []
        self._best: dict[str, Tensor] = {}
        self.epochs = 0

    @property
    def steps(self) -> int:
        """Return how many steps were taken."""
        return len(self._losses)

    def pass_over(self, sequences: Sequences, spans: Spans) -> None:
        """Take the steps of one epoch."""
        order = self._generator.permutation(len(spans))
        for start in range(0, len(order), self._config.batch):
            windows = sequences.windows(spans.taken(order[start : start + self._config.batch]))
            self._step(sequences, windows)

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

    def _step(self, sequences: Sequences, windows: Windows) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.rate(self.steps, self._total)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._config.device != "cpu"):
            loss = self._loss(sequences, windows)
        self._losses.append(_checked(loss, self.steps + 1, windows))
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._config.clip)
        self._optimiser.step()
        self._samples += int(windows.is_event.sum()) * (1 + self._config.negatives)
        if self._progress is not None:
            self._progress(Step(self.steps, max(self._total, self.steps), self._losses[-1]))

    def _loss(self, sequences: Sequences, windows: Windows) -> Tensor:
        """Return the mean over all events of the cross-entropy of one positive and its negatives.

        An event counts as much as it was wanted.
        """
        network, drop = self._network, self._dropout
        owners, items, times = (self._there(array) for array in (windows.users, windows.items, windows.times))
        users = network.users_along(owners, items, times, self._there(windows.weights), drop)  # (B, L, D)
        owner, place = np.nonzero(windows.is_event)
        asking = users[self._there(owner), self._there(place)]  # (P, D)
        targets = windows.targets[owner, place]  # (P,)
        if network.config.repeats:
            others = self._sampler.draw_others(targets, self._config.negatives, self._generator)
        else:
            others = self._sampler.draw(windows.users[owner], self._config.negatives, self._generator)
        rows = np.concatenate([targets[:, None], others], axis=1)  # (P, 1 + negatives)
        texts, known = self._queries(rows[:, 0])
        asking = asking if known is None else asking * self._there(known)
        logits = network.pair_logits(asking, network.item_side(), self._there(rows), texts, drop)
        if self._reader is not None:
            shape = network.config
            recent = recent_at(sequences, windows.at[owner, place], shape.history_length, repeats=shape.repeats)
            features = self._reader.of_pairs(recent, rows)
            features = features if known is None else features * known[:, :, None]
            logits = logits + network.evidence(self._there(features))
        labels = torch.zeros_like(logits)
        labels[:, 0] = 1.0
        logits = logits - self._there(self._sampler.bias(rows))
        wanted = windows.wanted[owner, place]
        wanted = wanted / max(float(wanted.mean()), MIN_MEAN_WANTED)
        return functional.binary_cross_entropy_with_logits(logits, labels, self._there(wanted).unsqueeze(1))

    def _queries(self, targets: Rows) -> tuple[Tensor | None, NDArray[np.float32] | None]:
        """Return made-up queries for some of the items that come next, and which users may be read.

        The queries are text vectors (P, T) of the items with half of the words left out, zeros where nothing is asked.
        For half of the queries the user is hidden, so that the text alone must do: 0 in float32 (P, 1), elsewhere 1.
        """
        if self._texts is None:
            return None, None
        asked = self._generator.random(len(targets)) < self._config.queries
        known = ~(asked & (self._generator.random(len(targets)) < STRANGERS))
        texts = np.zeros((len(targets), self._texts.shape[1]), dtype=np.float32)
        said = self._generator.random((np.count_nonzero(asked), texts.shape[1]), dtype=np.float32) < KEPT_WORDS
        texts[asked] = self._texts[targets[asked]] * said
        return self._there(texts), known[:, None].astype(np.float32)

    def _there(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._config.device)


def _described(
    network: NeuMF, touched: Sequences, config: TrainingConfig, generator: np.random.Generator, total: int
) -> dict[str, Any]:
    """Return what must be the same when a training continues: data, shape, constants, and where chance begins."""
    columns = (touched.users, touched.items, touched.times, touched.weights, touched.wanted)
    return {
        "events": len(touched),
        "digests": [crc32(column.tobytes()) for column in columns],
        "steps": total,
        "network": network.config.describe(),
        "config": asdict(config),
        "random": crc32(repr(generator.bit_generator.state).encode()),
    }


def _refuse_nothing(spans: Spans, touched: Sequences) -> None:
    if not len(spans):
        raise ValueError(f"fit: a user with two events is required, got {len(touched)!r} events, none to predict")


def _checked(loss: Tensor, step: int, windows: Windows) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: a finite loss is required, got {value!r} at step {step} "
            f"with the windows of users {windows.users.tolist()!r}; lower the learning rate"
        )
    return value
