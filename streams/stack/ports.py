"""Choose ports that nothing listens on and that stay with a data folder.

Ports lie in 20000..29999, below the range from which systems take the source ports of outgoing connections
(32768 and up on Linux, 49152 and up elsewhere): while a killed server is down, none of its reconnecting clients
can be given its port. This does not reserve anything; who loses the race reads the server's own message.
"""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_free", "settle_ports"]

PORTS = range(20_000, 30_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def settle_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Return a port for each name: the one noted in ``file`` while it is free, a new one otherwise.

    ``file`` is rewritten when anything changed; names that are not asked for keep their ports.
    """
    noted: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    fresh = (port for port in random.sample(PORTS, len(PORTS)) if port not in noted.values() and is_free(port))
    ports = {name: noted[name] if name in noted and is_free(noted[name]) else next(fresh) for name in names}
    if noted | ports != noted:
        file.write_text(json.dumps(noted | ports, indent=1) + "\n", encoding="utf-8")
    return ports
