"""The workers and the trainer of one run: started, killed, paused and started again; one that ends is noticed.

A worker that ends by itself is started again, as by a supervisor, and its last words are kept. The caller says how a
process is made.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streams.errors import StackError
from streams.redis.connection import answered
from streams.stack.process import Server, last_lines, wait_until

__all__ = ["Fleet"]

START_S = 120.0  # importing torch takes seconds on a busy machine, and several start at once
STOP_S = 12.0  # a worker drains within 9


class Fleet:
    """All processes of ours under test.

    Parameters
    ----------
    make_worker : returns the worker of a slot, not started.
    make_trainer : returns the trainer, not started.
    slots : most workers at once.
    named : tells whether the group keeps the place of a slot's worker while that is away, until its session ends.
    """

    def __init__(
        self,
        make_worker: Callable[[int], Server],
        make_trainer: Callable[[], Server],
        slots: int,
        named: Callable[[int], bool],
    ) -> None:
        self.workers = {slot: make_worker(slot) for slot in range(slots)}
        self.trainer = make_trainer()
        self._named = frozenset(slot for slot in range(slots) if named(slot))
        self._up: set[int] = set()
        self._trainer_is_up = False
        self._lock = threading.RLock()
        self.ended: list[str] = []

    @property
    def up(self) -> list[int]:
        """Slots whose workers are meant to run, in order."""
        with self._lock:
            return sorted(self._up)

    @property
    def leaving(self) -> list[int]:
        """Slots that run and whose workers, asked to end, leave the group at once, in order."""
        return sorted(set(self.up) - self._named)

    @property
    def idle(self) -> list[int]:
        """Slots without a worker, in order."""
        return sorted(self.workers.keys() - set(self.up))

    def start_worker(self, slot: int) -> None:
        """Start the worker of a slot and see to it that it runs from now on."""
        with self._lock:
            self.workers[slot].start()
            self._up.add(slot)

    def kill_worker(self, slot: int) -> None:
        """Kill the worker of a slot; it stays down until it is started."""
        with self._lock:
            self._up.discard(slot)
            self.workers[slot].kill()

    def remove_worker(self, slot: int) -> None:
        """Ask the worker of a slot to end, and wait for it."""
        with self._lock:
            self._up.discard(slot)
        self.workers[slot].stop(STOP_S)

    def start_trainer(self) -> None:
        """Start the trainer and see to it that it runs from now on."""
        with self._lock:
            self.trainer.start()
            self._trainer_is_up = True

    def kill_trainer(self) -> None:
        """Kill the trainer; it stays down until it is started."""
        with self._lock:
            self._trainer_is_up = False
            self.trainer.kill()

    def await_ready(self, client: Any) -> None:
        """Wait until every process that is up shows a sign of life.

        Raises
        ------
        StackError
            If one ends first or takes too long.
        """
        for role, server in self._running():

            def is_alive(role: str = role, server: Server = server) -> bool:
                identity = server.identity
                with answered("chaos: reading signs of life"):
                    name = f"{socket.gethostname()}:{identity.pid if identity else 0}"
                    return identity is None or bool(client.exists(f"alive:{role}:{name}"))

            if not wait_until(is_alive, START_S) or server.identity is None:
                raise StackError(
                    f"chaos: {server.name} must show a sign of life within {START_S:g} s; the last lines of "
                    f"{server.log}:\n{last_lines(server.log)}"
                )

    def revive(self) -> None:
        """Start again whatever has ended by itself, and note it in ``ended``."""
        with self._lock:
            for _, server in self._running():
                if server.identity is None:
                    self.ended.append(f"{server.log.stem}: {last_lines(server.log, 1).strip()}")
                    server.start()

    def _running(self) -> list[tuple[str, Server]]:
        with self._lock:
            workers = [("worker", self.workers[slot]) for slot in sorted(self._up)]
            return workers + ([("trainer", self.trainer)] if self._trainer_is_up else [])

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End everything when the block is left, in whatever way."""
        try:
            yield
        finally:
            with self._lock:
                servers = [server for _, server in self._running()]
                self._up.clear()
                self._trainer_is_up = False
            for server in servers:
                server.terminate()
            for server in servers:
                server.stop(STOP_S)
