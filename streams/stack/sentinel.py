"""A primary, its replica, and Sentinels that watch them, on this machine: for tests of a failover.

The server's own binary runs a Sentinel too (``--sentinel``). A Sentinel writes what it learns into its configuration,
which therefore is a file in its folder.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.exceptions import RedisError

from streams.errors import StackError
from streams.stack.ports import settle_ports
from streams.stack.process import Server, wait_until
from streams.stack.valkey import Valkey, answers, find_server

__all__ = ["SERVICE", "RunningSentinels", "running_sentinels"]

SERVICE = "reelstream"
N_SENTINELS = 3
QUORUM = 2
DOWN_AFTER_MS = 500  # a primary that is silent for that long is taken for dead
FAILOVER_TIMEOUT_MS = 3000
READY_WITHIN_S = 30.0
STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningSentinels:
    """What runs; ``url`` names all Sentinels and the service."""

    servers: tuple[Valkey, Valkey]
    sentinels: tuple[Server, ...]
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        """The address for ``REELSTREAM_REDIS``."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{SERVICE}/0"

    def primary(self) -> Valkey | None:
        """Return the server that the first Sentinel takes for the primary."""
        with redis.Redis(port=self.ports[0]) as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next((server for server in self.servers if server.port == int(port)), None)


@contextlib.contextmanager
def running_sentinels(folder: Path) -> Iterator[RunningSentinels]:
    """Run a primary with one replica and three Sentinels for the length of a ``with`` block.

    Raises
    ------
    StackError
        If a part does not start, or they do not agree in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ["primary", "replica", *(f"sentinel-{n}" for n in range(N_SENTINELS))]
    ports, binary = settle_ports(folder / "ports.json", names), find_server()
    primary = Valkey(ports["primary"], folder / "primary", binary)
    options = {"replicaof": f"127.0.0.1 {primary.port}", "repl-diskless-sync-delay": 0}
    replica = Valkey(ports["replica"], folder / "replica", binary, options=options)
    sentinels = tuple(_sentinel(folder / name, ports[name], primary.port, binary) for name in names[2:])
    watched = RunningSentinels((primary, replica), sentinels, tuple(ports[name] for name in names[2:]))
    parts: tuple[Server, ...] = (primary, replica, *sentinels)
    try:
        for part in parts:
            part.start()
        for server in watched.servers:
            server.wait()
        for sentinel, port in zip(sentinels, watched.ports, strict=True):
            sentinel.await_ready(lambda port=port: answers(port), READY_WITHIN_S)  # type: ignore[misc]  # bound on purpose
        if not wait_until(lambda: all(_agrees(port) for port in watched.ports), READY_WITHIN_S):
            raise StackError(f"sentinels: {N_SENTINELS} that know each other and a replica are required, got others")
        yield watched
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            part.stop(STOP_WITHIN_S)


def _sentinel(folder: Path, port: int, primary: int, binary: str) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sentinel.conf"
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {QUORUM}",
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}",
    )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Server(f"sentinel-{port}", [binary, str(file), "--sentinel"], folder / "sentinel.log")


def _agrees(port: int) -> bool:
    with contextlib.suppress(RedisError), redis.Redis(port=port) as client:
        state = client.sentinel_master(SERVICE)
        return state["num-other-sentinels"] == N_SENTINELS - 1 and state["num-slaves"] == 1 and not state["is_sdown"]
    return False
