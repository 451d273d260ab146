"""Apache Kafka in KRaft mode as child processes: one node, or several that replicate to each other.

Here are the settings of a small broker that starts fast and comes back fast after a crash, and the smallest
piece of Kafka's protocol that tells which nodes serve. It is no Kafka client and creates no topics.
"""

import base64
import os
import re
import socket
import struct
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.errors import StackError
from streams.stack.process import Server

__all__ = ["Broker", "Node", "format_storage", "serving_nodes"]

READY_WITHIN_S = 90.0  # 2 s alone, 10 s for three nodes on two idle cores; a busy machine needs more
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
TOO_NEW = re.compile(
    r"Can't read version \d+ of \w+|featureLevel=\d+\), but this controller only supports versions [\d-]+"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A KRaft node's number and its two ports on 127.0.0.1."""

    id: int
    port: int
    controller_port: int


class Broker(Server):
    """One KRaft node, broker and controller in one process.

    Parameters
    ----------
    node
        Which of ``nodes`` this is.
    nodes
        The whole cluster.
    folder
        Holds ``server.properties``, the log of the process and, in ``log``, the data.
    java, class_path
        From ``streams.stack.jars``.
    listeners
        More ports for clients by protocol (``SSL``, ``SASL_SSL``), beside the plain one that nodes use.
    properties
        More of the broker's own settings, such as its certificates and users; kept in a file that only we can read.
    """

    def __init__(
        self,
        node: Node,
        nodes: Sequence[Node],
        folder: Path,
        java: str,
        class_path: str,
        *,
        listeners: Mapping[str, int] | None = None,
        properties: Mapping[str, object] | None = None,
    ) -> None:
        self.node = node
        self.listeners = dict(listeners or {})
        self.folder = folder
        self.properties = folder / "server.properties"
        self.data = folder / "log"
        self._n_nodes = len(nodes)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {**_settings(node, nodes, self.data, self.listeners), **(properties or {})}
        self.properties.touch(mode=0o600)
        self.properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
        command = [java, *JVM, "-cp", class_path, "kafka.Kafka", str(self.properties)]
        super().__init__(f"kafka-{node.id}", command, folder / "broker.log")

    @property
    def address(self) -> str:
        """Where clients reach this node, as ``host:port``."""
        return f"127.0.0.1:{self.node.port}"

    def address_for(self, protocol: str) -> str:
        """Where clients reach this node by a protocol of ``listeners``, as ``host:port``."""
        return f"127.0.0.1:{self.listeners[protocol]}"

    def wait(self, within_s: float = READY_WITHIN_S) -> None:
        """Wait until this node answers clients and counts itself among the serving nodes."""
        self.await_ready(lambda: self.node.id in serving_nodes(self.node.port), within_s)

    def wait_for_all(self, within_s: float = READY_WITHIN_S) -> None:
        """Wait until this node sees every node of the cluster serving."""
        self.await_ready(lambda: len(serving_nodes(self.node.port)) == self._n_nodes, within_s)

    def await_ready(self, is_ready: Callable[[], bool], within_s: float) -> None:
        """Wait as every server does; where a newer Kafka wrote the data, the StackError says so, and the cure."""
        try:
            super().await_ready(is_ready, within_s)
        except StackError as error:
            found = TOO_NEW.search(self.last_words())
            if found is None:
                raise
            raise StackError(
                f"{self.name} did not start: {str(self.data)!r} must have been written by the Apache Kafka that starts "
                f"on it or by an older one, got data of a newer one ({found[0]!r} in {str(self.log)!r}); use another "
                "data folder, or set KAFKA_HOME to an unpacked Apache Kafka of the version that wrote it. "
                "Nothing was deleted"
            ) from error

    def restart(self) -> None:
        """Start again on the same data and ports, and wait until it serves."""
        self.start()
        self.wait()


def _settings(node: Node, nodes: Sequence[Node], data: Path, more: Mapping[str, int]) -> Mapping[str, object]:
    copies = min(3, len(nodes))
    in_sync = max(1, copies - 1)
    ports = {"PLAINTEXT": node.port, **more}
    own = ",".join(f"{protocol}://127.0.0.1:{port}" for protocol, port in ports.items())
    return {
        "process.roles": "broker,controller",
        "node.id": node.id,
        # Static voters, for one node too: they may change their ports, a dynamic quorum remembers them.
        "controller.quorum.voters": ",".join(f"{each.id}@127.0.0.1:{each.controller_port}" for each in nodes),
        "listeners": f"{own},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": own,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(("CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in ports))),
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data).replace("\\", "\\\\"),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        # A producer that died in a transaction holds its partitions back: for its timeout, and until the next look.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        # After kill -9 a node waits for its own old session: 12 s by default, under 4 s with these.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
    }


def format_storage(brokers: Sequence[Broker], cluster_id_file: Path, java: str, class_path: str) -> None:
    """Prepare the data folders of nodes that have none; once per folder, 1 s each."""
    if not cluster_id_file.exists():
        cluster_id_file.write_text(_new_cluster_id(), encoding="ascii")
    cluster_id = cluster_id_file.read_text(encoding="ascii").strip()
    for broker in brokers:
        if (broker.data / "meta.properties").exists():
            continue
        command = [java, *JVM, "-cp", class_path, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["-t", cluster_id, "-c", str(broker.properties)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, process_group=0)  # noqa: S603  our own command, no shell
        if result.returncode != 0:
            raise StackError(
                f"{broker.name}: its storage in {str(broker.data)!r} could not be formatted, "
                f"got exit status {result.returncode}:\n{result.stdout}{result.stderr}"
            )


def _new_cluster_id() -> str:
    """Return a random UUID as Kafka writes them: base64 for URLs, no padding, no leading dash."""
    return base64.urlsafe_b64encode(uuid.UUID(bytes=b"\x4b" + os.urandom(15)).bytes).decode("ascii").rstrip("=")


def serving_nodes(port: int) -> frozenset[int]:
    """Return the ids of the nodes that the node at ``port`` sees serving; empty if it does not answer.

    Sends Kafka's Metadata request, version 1, for no topics and reads the brokers of the answer
    (https://kafka.apache.org/protocol: int32 size, int32 correlation, then an array of node id, host, port, rack).
    """
    client = b"reelstream"
    body = struct.pack(f">hhih{len(client)}si", 3, 1, 0, len(client), client, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", _read(connection, 4))
            return _node_ids(_read(connection, size))
    except OSError:
        return frozenset()


def _read(connection: socket.socket, n_bytes: int) -> bytes:
    data = b""
    while len(data) < n_bytes:
        part = connection.recv(n_bytes - len(data))
        if not part:
            raise ConnectionResetError(f"Kafka was to send {n_bytes} bytes, got {len(data)}")
        data += part
    return data


def _node_ids(answer: bytes) -> frozenset[int]:
    (n_nodes,) = struct.unpack_from(">i", answer, 4)
    at, ids = 8, set()
    for _ in range(n_nodes):
        node, host_length = struct.unpack_from(">ih", answer, at)
        at += 6 + host_length + 4
        (rack_length,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack_length, 0)
        ids.add(node)
    return frozenset(ids)
