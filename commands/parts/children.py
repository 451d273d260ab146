"""Our processes as children that cannot outlive their parent, as ``up`` and ``demo`` run them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.errors import StackError
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack.process import Server, last_lines, wait_until

__all__ = ["await_alive", "scorekeeper_process", "trainer_process", "worker_process"]

START_S = 120.0  # three processes that import torch at once take a minute on a busy machine


def worker_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a worker, not started yet, that logs to a file."""
    return _process("worker", settings, log, options)


def trainer_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a trainer, not started yet, that logs to a file."""
    return _process("trainer", settings, log, options)


def scorekeeper_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a scorekeeper, not started yet, that logs to a file."""
    return _process("scorekeeper", settings, log, options)


def await_alive(settings: Settings, wanted: Mapping[str, int], processes: Sequence[Server]) -> None:
    """Wait until so many processes of each role show signs of life.

    Raises
    ------
    StackError
        If one of ``processes`` ends first, or it takes too long; with the last lines of its log.
    """
    from streams.redis.connection import answered, connect_to_read

    client = connect_to_read(settings.redis)

    def ready() -> bool:
        with answered("waiting for signs of life"):
            return all(len(find_alive(client, role)) >= n for role, n in wanted.items())

    def ended() -> Server | None:
        return next((process for process in processes if process.identity is None), None)

    if not wait_until(lambda: ended() is not None or ready(), START_S) or ended() is not None:
        culprit = ended() or processes[0]
        raise StackError(
            f"{culprit.name} must show a sign of life within {START_S:g} s; the last lines of {culprit.log}:\n"
            f"{last_lines(culprit.log)}"
        )
    client.close()


def _process(role: str, settings: Settings, log: Path, options: Sequence[str]) -> Server:
    """Hand the settings over by environment: everybody may read a command line, and they hold passwords."""
    return Server(role, [sys.executable, "-P", "-m", "reelstream", role, *options], log, settings.environment())
