"""Which member of a cluster a function call goes to, read from the call itself.

redis-py 8.1 asks a server twice where the keys of an ``FCALL`` are (``COMMAND GETKEYS``, with the whole payload) before
it sends it, in pipelines too. The call says it: ``FCALL name numkeys key ...``, as ``EVAL`` does, for which redis-py
reads it.
"""

from typing import Any

from redis.asyncio.cluster import RedisCluster

__all__ = ["RoutedCluster"]

_FUNCTION_CALLS = ("FCALL", "FCALL_RO")


class RoutedCluster(RedisCluster):
    """A client of a cluster that asks nobody for the keys of a function call."""

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command.upper() in _FUNCTION_CALLS and len(args) > 1:
            slots = {self.keyslot(key) for key in args[2 : 2 + int(args[1])]}
            if len(slots) == 1:
                return slots.pop()
        return await super()._determine_slot(command, *args)
