"""The functions of ``state.lua`` on the server, and which servers hold the state.

Functions live in each primary of a cluster by itself, as do run ids; a single server is its own only primary. What
the functions do is written in ``state.lua`` and called from ``state``.
"""

from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from streams.connection import answered
from streams.errors import StateError

__all__ = ["install", "server_ids"]

_OLDEST_SERVER = 7  # the first with functions
_CODE = "state.lua"


async def install(client: Redis) -> None:
    """Load the functions on every primary, replacing an earlier load of the same version.

    Raises
    ------
    StateAway
        If a server cannot be reached for now.
    StateError
        If a server has no functions (Redis before 7), or refuses.
    """
    with answered("state: installing the functions"):
        for found in await _primaries(client):
            version = str(found["redis_version"])
            if int(version.partition(".")[0]) < _OLDEST_SERVER:
                raise StateError(
                    f"state: Redis {_OLDEST_SERVER} or newer (or Valkey) is required for its functions, "
                    f"got version {version!r}; point REELSTREAM_REDIS at a newer server"
                )
        code = files("streams").joinpath(_CODE).read_text(encoding="utf-8")
        await client.function_load(code, replace=True)  # a cluster's client sends it to every primary


async def server_ids(client: Redis) -> frozenset[str]:
    """Return the run ids of the servers that hold the state: of the one, or of every primary of a cluster.

    A server has another run id after each start, so a set that differs says that something may have been lost.
    """
    with answered("state: reading the run ids of the servers"):
        return frozenset(str(found["run_id"]) for found in await _primaries(client))


async def _primaries(client: Redis) -> list[dict[str, Any]]:
    """Return INFO's section ``server`` of every primary, by the cluster's present shape."""
    cluster: Any = client  # the two kinds of client share no type
    if not isinstance(cluster, RedisCluster):
        return [await cluster.info("server")]
    await cluster.initialize()
    await cluster.nodes_manager.initialize()  # primaries may have changed since
    found = await cluster.info("server", target_nodes=RedisCluster.PRIMARIES)
    return [found] if "run_id" in found else list(found.values())  # redis-py leaves out the name of a lone node
