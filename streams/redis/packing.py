"""Commands packed in C, as redis-py's synchronous connections pack them where hiredis is there.

Its asyncio connections (8.1; redis/redis-py#4176 is open) pack each word of a command in Python, a microsecond a word,
and the event loop stands still meanwhile: merging trending sends some ten thousand words every second.
"""

from contextlib import suppress
from typing import Any

import hiredis
from redis.asyncio.connection import ConnectionPool
from redis.connection import HiredisRespSerializer

__all__ = ["pack_in_c"]

_PACKER = HiredisRespSerializer()  # which looks at each word in Python once more


class _PackingInC:
    def pack_command(self, *words: Any) -> list[bytes]:
        """Return a command as it is sent; what is neither text, bytes nor a number is a DataError, as everywhere."""
        with suppress(TypeError):  # a word of another type
            if " " not in words[0]:
                return [hiredis.pack_command(words)]
        packed: list[bytes] = _PACKER.pack(*words)
        return packed


def pack_in_c(pool: ConnectionPool) -> None:
    """Let the connections that a pool makes from now on pack in C, of whichever class they are."""
    own = pool.connection_class
    pool.connection_class = type(own.__name__, (_PackingInC, own), {})
