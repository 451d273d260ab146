"""Keys that an earlier release left without the installation's prefix, renamed to those that begin with it."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from streams.errors import StateError
from streams.redis.connection import answered, connect
from streams.redis.own_keys import chunks, key_names
from streams.redis.prefix import prefix_of_key, with_prefix
from streams.settings import Settings, without_password

__all__ = ["AdoptedKeys", "adopt_keys"]

_SIGNS = b"alive:"
_GONE, _THERE = "no such key", "BUSYKEY"


@dataclass(frozen=True, slots=True)
class AdoptedKeys:
    """How many keys were renamed, and which were not, as there is one of the new name."""

    renamed: int
    kept: tuple[str, ...]


async def adopt_keys(settings: Settings, known: str, topic: str, *, is_tried: bool = False) -> AdoptedKeys:
    """Put the prefix before the keys of an earlier release; nothing that is there is overwritten.

    Steps: 1 collect the keys without a prefix, by what they are called; 2 see that they are this installation's, and
    that no process of the earlier release writes on; 3 delete old signs of life; 4 rename, and last of all the hash by
    which a start tells that something is left to rename. So a call that was interrupted is made again.

    Parameters
    ----------
    settings : address and prefix.
    known, topic : hash of topics that every installation has, and a topic that it names; both without the prefix.
    is_tried : whether only to count.

    Raises
    ------
    StateError
        If there is no prefix, or no such key; if the keys are of an installation without a prefix; if a process lives;
        or if Redis does not answer.
    """
    where = without_password(settings.redis)
    if not settings.prefix:
        raise StateError(
            f"redis: a prefix (REELSTREAM_PREFIX) is required to be put before the keys in {where}, got none"
        )
    client: Any = connect(settings.redis, prefix="")  # keys as they are
    try:
        with answered("redis: renaming keys"):
            # Step 1
            found = [raw async for key, raw in key_names(client) if prefix_of_key(key) == ""]
            # Step 2
            _require_own(settings, await client.hkeys(known), topic, where)
            living = [raw.decode() for raw in found if raw.startswith(_SIGNS) and raw.count(b":") > 1]
            if living:
                raise StateError(
                    f"redis: ended processes are required before keys in {where} are renamed, got {living[0]!r}; "
                    "end it, wait 15 s, and run this again"
                )
            stored = [raw for raw in found if not raw.startswith(_SIGNS) and raw != known.encode()]
            if is_tried:
                return AdoptedKeys(len(stored) + 1, ())
            # Step 3
            for raw in (raw for raw in found if raw.startswith(_SIGNS)):
                await client.unlink(raw)
            # Step 4
            rename = _move if isinstance(client, RedisCluster) else _rename
            moved = [await rename(client, settings.prefix, some) for some in (*chunks(stored), (known.encode(),))]
    finally:
        await client.aclose()
    kept = tuple(key for _, some in moved for key in some)
    return AdoptedKeys(sum(n for n, _ in moved), kept)


def _require_own(settings: Settings, fields: list[bytes], topic: str, where: str) -> None:
    """Refuse keys that another installation has, or that nobody has."""
    if topic.encode() in fields:
        raise StateError(
            f"redis: keys in {where} without a prefix must be of the installation with the prefix {settings.prefix!r} "
            f"alone to be renamed, got those made of the topic {topic!r} too; where no installation without a "
            "prefix is left, begin anew: `reelstream redis clear --prefix '' --yes`"
        )
    if (settings.prefix + topic).encode() not in fields:
        raise StateError(
            f"redis: keys of the installation with the prefix {settings.prefix!r}, made by an earlier release without "
            f"it, are required in {where}, got none; there is nothing to rename"
        )


async def _rename(client: Any, prefix: str, keys: tuple[bytes, ...]) -> tuple[int, list[str]]:
    """Rename keys of one server; return how many, and which have their new name taken."""
    pipeline = client.pipeline(transaction=False)
    for raw in keys:
        pipeline.renamenx(raw, _new(prefix, raw))
    replies = await pipeline.execute(raise_on_error=False)
    kept = [raw.decode() for raw, reply in zip(keys, replies, strict=True) if _is_taken(reply)]
    return sum(reply is True or reply == 1 for reply in replies), kept


async def _move(client: Any, prefix: str, keys: tuple[bytes, ...]) -> tuple[int, list[str]]:
    """Do the same in a cluster, where the new name may lie on another server."""
    n, kept = 0, []
    for raw in keys:
        dump, left = await client.dump(raw), await client.pttl(raw)
        if dump is None:
            continue  # it expired
        try:
            await client.restore(_new(prefix, raw), max(0, left), dump)
        except ResponseError as error:
            if _THERE not in str(error):
                raise
            kept.append(raw.decode())
            continue
        await client.unlink(raw)
        n += 1
    return n, kept


def _new(prefix: str, raw: bytes) -> str:
    return str(with_prefix(prefix, ("GET", raw))[1])


def _is_taken(reply: Any) -> bool:
    """Return whether the new name was taken; raise what Redis refused, save where the key expired meanwhile."""
    if isinstance(reply, Exception):
        if _GONE in str(reply):
            return False
        raise reply
    return not reply
