"""What runs beside the learning model in a process of its own: the rivals, then the frozen model once there is one.

They share nothing with it but the stream, so a second core halves the time of a run.
"""

import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from model.snapshot import Snapshot
from replay.prequential.outcome import FROZEN
from replay.prequential.rivalry import rival_ranks
from replay.prequential.run import Run, RunConfig
from replay.prequential.stream import Stream

__all__ = ["Beside", "frozen_ranks"]

Ranks = NDArray[np.float64]


class Beside:
    """The tracks of a second process.

    Parameters
    ----------
    stream, config : of the run.
    names : rivals to run, and ``FROZEN``, for which :meth:`freeze` must be called.
    """

    def __init__(self, stream: Stream, config: RunConfig, names: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
        self._ours, theirs = context.Pipe()
        self._done = context.Value("q", 0)
        self._names = list(names)
        self._process = context.Process(
            target=_work, args=(stream, config, self._names, theirs, self._done), daemon=True, name="beside"
        )
        self._theirs = theirs
        self.found: dict[str, Ranks] = {}
        self.of = len(names) * len(stream)

    def __enter__(self) -> Self:
        if self._names:
            self._process.start()
            self._theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._names:
            self._process.terminate()
            self._process.join()
        self._ours.close()

    @property
    def done(self) -> int:
        """Return how many events are done, over all tracks."""
        return int(self._done.value)

    def freeze(self, snapshot: Snapshot) -> None:
        """Hand over the version that the frozen model is."""
        if FROZEN in self._names:
            self._ours.send(snapshot)

    def collect(self, wait_s: float = 0.0) -> bool:
        """Take what has been finished, after waiting so long for something; return whether all is there.

        Raises
        ------
        RuntimeError
            If the process ended without its results; its error is on stderr.
        """
        while len(self.found) < len(self._names):
            try:
                if not self._ours.poll(wait_s):
                    return False
                name, ranks = self._ours.recv()
            except EOFError:
                missing = [name for name in self._names if name not in self.found]
                raise RuntimeError(f"prequential: {missing} did not finish, their process ended") from None
            self.found[name] = ranks
        return True


def frozen_ranks(stream: Stream, snapshot: Snapshot, config: RunConfig, told: Any = None) -> Ranks:
    """Return the ranks of a model that never learns after the warm-up."""
    run = Run(stream, replace(config, round_every=0))
    run.warm_up(stream.warm)
    run.use(snapshot)
    while run.done < len(stream):
        run.block()
        if told is not None:
            told(run.done)
    return run.tally.ranks


def _work(stream: Stream, config: RunConfig, names: list[str], pipe: Connection, done: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is interrupted as well, and ends this one
    torch.set_num_threads(1)
    for number, name in enumerate(names):

        def told(events: int, before: int = number * len(stream)) -> None:
            done.value = before + events

        if name == FROZEN:
            ranks = frozen_ranks(stream, pipe.recv(), config, told)
        else:
            ranks = rival_ranks(stream, name, config.seed, told)
        pipe.send((name, ranks))
        told(len(stream))
