"""A Redis Cluster of Valkey servers on this machine: every slot served, without replicas.

For tests of everything that must keep to one slot; a cluster for production is made by its operator. The servers
are killed, paused and restarted one by one, like any other ``Server``.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from streams.errors import StackError
from streams.stack.ports import settle_ports
from streams.stack.process import wait_until
from streams.stack.valkey import Valkey, find_server

__all__ = ["running_cluster"]

SLOTS = 16384
READY_WITHIN_S = 30.0  # three nodes agree within 2 s; a busy machine needs more
STOP_WITHIN_S = 5.0
NODE_TIMEOUT_MS = 2000  # a lost node is noticed after that, instead of 15 s


@contextlib.contextmanager
def running_cluster(
    folder: Path, n_nodes: int = 3, *, password: str | None = None, announced: Sequence[int] = ()
) -> Iterator[tuple[Valkey, ...]]:
    """Run a cluster for the length of a ``with`` block and give its nodes.

    Parameters
    ----------
    folder
        Holds a folder for each node.
    n_nodes
        All of them primaries, which share the slots evenly.
    password
        What clients must give, if anything.
    announced
        The port that each node tells clients, where that is not its own: of a proxy in front of it.

    Raises
    ------
    StackError
        If a node does not start, or they do not agree in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{kind}-{n}" for n in range(n_nodes) for kind in ("client", "bus")]
    ports, binary = settle_ports(folder / "ports.json", names), find_server()
    nodes = []
    for n in range(n_nodes):
        options: dict[str, object] = {
            "cluster-enabled": "yes",
            "cluster-port": ports[f"bus-{n}"],
            "cluster-node-timeout": NODE_TIMEOUT_MS,
        }
        if announced:
            options["cluster-announce-port"] = announced[n]
        node = Valkey(ports[f"client-{n}"], folder / f"node-{n}", binary, password=password, options=options)
        nodes.append(node)
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()
        _join(nodes, [ports[f"bus-{n}"] for n in range(n_nodes)])
        yield tuple(nodes)
    finally:
        for node in nodes:
            node.terminate()
        for node in nodes:
            node.stop(STOP_WITHIN_S)


def _join(nodes: Sequence[Valkey], bus: Sequence[int]) -> None:
    """Share out the slots, introduce the nodes to each other, and wait until each sees all slots served."""
    with contextlib.ExitStack() as closing:
        clients: list[Any] = [closing.enter_context(redis.Redis.from_url(node.url)) for node in nodes]
        for n, client in enumerate(clients):
            first, end = SLOTS * n // len(nodes), SLOTS * (n + 1) // len(nodes)
            if int(client.cluster("INFO")["cluster_slots_assigned"]) == 0:  # a folder used before remembers them
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", nodes[n].port, bus[n])
        if not wait_until(lambda: all(_is_whole(client, len(nodes)) for client in clients), READY_WITHIN_S):
            raise StackError(
                f"cluster: {len(nodes)} nodes must serve {SLOTS} slots within {READY_WITHIN_S:g} s, "
                f"got {[client.execute_command('CLUSTER INFO') for client in clients]}"
            )


def _is_whole(client: Any, n_nodes: int) -> bool:
    with contextlib.suppress(RedisError):
        told = client.cluster("INFO")
        return told["cluster_state"] == "ok" and int(told["cluster_known_nodes"]) == n_nodes
    return False
