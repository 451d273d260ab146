"""Where the time and the memory of a first training on a long log go, phase by phase, up to some steps of the fit.

Run: ``python -m benchmarks.learning.long_log LOG [--steps 200] [--threads 2]``, of a log such as
``python -m benchmarks.reading.twin`` writes. It goes the way of ``reelstream train LOG`` and ends after so many steps.
Of each phase it tells the seconds that passed, those of processor time, what the process holds behind it, and its peak
in it; phases that are part of another one stand in front of it, indented. From the steps it tells how long an epoch
would take: an extrapolation. Needs Linux, which keeps a peak that can be set back. Not run by the test suite.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from commands.parts.log_options import read_log
from commands.parts.running import limit_threads
from commands.parts.training_options import EPOCHS, training_of
from model.network.shape import PARTS, NeuMFConfig
from model.sequences import Sequences
from model.trainable.evidence import Evidence
from model.trainable.taste import Taste
from model.training.batches import Batches
from model.training.fit import Step
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import RoundConfig

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PEAKS: list[float] = []  # of the phases that are under way, outermost first
WARM_UP = 20  # steps that are not counted
INNER = (
    (Sequences, "without_repeats", "repeats left out"),
    (Evidence, "count", "evidence counted"),
    (Evidence, "calibrate", "evidence calibrated"),
    (Taste, "fit", "taste factorised"),
    (Sequences, "shuffled_ties", "ties shuffled"),
    (Batches, "begin", "epoch begun"),
)


class _Enough(Exception):  # noqa: N818 - no error: as many steps as were asked for
    """As many steps were taken as were asked for."""


class _Steps:
    """Takes the time of steps, and ends the training after some."""

    def __init__(self, n: int) -> None:
        self.n, self.of, self.loss = n, 0, float("nan")
        self.seconds = self.cpu = 0.0

    def __call__(self, step: Step) -> None:
        if step.number == WARM_UP:
            self.seconds, self.cpu = -time.monotonic(), -time.process_time()
        self.of, self.loss = step.of, step.loss
        if step.number == WARM_UP + self.n:
            self.seconds += time.monotonic()
            self.cpu += time.process_time()
            raise _Enough


def main() -> None:
    """Go the way of a training and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="a name of `reelstream data list`, or a path")
    parser.add_argument("--steps", type=int, default=200, help="of the fit that are timed [%(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="of the arithmetic [%(default)s]")
    parser.add_argument("--batch", type=int, help="windows of a step [as `reelstream train` takes them]")
    parser.add_argument("--leave-out", choices=PARTS, nargs="*", default=(), help="parts of the network")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    limit_threads(given.threads)
    print(f"{'phase':28} {'wall s':>8} {'CPU s':>8} {'held GB':>8} {'peak GB':>8}")
    with _phase("read"):
        log = read_log(given.log, seed=given.seed, quiet=True)
    n = len(log.interactions)
    training = training_of(n)
    training = replace(training, batch=given.batch or training.batch)
    shape = NeuMFConfig(parts=tuple(part for part in PARTS if part not in given.leave_out))
    learner = Learner(LearnerConfig(max_events=n + 1, max_events_per_user=n + 1), RoundConfig(shape, training))
    with _phase("events as columns"):
        learner.observe_columns(log.events())
    log = replace(log, interactions=log.interactions.iloc[:0].copy())
    with _phase("material of a round"):
        learner.material(log.catalogue)
    for owner, name, told in INNER:
        _told(owner, name, f"  {told}")
    steps = _Steps(given.steps)
    with _phase(f"material, and {WARM_UP + given.steps} steps"):
        try:
            learner.fine_tune(log.catalogue, generator=np.random.default_rng(given.seed), progress=steps)
        except _Enough:
            pass
        else:
            parser.error(f"a log with more than {WARM_UP + given.steps} steps is required, got {steps.of}")
    a_step, epoch = steps.seconds / given.steps, steps.of / EPOCHS
    print(f"{n:,} events; {given.steps} steps of {training.batch} windows with {given.threads} threads:")
    print(
        f"{a_step * 1e3:.0f} ms each, {steps.cpu / given.steps * 1e3:.0f} ms of processor time, loss {steps.loss:.4f}"
    )
    print(f"an epoch has {epoch:,.0f} steps: {a_step * epoch / 60:.1f} min, extrapolated")


@contextmanager
def _phase(name: str) -> Iterator[None]:
    _note_peak()
    PEAKS.append(0.0)
    wall, cpu = time.monotonic(), time.process_time()
    yield
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    _note_peak()
    print(f"{name:28} {wall:8.1f} {cpu:8.1f} {_kept('VmRSS'):8.2f} {PEAKS.pop():8.2f}", flush=True)


def _note_peak() -> None:
    """Tell all phases that are under way of the peak since this was last called."""
    peak = _kept("VmHWM")
    PEAKS[:] = [max(peak, before) for before in PEAKS]
    CLEAR.write_text("5", encoding="ascii")


def _kept(field: str) -> float:
    """Return gigabytes that Linux tells of this process."""
    line = next(line for line in STATUS.read_text("ascii").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e9


def _told(owner: Any, name: str, told: str) -> None:
    """Let a method tell its time and its memory whenever it is called."""
    method: Callable[..., Any] = getattr(owner, name)

    def measured(*given: Any, **named: Any) -> Any:
        with _phase(told):
            return method(*given, **named)

    setattr(owner, name, measured)


if __name__ == "__main__":
    main()
