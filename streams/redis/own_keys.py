"""The keys of one installation, in a database that others may share: counted, deleted, looked for.

``FLUSHDB`` would delete those of all.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from streams.redis.connection import answered, connect
from streams.redis.prefix import is_own_key, prefix_of_key

__all__ = ["CHUNK", "KeyCounts", "chunks", "clear_keys", "count_keys", "find_own_key", "key_names"]

SCAN = 2000  # keys of one step: a millisecond of the server
CHUNK = 500  # keys of one round trip


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many keys of a database are an installation's, and how many are not."""

    own: int
    others: int


async def count_keys(url: str, prefix: str) -> KeyCounts:
    """Count the keys of a database that are of the installation with this prefix, and all others."""
    own, others = 0, 0
    client: Any = connect(url, prefix="")  # keys as they are
    try:
        with answered("redis: counting keys"):
            async for key, _ in key_names(client):
                is_own = prefix_of_key(key) == prefix
                own, others = own + is_own, others + (not is_own)
    finally:
        await client.aclose()
    return KeyCounts(own, others)


async def clear_keys(url: str, prefix: str) -> int:
    """Delete the keys of the installation with this prefix, no other's, and return how many there were.

    Keys that belong to no installation stay, also where there is no prefix.

    Raises
    ------
    StateError
        If Redis does not answer, or refuses; what was deleted by then stays so.
    """
    n = 0
    client: Any = connect(url, prefix="")  # same
    try:
        with answered("redis: deleting keys"):
            found = [raw async for key, raw in key_names(client, prefix) if prefix_of_key(key) == prefix]
            for some in chunks(found):
                pipeline = client.pipeline(transaction=False)
                for raw in some:
                    pipeline.execute_command("UNLINK", raw)
                n += sum(await pipeline.execute())
    finally:
        await client.aclose()
    return n


async def find_own_key(url: str, prefix: str) -> str | None:
    """Return a key of a database that is of the installation with this prefix, or without one of nobody else; or None.

    So a database is empty for an installation that shares it, and for one without a prefix where no application at all
    has keys.
    """
    client: Any = connect(url, prefix="")  # same
    try:
        with answered("redis: looking for keys of this installation"):
            async for key, _ in key_names(client, prefix):
                if is_own_key(key, prefix):
                    return key
    finally:
        await client.aclose()
    return None


async def key_names(client: Any, begin: str = "") -> AsyncIterator[tuple[str, bytes]]:
    """Give each key that begins so, as text and as it came; of a client that puts no prefix before keys."""
    async for raw in client.scan_iter(match=f"{begin}*", count=SCAN):
        yield raw.decode(errors="surrogateescape"), raw


def chunks(keys: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Give the keys in parts of one round trip each."""
    rest = iter(keys)
    while some := tuple(islice(rest, CHUNK)):
        yield some
