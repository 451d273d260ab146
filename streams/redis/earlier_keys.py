"""Whether an installation left its keys without its prefix: before this release only topics and groups had it."""

from contextlib import suppress
from typing import Any

from redis.exceptions import NoPermissionError

from streams.errors import StateError
from streams.redis.connection import answered, connect_to_read
from streams.settings import Settings, without_password

__all__ = ["require_no_earlier_keys"]


def require_no_earlier_keys(settings: Settings, key: str, field: str) -> None:
    """Refuse to begin with nothing where the installation's state is there, under keys without its prefix.

    Parameters
    ----------
    settings : address and prefix; without a prefix there is nothing to find.
    key, field : of a hash that every installation has, without the prefix; the field names this one alone.

    Raises
    ------
    StateError
        If that is so; it also holds where Redis does not answer.
    """
    if not settings.prefix:
        return
    found: Any = False
    with answered("redis: looking for keys without the prefix"), connect_to_read(settings.redis, prefix="") as plain:
        if plain.exists(settings.prefix + key):
            return
        with suppress(NoPermissionError):  # a user of this installation alone may not see what is not its own
            found = plain.hexists(key, field)
    if found:
        raise StateError(
            f"redis: keys that begin with the prefix {settings.prefix!r} are required in "
            f"{without_password(settings.redis)}, got those of this installation without it, from an earlier release; "
            "end every process, then rename them with `reelstream redis adopt --yes`, or delete them to begin anew "
            "(docs/how-to/tenants.md)"
        )
