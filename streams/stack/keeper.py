"""Keep a local stack running after the command that asked for it has returned.

``start`` runs this module as a process of its own session, the keeper, which owns the servers until ``stop`` or
a signal ends it. While it starts, it writes one JSON object a line to the pipe that is its standard output:
``{"progress": ...}``, and last ``{"error": ...}`` or the addresses. If whoever reads them goes away before
that, the keeper ends too. The keeper does not restart servers that end; ``look`` tells which still run.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from streams.errors import StackError, StreamError
from streams.stack.local import STOP_WITHIN_S, running_stack, tell
from streams.stack.process import last_lines, wait_until
from streams.stack.state import Addresses, clear_strays, read_note, take_turns

__all__ = ["StackStatus", "keep", "look", "start", "stop"]

DOWN_WITHIN_S = 4 * STOP_WITHIN_S  # the parts of the largest cluster we start, one after the other
START_WITHIN_S = 300.0  # only for waiting on somebody else's start, a first download included


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A running stack: its addresses, and for each part whether it still runs and where its log is."""

    addresses: Addresses
    parts: dict[str, bool]
    logs: dict[str, Path]

    @property
    def is_whole(self) -> bool:
        """Whether every part runs."""
        return all(self.parts.values())


def look(data: Path) -> StackStatus | None:
    """Return the stack that runs on a data folder, or None if none has started or all of it is gone."""
    note = read_note(data)
    if note is None or not note.is_ready or not note.owner.is_running():
        return None
    parts = {part.name: part.identity.is_running() for part in note.parts}
    return StackStatus(note.addresses, parts, {part.name: part.log for part in note.parts})


def keep(
    data: Path,
    ready: Callable[[Addresses], None],
    *,
    brokers: int = 1,
    kafka: str | None = None,
    redis: str | None = None,
    report: Callable[[str], None] = tell,
) -> None:
    """Run a stack until SIGINT, SIGTERM or SIGHUP, calling ``ready`` once it serves; main thread only."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with running_stack(data, brokers=brokers, kafka=kafka, redis=redis, report=report) as addresses:
            ready(addresses)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave by exception, once: a second signal must not disturb the ending of the servers."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def start(
    data: Path,
    *,
    brokers: int = 1,
    kafka: str | None = None,
    redis: str | None = None,
    report: Callable[[str], None] = tell,
) -> Addresses:
    """Return the addresses of the stack on a data folder, starting it with a keeper if it does not run.

    With both addresses given, nothing is started. Raises StackError as ``open_stack`` does, and if the stack
    runs but one of its parts has ended.
    """
    if kafka and redis:
        return Addresses(kafka, redis)
    data = data.resolve()
    with take_turns(data):
        _await_other_start(data)
        status = look(data)
        if status is None:
            return _start_keeper(data, brokers, kafka, redis, report)
    if not status.is_whole:
        name = next(name for name, runs in status.parts.items() if not runs)
        raise StackError(
            f"the stack in {str(data)!r} must be whole, got {name!r} ended; stop it (stack down) and start it again. "
            f"The end of {status.logs[name]}:\n{last_lines(status.logs[name])}"
        )
    return status.addresses


def _await_other_start(data: Path) -> None:
    """Wait while somebody who takes no turns, such as a stack in the foreground, is starting."""
    note = read_note(data)
    if note and not note.is_ready and note.owner.is_running():
        wait_until(lambda: look(data) is not None or not note.owner.is_running(), START_WITHIN_S)


def _start_keeper(
    data: Path, brokers: int, kafka: str | None, redis: str | None, report: Callable[[str], None]
) -> Addresses:
    log = data / "keeper.log"
    command = [sys.executable, "-m", __name__, str(data), str(brokers), kafka or "", redis or ""]
    with log.open("wb") as errors:
        keeper = subprocess.Popen(  # noqa: S603  our own module
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert keeper.stdout is not None, "asked for a pipe"
    try:
        with keeper.stdout as lines:
            for line in lines:
                told = json.loads(line)
                if "progress" in told:
                    report(told["progress"])
                elif "error" in told:
                    keeper.wait()
                    raise StackError(told["error"])
                else:
                    keeper.returncode = 0  # it stays; this process has no more business with it
                    return Addresses(**told)
    except KeyboardInterrupt:
        keeper.terminate()
        keeper.wait()
        raise
    raise StackError(
        f"the keeper of {str(data)!r} was to report its servers, got exit status {keeper.wait()}. "
        f"The end of {log}:\n{last_lines(log)}"
    )


def stop(data: Path) -> bool:
    """End the stack on a data folder and wait until it is gone; return False if there was none."""
    note = read_note(data)
    if note is None:
        return False
    was_running = note.owner.is_running() or any(part.identity.is_running() for part in note.parts)
    note.owner.end(DOWN_WITHIN_S)
    clear_strays(data)
    return was_running


def _main(data: str, brokers: str, kafka: str, redis: str) -> int:
    try:
        keep(Path(data), _announce, brokers=int(brokers), kafka=kafka or None, redis=redis or None, report=_report)
    except StreamError as error:
        _say({"error": str(error)})
        return 1
    return 0


def _announce(addresses: Addresses) -> None:
    """Tell the addresses as the last thing, and let go of the pipe so that nobody waits for its end."""
    _say(asdict(addresses))
    os.dup2(2, 1)


def _report(line: str) -> None:
    _say({"progress": line})


def _say(told: dict[str, str]) -> None:
    os.write(1, f"{json.dumps(told)}\n".encode())  # not print: sys.stdout is turned away while jgo works


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
