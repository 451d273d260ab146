"""The functions of ``functions.lua`` on the server, and which servers hold the state.

Functions live in each primary of a cluster by itself, as do run ids; a single server is its own only primary. What
the functions do is written in ``functions.lua``; ``store`` calls them.
"""

from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError

from streams.errors import StateError
from streams.redis.connection import answered
from streams.state.calls import LIBRARY

__all__ = ["code_of_library", "holds", "install", "server_ids"]

_OLDEST_SERVER = 7  # the first with functions
_CODE = "functions.lua"


async def install(client: Redis) -> None:
    """Load the functions on every primary, replacing an earlier load of the same version.

    A user who may not load them can do with those that an administrator has loaded, if they are the very same.

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
        code = code_of_library()
        try:
            await client.function_load(code, replace=True)  # a cluster's client sends it to every primary
        except NoPermissionError:
            if not await _are_loaded(client, code):
                raise


def code_of_library() -> str:
    """Return the functions as they are loaded."""
    return files("streams.state").joinpath(_CODE).read_text(encoding="utf-8")


def holds(found: Any, code: str) -> bool:
    """Return whether an answer of ``FUNCTION LIST ... WITHCODE`` of one server has this code."""
    if isinstance(found, dict):
        return any(holds(value, code) for value in found.values())
    if isinstance(found, list | tuple):
        return any(holds(value, code) for value in found)
    return (found.decode(errors="replace") if isinstance(found, bytes) else found) == code


async def _are_loaded(client: Redis, code: str) -> bool:
    cluster: Any = client
    if not isinstance(cluster, RedisCluster):
        return holds(await cluster.function_list(library=LIBRARY, withcode=True), code)
    found = [
        await cluster.execute_command("FUNCTION LIST", "LIBRARYNAME", LIBRARY, "WITHCODE", target_nodes=node)
        for node in cluster.get_primaries()
    ]
    return all(holds(one, code) for one in found)


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
