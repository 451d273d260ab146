"""All stored lists and users gone through: lists follow the catalogue, and users are counted by mode.

Lists lose items that have left the catalogue, and name renamed ones by their ids of now.

A user's next event makes a new list; somebody who stays away would be shown a deleted item for as long as the list is
kept. All stored lists are gone through in slices, with a pause between two, so that nobody waits for it. A list that
was replaced meanwhile stays as it is: it was made of the newer catalogue.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import orjson
from redis.asyncio import Redis, RedisCluster

from streams.records.data_requests import is_nobodys
from streams.redis.connection import answered
from streams.state.calls import LIBRARY
from streams.state.keys import ALL_LISTS, ALL_USERS, user_of

__all__ = ["NOTHING_RENAMED", "DroppedItems", "UserCounts", "count_users", "drop_from_lists"]

NOTHING_RENAMED: Mapping[str, str] = MappingProxyType({})
_LENGTH = re.compile(r"\d+ of \d+ items")  # as streams.serving.lists says it
_SLICE = 200  # lists read at once: 0.3 MB, and a few milliseconds of the event loop
_MAX_PAGE_S = 0.02  # what takes longer has waited for our own loop, as while a model is loaded, and not for Redis
_PAUSE_S = 0.01  # between two slices, which leaves the loop to whoever makes lists


@dataclass(frozen=True, slots=True)
class DroppedItems:
    """What was done: how many stored lists there are, and how many of them held one of the items."""

    lists: int
    changed: int


@dataclass(frozen=True, slots=True)
class UserCounts:
    """How many users there are by the mode of their last list, and the seconds that Redis was asked for it."""

    by_mode: Mapping[str, int]
    asked_s: float


async def drop_from_lists(
    client: Redis, item_ids: Collection[str], renamed: Mapping[str, str] = NOTHING_RENAMED
) -> DroppedItems:
    """Take items out of all stored lists; the items behind them move up, and what has another id is named by that.

    Parameters
    ----------
    client : of the state.
    item_ids : to be taken out.
    renamed : ids to be replaced, and by which; a list that holds both keeps the better place.

    Raises
    ------
    StateAway
        If Redis cannot be reached for now; calling again is safe.
    """
    gone = frozenset(item_ids)
    amended = partial(_amended, item_ids=gone, renamed=renamed)
    lists = changed = 0
    with answered(f"state: taking {len(gone)} items out of stored lists"):
        some: list[bytes] = []
        async for key in client.scan_iter(match=ALL_LISTS, count=_SLICE):
            some.append(key)
            if len(some) == _SLICE:
                lists, changed = lists + len(some), changed + await _amend(client, some, amended)
                some = []
                await asyncio.sleep(_PAUSE_S)
        lists, changed = lists + len(some), changed + await _amend(client, some, amended)
    return DroppedItems(lists, changed)


async def count_users(client: Redis) -> UserCounts:
    """Return how many users there are by the mode of the list last published; ``none`` for who has no list yet.

    What stands for somebody who was forgotten is no user. Users who come or go meanwhile may be missed.

    Raises
    ------
    StateAway
        If Redis cannot be reached for now.
    """
    found: Counter[str] = Counter()
    asked_s, began = 0.0, time.monotonic()
    with answered("state: counting users by mode"):
        async for keys in _pages(client, ALL_USERS):
            found.update(await _modes(client, [key for key in keys if not is_nobodys(user_of(key.decode()))]))
            asked_s += min(_MAX_PAGE_S, time.monotonic() - began)
            await asyncio.sleep(_PAUSE_S)
            began = time.monotonic()
    return UserCounts(dict(found), asked_s)


async def _pages(client: Redis | RedisCluster, match: str) -> AsyncIterator[Sequence[bytes]]:
    """Give the keys of each SCAN; where most keys are others, a page may have none, and took Redis as long.

    Keys that are made or deleted meanwhile may be missed.
    """
    nodes: list[dict[str, Any]] = [{}]
    if isinstance(client, RedisCluster):
        await client.initialize()
        nodes = [{"target_nodes": node} for node in client.get_primaries()]
    for node in nodes:
        cursor: Any = 0
        while True:
            keys: Any
            cursor, keys = await client.scan(cursor, match=match, count=_SLICE, **node)
            yield keys
            cursor = next(iter(cursor.values())) if isinstance(cursor, dict) else cursor
            if not cursor:
                break


async def _modes(client: Redis, keys: Sequence[bytes]) -> list[str]:
    if not keys:
        return []
    reading: Any = client.pipeline(transaction=False)
    for key in keys:
        reading.hmget(key, "mode")
    found = await reading.execute()
    return [mode.decode() if isinstance(mode, bytes) else mode or "none" for (mode,) in found]


async def _amend(client: Redis, keys: Sequence[bytes], amended: Callable[[bytes], bytes]) -> int:
    """Change some lists and return how many; one that is another by now is left alone."""
    reading: Any = client.pipeline(transaction=False)
    for key in keys:
        reading.get(key)
    writing: Any = client.pipeline(transaction=False)
    for key, body in zip(keys, await reading.execute(), strict=True):
        wanted = body if body is None else amended(body)
        if wanted != body:
            writing.execute_command("FCALL", f"{LIBRARY}_amend_list", 1, key, body, wanted)
    return sum(await writing.execute())


def _amended(body: bytes, item_ids: frozenset[str], renamed: Mapping[str, str]) -> bytes:
    """Return a list's JSON without some items, ranked anew, with what it lacks now; what is no list stays."""
    try:
        found = orjson.loads(body)
        named = [_named(item, renamed) for item in found["items"] if item["item_id"] not in item_ids]
        items = list({item["item_id"]: item for item in reversed(named)}.values())[::-1]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body
    if items == found["items"]:
        return body
    ranked = {"items": [item | {"rank": rank} for rank, item in enumerate(items, 1)]}
    return orjson.dumps(found | ranked | _lacking(found, len(items)))


def _named(item: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a place of a list with the ids of now, that of its reason too."""
    now = {"item_id": renamed.get(item["item_id"], item["item_id"])}
    because = item.get("because")
    if isinstance(because, dict) and because.get("item_id") in renamed:
        now["because"] = because | {"item_id": renamed[because["item_id"]]}
    return item | now


def _lacking(found: dict[str, Any], listed: int) -> dict[str, list[str]]:
    """Return what a list of so many items lacks of its length, beside what it lacked of its request before."""
    if not isinstance(found.get("k"), int) or listed >= found["k"]:
        return {}
    others = [told for told in found.get("unfilled") or () if not _LENGTH.fullmatch(told)]
    return {"unfilled": [*others, f"{listed} of {found['k']} items"]}
