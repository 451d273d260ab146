"""A process beside the learning model's: it runs the baselines, and then the frozen model once there is one.

The two processes share nothing but the stream, so a second core halves the time of a run. They exchange files in a
temporary folder, so neither ever waits for the other to read.
"""

import multiprocessing
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from model.network.snapshot import Snapshot
from model.reranking.diversified import DiversityConfig
from model.training.checkpoint import Checkpoint
from replay.prequential.baseline_ranks import baseline_ranks
from replay.prequential.outcome import FROZEN
from replay.prequential.run import PrequentialConfig, PrequentialRun
from replay.prequential.stream import Stream
from streams.errors import DataError
from streams.registry.checkpoints import read_checkpoint, write_checkpoint

__all__ = ["SecondProcess", "frozen_ranks"]

Ranks = NDArray[np.float64]
FIRST, RANKS, ERROR = "first", "ranks", "error.txt"
POLL_S = 0.2


class SecondProcess:
    """The tracks of a second process.

    Parameters
    ----------
    stream, config : of the run.
    names : baselines to run, and ``FROZEN``, which waits for :meth:`freeze`.
    """

    def __init__(self, stream: Stream, config: PrequentialConfig, names: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
        self._folder = tempfile.TemporaryDirectory(prefix="reelstream-")
        self._done = context.Value("q", 0)
        self._names = list(names)
        arguments = (stream, config, self._names, self._folder.name, self._done)
        self._process = context.Process(target=_work, args=arguments, daemon=True, name="beside")
        self.found: dict[str, Ranks] = {}
        self.of = len(names) * len(stream)

    def __enter__(self) -> Self:
        if self._names:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: the first process ends the second
            try:
                self._process.start()
            finally:
                signal.signal(signal.SIGINT, before)
        return self

    def __exit__(self, *_: object) -> None:
        if self._names:
            self._process.terminate()
            self._process.join()
        self._folder.cleanup()

    @property
    def pid(self) -> int | None:
        """Return the process's id, None before it started."""
        return self._process.pid

    @property
    def done(self) -> int:
        """Return how many events are done, over all tracks."""
        return int(self._done.value)

    def freeze(self, snapshot: Snapshot | None) -> None:
        """Hand over the version that the frozen model serves; without one it serves cold-start lists for ever."""
        if FROZEN in self._names:
            weights = {} if snapshot is None else _tensors(snapshot)
            described = {} if snapshot is None else snapshot.describe()
            write_checkpoint(Path(self._folder.name) / FIRST, Checkpoint(weights, described))

    def collect(self, wait_s: float = 0.0) -> bool:
        """Take the tracks that are finished; wait a while if one is missing; return whether all are there.

        Raises
        ------
        DataError
            If the process ended without its results.
        """
        lives = not self._names or self._process.is_alive()
        for name in self._names:
            if name not in self.found and (made := read_checkpoint(Path(self._folder.name) / f"{name}.ranks")):
                self.found[name] = made.tensors[RANKS].numpy()
        missing = [name for name in self._names if name not in self.found]
        if missing and not lives:
            file = Path(self._folder.name) / ERROR
            error = file.read_text(encoding="utf-8").strip() if file.exists() else "no word, it was ended from outside"
            raise DataError(
                f"prequential: results of {', '.join(missing)} are required, got from their process: {error}"
            )
        if missing:
            time.sleep(wait_s)
        return not missing


def frozen_ranks(
    stream: Stream, snapshot: Snapshot | None, config: PrequentialConfig, progress: Callable[[int], None] | None = None
) -> Ranks:
    """Return the ranks of a model that never learns after the warm-up."""
    run = PrequentialRun(stream, replace(config, round_every=0, diversity=DiversityConfig()))
    run.warm_up(stream.warm)
    if snapshot is not None:
        run.use(snapshot)
    for _ in run.blocks():
        if progress is not None:
            progress(run.done)
    return run.track.ranks


def _work(stream: Stream, config: PrequentialConfig, names: list[str], folder: str, done: Any) -> None:
    torch.set_num_threads(1)
    try:
        for number, name in enumerate(names):

            def progress(events: int, before: int = number * len(stream)) -> None:
                _end_with_parent()
                done.value = before + events

            if name == FROZEN:
                ranks = frozen_ranks(stream, _handed_over(Path(folder)), config, progress)
            else:
                ranks = baseline_ranks(stream, name, config.seed, progress)
            write_checkpoint(Path(folder) / f"{name}.ranks", Checkpoint({RANKS: torch.from_numpy(ranks)}, {}))
            progress(len(stream))
    except Exception as error:
        (Path(folder) / ERROR).write_text("".join(traceback.format_exception_only(error)), encoding="utf-8")
        raise


def _handed_over(folder: Path) -> Snapshot | None:
    """Wait for the first version and return it."""
    while (found := read_checkpoint(folder / FIRST)) is None:
        _end_with_parent()
        time.sleep(POLL_S)
    weights = {name: tensor.numpy() for name, tensor in found.tensors.items()}
    return Snapshot.restore(weights, found.state) if weights else None


def _tensors(snapshot: Snapshot) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(weight.copy()) for name, weight in snapshot.weights.items()}


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit
