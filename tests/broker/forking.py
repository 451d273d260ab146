"""Processes of ours for tests, forked from one that has already imported what all of them import.

Importing torch, Faust and our own modules takes a processor for more than two seconds, and the tests of whole processes
start about a hundred. A forked process is one of its own in all that these tests look at: it has its own process id,
environment, log, signals, threads and end. How the command line itself starts is tested by ``tests/commands``, by
``tests/broker/agents/test_start.py`` and by ``tests/test_readme.py``, which start an interpreter each.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Forked", "Forker", "serve"]

ROOT = Path(__file__).parents[2]
IMPORTED = ("agents.worker.app", "agents.trainer.trainer", "agents.scorekeeper.scorekeeper")
POLL_S = 0.02


class Forked:
    """A process with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, forker: "Forker", pid: int) -> None:
        self._forker = forker
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._forker.ask(pid=self.pid)["status"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(POLL_S)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class Forker:
    """The process that is forked from, started with the first process that is asked for."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket, self._theirs = socket.socketpair()
        self._link = self._socket.makefile("rwb")

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """Start ``reelstream`` with arguments and exactly this environment, both outputs at the end of a log."""
        if self._process is None:
            command = [sys.executable, "-m", __name__, str(self._theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[self._theirs.fileno()])
            self._theirs.close()
        asked = self.ask(arguments=list(arguments), environment=dict(environment), log=str(log))
        return Forked(self, asked["pid"])

    def ask(self, **asked: Any) -> Any:
        """Ask the process one thing and return its answer."""
        self._link.write(json.dumps(asked).encode() + b"\n")
        self._link.flush()
        return json.loads(self._link.readline())

    def close(self) -> None:
        """Let it end."""
        self._link.close()
        self._socket.close()
        self._theirs.close()
        if self._process is not None:
            self._process.wait(30)


def serve(number: int) -> Any:
    """Fork and tell ends until nobody asks any more; in a fork return what was asked for."""
    for module in IMPORTED:
        import_module(module)
    with socket.socket(fileno=number) as link, link.makefile("rwb") as lines:
        for line in lines:
            asked = json.loads(line)
            if "pid" in asked:
                pid, status = os.waitpid(asked["pid"], os.WNOHANG)
                answer = {"status": os.waitstatus_to_exitcode(status) if pid else None}
            elif pid := os.fork():
                answer = {"pid": pid}
            else:
                return asked
            lines.write(json.dumps(answer).encode() + b"\n")
            lines.flush()
    return None


def main() -> None:
    """Serve; then, in a fork, become the process."""
    asked = serve(int(sys.argv[1]))
    if asked is None:
        return
    os.environ.clear()
    os.environ.update(asked["environment"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for output in (1, 2):
        os.dup2(log, output)
    os.close(log)
    sys.argv = ["reelstream", *asked["arguments"]]
    runpy.run_module("reelstream", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
