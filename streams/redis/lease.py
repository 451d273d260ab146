"""One process at a time under one name: a lease in Redis, renewed for as long as its holder lives.

``alive:id:<role>:<name>`` holds who has it and expires ``LEASE_S`` after the last renewal. A newcomer that finds it
taken watches it for that long: a lease that is renewed has a living holder, one that runs out does not. A thread renews
it, so it says that the process lives, also while that imports or trains; ``streams.redis.heartbeat`` tells what the
process does. It is no lock around the state: positions guard that, whoever writes.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

import orjson
from redis import Redis

from streams.errors import StateError
from streams.redis.connection import answered

__all__ = ["LEASE_S", "Holder", "Lease", "lease_key"]

LEASE_S = 5.0  # a crashed process blocks its successor for at most this long
RENEW_S = 1.0
LOOK_S = 0.25
LET_GO_S = 1.0  # a lease that is not let go of in time runs out

# Takes or renews a lease; returns whose it is now, and for how many milliseconds still. Done twice it does the same.
# Renewing needs no memory, so a Redis that is full takes the lease from nobody.
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {holder, redis.call('PTTL', KEYS[1])} end
if holder then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return {ARGV[1], tonumber(ARGV[2])}
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def lease_key(role: str, name: str) -> str:
    """Return the key that a lease rests in."""
    return f"alive:id:{role}:{name}"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease; ``token`` tells two processes with the same pid apart."""

    host: str
    pid: int
    token: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process, under a token of its own."""
        return cls(socket.gethostname(), os.getpid(), secrets.token_hex(8))


class Lease:
    """The lease of one role and name, for one process.

    Parameters
    ----------
    client : a connected redis-py client that decodes what it reads; used by the renewing thread alone once ``kept``.
    role, name : what is to be there only once, such as ``worker`` and the worker's id.
    cure : what somebody can do where it is held, for the message.
    holder : who asks.
    length_s : how long it lasts without being renewed.
    """

    def __init__(
        self,
        client: Redis,
        role: str,
        name: str,
        cure: str = "end it first, or choose another --id",
        holder: Holder | None = None,
        length_s: float = LEASE_S,
    ) -> None:
        self._client = client
        self._key = lease_key(role, name)
        self._what, self._cure = f"{role} {name!r}", cure
        self._holder = holder or Holder.here()
        self._value = orjson.dumps(asdict(self._holder)).decode()
        self._length_s = length_s

    def take(self) -> None:
        """Take the lease; a foreign one is watched until it is renewed or runs out.

        Raises
        ------
        StateError
            If another living process holds it, or Redis does not answer.
        """
        left_before: int | None = None
        first: str | None = None
        while True:
            value, left_ms = self._ask()
            if value == self._value:
                return
            first = first or value
            if value != first or (left_before is not None and left_ms > left_before):
                raise self._taken(value)
            left_before = left_ms
            time.sleep(LOOK_S)

    def renew(self) -> None:
        """Hold it for another length; one that ran out unnoticed is taken again.

        Raises
        ------
        StateError
            If another process has taken it meanwhile, or Redis does not answer.
        """
        value, _ = self._ask()
        if value != self._value:
            raise self._taken(value)

    def release(self) -> None:
        """Let go, so that a successor need not wait; nothing happens where it is no longer ours."""
        with answered(f"lease of {self._key}"):
            self._client.eval(_RELEASE, 1, self._key, self._value)

    @contextmanager
    def kept(self, lost: Callable[[StateError], None]) -> Iterator[None]:
        """Renew from a thread during the block and let go at its end, waiting no longer than a second for that.

        Parameters
        ----------
        lost : called in that thread, once, if another process has taken the lease: a Redis that was away, or this
            process being stopped, let it run out. While Redis does not answer, the lease is kept up as before.
        """
        ended = threading.Event()
        thread = threading.Thread(target=self._renew_until, args=(ended, lost), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(LET_GO_S)

    def _renew_until(self, ended: threading.Event, lost: Callable[[StateError], None]) -> None:
        while not ended.wait(RENEW_S):
            try:
                value, _ = self._ask()
            except StateError:
                continue
            if value != self._value:
                lost(self._taken(value))
                return
        with suppress(StateError):
            self.release()

    def _ask(self) -> tuple[str, int]:
        with answered(f"lease of {self._key}"):
            reply: Any = self._client.eval(_TAKE, 1, self._key, self._value, str(int(1000 * self._length_s)))
        return cast("str", reply[0]), int(reply[1])

    def _taken(self, value: str) -> StateError:
        holder = Holder(**orjson.loads(value))
        return StateError(
            f"{self._what} must be there only once, got one alive as process {holder.pid} of host {holder.host!r}; "
            f"{self._cure}"
        )
