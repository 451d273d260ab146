"""One server process: start it, pause it, kill it, end it, and know later whether a pid is still the same one.

Here because both servers need exactly this and nothing of it knows Kafka or Redis. It is no supervisor: a
server that ends stays ended until somebody calls ``start`` again.

What keeps orphans away: each server is a process group of its own, so Ctrl-C in a terminal reaches only us and
we end the servers in order. They hear the signals that end them, whatever we were started to ignore. On Linux
the kernel also sends the server SIGTERM when we die in any other way (``launch``). That promise is tied to the
*thread* that started the server, so each server has a thread that starts it and stays until it ends. Elsewhere
a killed owner leaves its servers running until the next ``stack up`` or ``stack down`` on the same folder, which
finds them by pid and start time and ends them.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.errors import StackError

__all__ = ["Identity", "Server", "identify", "last_lines", "wait_until"]

STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
LAUNCHER = Path(__file__).with_name("launch.py")
START_TAKES_S = 5.0  # at most, from asking for a process to having it
STOP_TAKES_S = 5.0  # threads of a busy machine are stopped when they are next to run
POLL_S = 0.02  # short against the 60 ms that the faster server needs to start


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same pid.

    ``started`` is the kernel's start time: clock ticks since boot on Linux, a date elsewhere.
    """

    pid: int
    started: str

    def is_running(self) -> bool:
        """Whether this very process lives; one that has ended but was not collected yet does not."""
        return identify(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal if this very process still lives."""
        if self.is_running():
            os.kill(self.pid, number)

    def end(self, within_s: float) -> None:
        """Send SIGTERM, and SIGKILL if it still lives after ``within_s`` seconds; wait for its end."""
        self.signal(signal.SIGTERM)
        if not wait_until(lambda: not self.is_running(), within_s):
            self.signal(signal.SIGKILL)
            wait_until(lambda: not self.is_running(), within_s)


def identify(pid: int) -> Identity | None:
    """Return who ``pid`` is now, or None if no such process lives."""
    if not sys.platform.startswith("linux"):
        return _identify_by_ps(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]  # fields 3 and 22 of proc_pid_stat(5); the name in field 2 is cut off
    return None if state in "ZX" else Identity(pid, started)


def _identify_by_ps(pid: int) -> Identity | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)  # noqa: S603  fixed command, one integer
    return None if len(answer) < 2 or answer[0].startswith("Z") else Identity(pid, answer[1].strip())  # noqa: PLR2004  state and date


def _has_stopped(pid: int) -> bool:
    """Tell whether all threads of a child stand still, or it has ended; until then it may still answer."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def wait_until(condition: Callable[[], bool], within_s: float) -> bool:
    """Poll ``condition`` until it holds; return False if it does not within ``within_s`` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def last_lines(log: Path, n: int = 12, since: int = 0) -> str:
    """Return the last ``n`` lines of a log after byte ``since``, indented, or a word that there are none.

    The frames of Java's stack traces are left out, as they would push out the cause.
    """
    text = log.read_bytes()[since:].decode("utf-8", errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if not STACK_FRAME.match(line)]
    return "\n".join(f"    {line}" for line in lines[-n:]) or "    (nothing)"


class Server:
    """A server process with a log file; it can be started again after it ended.

    Parameters
    ----------
    name
        How messages call it, such as ``"kafka-1"``.
    command
        The program (an absolute path) and its arguments.
    log
        Where its output goes; every start appends.
    environment
        Variables it gets beside ours.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment or {})
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._settled = threading.Event()  # unset only while a start is under way, in which we may be interrupted
        self._settled.set()

    @property
    def identity(self) -> Identity | None:
        """Who runs, or None if nothing does."""
        return identify(self._process.pid) if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process and return at once; raise StackError if the program cannot be run."""
        failure: list[OSError] = []
        owner = threading.Thread(target=self._own, args=(failure,), name=f"owner of {self.name}", daemon=True)
        self._settled.clear()
        owner.start()
        self._settled.wait()
        if failure:
            raise StackError(f"{self.name}: {self._command[0]!r} cannot be run: {failure[0]}") from failure[0]

    def _own(self, failure: list[OSError]) -> None:
        guard = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as output:
                self._log_start = output.tell()
                process = subprocess.Popen(  # noqa: S603  our own command, no shell
                    [*guard, *self._command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._environment},
                    process_group=0,
                )
        except OSError as error:
            failure.append(error)
            self._settled.set()
            return
        self._process = process
        self._settled.set()
        process.wait()

    def await_ready(self, is_ready: Callable[[], bool], within_s: float) -> None:
        """Wait until ``is_ready``; raise StackError with the log's end if the process ends or is too slow."""
        ended_or_ready = wait_until(lambda: self.identity is None or is_ready(), within_s)
        if self.identity is None:
            status = self._process.wait() if self._process else None
            raise StackError(
                f"{self.name} did not start: it was to serve, got exit status {status}. "
                f"The end of {self.log}:\n{self.last_words()}"
            )
        if not ended_or_ready:
            raise StackError(
                f"{self.name} did not start: it was to answer within {within_s:g} s, got no answer. "
                f"The end of {self.log}:\n{self.last_words()}"
            )

    def how_it_ended(self) -> str:
        """Return ``status N`` or the signal's name, or a word that it was not started or has not ended."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return "nothing: it runs" if self._process else "nothing: it was never started"
        try:
            return f"status {status}" if status >= 0 else signal.Signals(-status).name
        except ValueError:  # a signal without a name
            return f"signal {-status}"

    def last_words(self, n: int = 12) -> str:
        """Return the last lines that it has written since its latest start, indented."""
        return last_lines(self.log, n, since=self._log_start)

    def pause(self) -> None:
        """Stop the process from running, as an overloaded machine would (SIGSTOP); on Linux return once it stands."""
        self._signal(signal.SIGSTOP)
        if self._process is not None and sys.platform.startswith("linux"):
            pid = self._process.pid
            wait_until(lambda: _has_stopped(pid), STOP_TAKES_S)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL), and wait for its end."""
        self._signal(signal.SIGKILL)
        self._collect(None)

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM) and return at once; a paused process is resumed to hear it."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def stop(self, within_s: float) -> None:
        """Ask the process to end and wait; kill it if it still runs after ``within_s`` seconds."""
        self.terminate()
        if not self._collect(within_s):
            self.kill()

    def _signal(self, number: int) -> None:
        self._settled.wait(START_TAKES_S)
        if self._process is not None:
            self._process.send_signal(number)  # polls first, so never signals a pid that was given away

    def _collect(self, within_s: float | None) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True
