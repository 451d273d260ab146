"""The local stack of one data folder: start what is not given, hold it, end it.

``open_stack`` gives the running parts, for tests that kill and restart them; ``running_stack`` gives only the
addresses, which is all that everybody else needs. Both end what they started, in whatever way they are left.
Keeping a stack running after a command has returned is the business of ``keeper``.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.errors import StackError
from streams.stack.jars import find_class_path, find_java
from streams.stack.kafka import Broker, Node, format_storage
from streams.stack.ports import settle_ports
from streams.stack.process import Server
from streams.stack.state import Addresses, StackPart, hold, write_note
from streams.stack.valkey import AppendFsync, Valkey, find_server

__all__ = ["STOP_WITHIN_S", "Stack", "open_stack", "running_stack", "tell"]

STOP_WITHIN_S = 15.0  # a broker needs 0.3 s, three that end together up to 5


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs: the addresses, and the parts that were started here (none of those that were given)."""

    addresses: Addresses
    brokers: tuple[Broker, ...]
    valkey: Valkey | None

    @property
    def servers(self) -> tuple[Server, ...]:
        """All parts that were started here."""
        return (*self.brokers, *([self.valkey] if self.valkey else []))


def tell(line: str) -> None:
    """Print a line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress belongs on stderr, answers on stdout


@contextlib.contextmanager
def running_stack(
    data: Path,
    *,
    brokers: int = 1,
    kafka: str | None = None,
    redis: str | None = None,
    appendfsync: AppendFsync = "everysec",
    report: Callable[[str], None] = tell,
) -> Iterator[Addresses]:
    """Run a local stack for the duration of a ``with`` block and give its addresses.

    Parameters and errors are those of ``open_stack``.
    """
    with open_stack(data, brokers=brokers, kafka=kafka, redis=redis, appendfsync=appendfsync, report=report) as stack:
        yield stack.addresses


@contextlib.contextmanager
def open_stack(
    data: Path,
    *,
    brokers: int = 1,
    kafka: str | None = None,
    redis: str | None = None,
    appendfsync: AppendFsync = "everysec",
    listeners: Sequence[str] = (),
    properties: Mapping[str, object] | None = None,
    report: Callable[[str], None] = tell,
) -> Iterator[Stack]:
    """Run a local stack for the duration of a ``with`` block and give its parts.

    Parameters
    ----------
    data
        The folder that everything rests in; records, state and ports are found again by the next stack on it.
    brokers
        How many Kafka nodes; with three, topics have three copies of which two must be in sync.
    kafka, redis
        Addresses of running servers; a server whose address is given is not started.
    appendfsync
        When Valkey's append-only file reaches the disk.
    listeners, properties
        Protocols that the brokers serve clients by beside the plain one, such as ``SASL_SSL``, each on a port of its
        own, and the brokers' settings for them.
    report
        Told, in one line each, what takes time.

    Raises
    ------
    StackError
        If the folder is in use or was made for another number of brokers, if a part's program is missing, or if
        a part does not start; the message then ends with the last lines of its log.
    """
    if kafka and redis:
        yield Stack(Addresses(kafka, redis), (), None)
        return
    data = data.resolve()
    with hold(data), contextlib.ExitStack() as cleanup:
        nodes = () if kafka else _prepare_kafka(data, brokers, report, listeners, properties or {})
        valkey = None if redis else _prepare_valkey(data, appendfsync)
        addresses = Addresses(
            kafka=kafka or ",".join(node.address for node in nodes),
            redis=redis or (valkey.url if valkey else ""),
        )
        stack = Stack(addresses, nodes, valkey)
        cleanup.callback(_end, stack.servers)
        _start(data, stack, report)
        yield stack


def _prepare_kafka(
    data: Path,
    n_brokers: int,
    report: Callable[[str], None],
    listeners: Sequence[str],
    properties: Mapping[str, object],
) -> tuple[Broker, ...]:
    n_made = len(list(data.glob("kafka-*/log/meta.properties")))
    if n_brokers < 1 or n_made not in (0, n_brokers):
        raise StackError(
            f"the stack in {str(data)!r} must have {n_made or 'one or more'} brokers, got {n_brokers}; "
            "use another data folder for another number"
        )
    class_path, java = find_class_path(os.environ.get("KAFKA_HOME"), report), find_java()
    ids = range(1, n_brokers + 1)
    ports = settle_ports(
        data / "ports.json", [f"{kind}-{i}" for i in ids for kind in ("kafka", "controller", *listeners)]
    )
    nodes = [Node(i, ports[f"kafka-{i}"], ports[f"controller-{i}"]) for i in ids]
    brokers = tuple(
        Broker(
            node,
            nodes,
            data / f"kafka-{node.id}",
            java,
            class_path,
            listeners={protocol: ports[f"{protocol}-{node.id}"] for protocol in listeners},
            properties=properties,
        )
        for node in nodes
    )
    format_storage(brokers, data / "cluster-id", java, class_path)
    return brokers


def _prepare_valkey(data: Path, appendfsync: AppendFsync) -> Valkey:
    port = settle_ports(data / "ports.json", ["valkey"])["valkey"]
    return Valkey(port, data / "valkey", find_server(), appendfsync)


def _start(data: Path, stack: Stack, report: Callable[[str], None]) -> None:
    """Start all parts together and wait until each serves; note them before, so a crash here leaves no strays."""
    report(f"starting {', '.join(server.name for server in stack.servers)} in {data}")
    for server in stack.servers:
        server.start()
    identities = [(server, server.identity) for server in stack.servers]
    parts = [StackPart(server.name, identity, server.log) for server, identity in identities if identity]
    write_note(data, stack.addresses, parts, is_ready=False)
    if stack.valkey:
        stack.valkey.wait()
    for broker in stack.brokers:
        broker.wait_for_all()
    write_note(data, stack.addresses, parts, is_ready=True)


def _end(servers: Sequence[Server]) -> None:
    """Ask all parts to end at once, then wait: a lone broker would wait for its vanished quorum."""
    for server in servers:
        server.terminate()
    for server in servers:
        server.stop(STOP_WITHIN_S)
