"""Our processes as children that cannot outlive their parent, as ``up`` and ``demo`` run them."""

import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from streams.errors import StackError
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack.ports import settle_ports
from streams.stack.process import Server, last_lines, wait_until

__all__ = [
    "NO_API",
    "api_address",
    "api_process",
    "await_alive",
    "scorekeeper_process",
    "trainer_process",
    "worker_process",
]

NO_API = "api     the extra `web` is not installed: pip install 'reelstream[web]' brings the HTTP API and the page"
_API_PORT = 8080  # of all that are free, as it stands in the docs
START_S = 120.0  # three processes that start at once, one of them with torch, take a minute on a busy machine


def worker_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a worker, not started yet, that logs to a file."""
    return _process("worker", settings, log, options)


def trainer_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a trainer, not started yet, that logs to a file."""
    return _process("trainer", settings, log, options)


def scorekeeper_process(settings: Settings, log: Path, *options: str) -> Server:
    """Return a scorekeeper, not started yet, that logs to a file."""
    return _process("scorekeeper", settings, log, options)


def api_address(folder: Path) -> str | None:
    """Return where the API is to listen: on its own port, or on another where that one is taken; None without `web`."""
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        return None
    with suppress(OSError), socket.create_server(("127.0.0.1", _API_PORT)):
        return f"http://127.0.0.1:{_API_PORT}"
    return f"http://127.0.0.1:{settle_ports(folder / 'api-port.json', ['api'])['api']}"


def api_process(settings: Settings, log: Path, address: str, *options: str) -> Server:
    """Return a process that answers over HTTP, not started yet, that logs to a file."""
    return _process("api", settings, log, ("--port", address.rpartition(":")[2], *options))


def await_alive(settings: Settings, wanted: Mapping[str, int], processes: Sequence[Server]) -> None:
    """Wait until so many processes of each role show signs of life.

    Raises
    ------
    StackError
        If one of ``processes`` ends first, or it takes too long; with the last lines of its log.
    """
    from streams.redis.connection import answered, connect_to_read

    client = connect_to_read(settings.redis, prefix=settings.prefix)

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
    """Hand the settings over by environment: everybody may read a command line, and they hold passwords.

    A port for metrics that is set for us is that of one process: no child has it unless its options say so.
    """
    environment = settings.environment() | {"REELSTREAM_METRICS_PORT": ""}
    return Server(role, [sys.executable, "-P", "-m", "reelstream", role, *options], log, environment)
