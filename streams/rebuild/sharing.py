"""Whether a database is shared with others: ``SWAPDB`` would carry their keys along.

To look at every key takes seconds where there are millions. While workers are held one look is for installations that
have come since alone: each writes ``topics:ids`` before anything else, and the server finds these by itself.
"""

from redis.asyncio import Redis

from streams.errors import StateError
from streams.redis.connection import answered, connect
from streams.redis.prefix import is_own_key
from streams.settings import without_password
from streams.state.keys import TOPIC_IDS

__all__ = ["find_foreign_key", "require_nobody_came", "require_unshared"]

_SCAN = 2000  # keys of one step: a millisecond of the server
_SCAN_HELD = 20_000  # of which few are sent: some milliseconds
_FIRST = f"*{TOPIC_IDS}"


async def find_foreign_key(url: str, prefix: str, match: str = "*", step: int = _SCAN) -> str | None:
    """Return a key of a database that is not of the installation with this prefix, None where there is none.

    Parameters
    ----------
    url : of the database.
    prefix : of the installation.
    match : pattern of the keys to look at, with the prefix that they have.
    step : keys that the server looks at in a step.
    """
    client: Redis = connect(url, prefix="")  # keys as they are
    try:
        with answered("rebuild: looking for keys of others"):
            async for raw in client.scan_iter(match=match, count=step):
                key = str(raw.decode(errors="replace"))
                if not is_own_key(key, prefix):
                    return key
    finally:
        await client.aclose()
    return None


async def require_unshared(url: str, prefix: str) -> None:
    """Raise StateError where a database holds keys of others."""
    _require_none(await find_foreign_key(url, prefix), url)


async def require_nobody_came(url: str, prefix: str) -> None:
    """Raise StateError where another installation has come to a database; quick enough while workers are held."""
    _require_none(await find_foreign_key(url, prefix, _FIRST, _SCAN_HELD), url)


def _require_none(found: str | None, url: str) -> None:
    if found is not None:
        raise StateError(
            f"rebuild: a database without keys of others is required to be swapped, got {found!r} in "
            f"{without_password(url)}; give --to N, or --to URL: that database is filled and not swapped, and "
            "REELSTREAM_REDIS names it afterwards"
        )
