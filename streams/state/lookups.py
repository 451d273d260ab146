"""Reading what Redis holds for people and apps: by the documented keys only, never changing anything.

This is what any client in any language can do with docs/reference/redis.md in hand. The worker does not use it; its
profiles come back from the calls that change them (``store``).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis
from redis.cluster import RedisCluster

from model.catalogue import Item
from model.history import Profile
from model.joined_history import joined_history
from model.similar import SIMILAR_KINDS, SimilarItems
from streams.errors import StateError
from streams.records.data_requests import is_nobodys
from streams.redis.connection import answered
from streams.state.calls import StateConfig, part_calls, read_part
from streams.state.keys import (
    CATALOG,
    CATALOG_RENAMED,
    TRENDING_ALL,
    TRENDING_GENRES,
    UserKeys,
    genre_key,
    lists_of_users,
    similar_key,
    user_of,
)

__all__ = ["FoundList", "Lookups"]

_SCANNED = 1000  # keys of one step: a millisecond of the server
_LOOK_S = 1.0  # a person waits


@dataclass(frozen=True, slots=True)
class FoundList:
    """A user's last published list as it was on the topic.

    Parameters
    ----------
    body : its JSON, as stored; two lists are the same if their bodies are.
    record : the fields of ``recommendations``.
    """

    body: str
    record: Mapping[str, Any]


class Lookups:
    """Answers from Redis.

    Parameters
    ----------
    client : a synchronous client that decodes responses; closed by who opened it.
    clock : milliseconds since the epoch, by which items are listed.
    """

    def __init__(self, client: Redis, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._is_cluster = isinstance(client, RedisCluster)
        self._client: Any = client  # redis-py types every reply as possibly awaitable

    def recommendation(self, user_id: str) -> FoundList | None:
        """Return the user's last list, or None if none was published."""
        with answered(f"lookup of the list of user {user_id!r}"):
            body = self._client.get(UserKeys.of(user_id).recs)
        return None if body is None else FoundList(body, orjson.loads(body))

    def profile(self, user_id: str, n: int = 20) -> Profile | None:
        """Return the user's profile with the n latest interactions, or None for a user without events.

        Of these, items that are hidden from the user are left out. An account's has the history of the guests that were
        merged into it; such a guest is a user without events. What stands for somebody who was forgotten is no user.
        """
        if is_nobodys(user_id):
            return None
        keys = UserKeys.of(user_id)
        with answered(f"lookup of the profile of user {user_id!r}"):
            is_merged, guests, *own = self._all(
                ("EXISTS", keys.merged), ("SMEMBERS", keys.guests), *part_calls(user_id, n, is_alone=True)
            )
            if is_merged:
                return None
            parts = [read_part(user_id, own)]
            if guests:
                users = (user_id, *sorted(guests))
                parts = [read_part(one, self._all(*part_calls(one, n))) for one in users]
        found = joined_history(parts, StateConfig().genre_half_life_ms, n)
        return found if found.watches + found.ratings + found.actions else None

    def _all(self, *calls: tuple[Any, ...]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call)
        found: list[Any] = pipeline.execute()
        return found

    def trending(self, n: int, genre: str | None = None) -> tuple[tuple[str, float], ...]:
        """Return the n hottest items, of one genre if given, hottest first."""
        key = TRENDING_ALL if genre is None else genre_key(genre)
        with answered("lookup of trending"):
            found = self._client.zrange(key, 0, n - 1, desc=True, withscores=True)
        return tuple((item_id, float(heat)) for item_id, heat in found)

    def genres(self) -> tuple[str, ...]:
        """Return the genres that have a trending list, by name."""
        with answered("lookup of the genres"):
            return tuple(sorted(self._client.smembers(TRENDING_GENRES)))

    def similar(self, item_id: str) -> SimilarItems | None:
        """Return the items that are similar to one, or None where nothing is said of it.

        Raises
        ------
        StateError
            If an earlier version wrote it in a form of its own.
        """
        with answered(f"lookup of what is similar to item {item_id!r}"):
            body = self._client.get(similar_key(item_id))
        if body is None:
            return None
        fields = orjson.loads(body)
        if not isinstance(fields, dict):
            raise StateError(
                f"lookup of what is similar to item {item_id!r}: an object of {len(SIMILAR_KINDS)} lists is required, "
                "got another form, which an earlier version wrote; start a worker of this version, which writes it anew"
            )
        return SimilarItems(*(tuple((other, score) for other, score in fields[kind]) for kind in SIMILAR_KINDS))

    def catalogue(self) -> tuple[Item, ...]:
        """Return every item that look-ups know, by id."""
        with answered("lookup of all titles"):
            found = self._client.hgetall(CATALOG)
        return tuple(_item(item_id, body) for item_id, body in sorted(found.items()))

    def item_ids(self, beginning: str) -> tuple[str, ...]:
        """Return the id itself where look-ups know it, of one that was renamed that of now, else all that begin so."""
        with answered("lookup of ids of items"):
            if self._client.hexists(CATALOG, beginning):
                return (beginning,)
            renamed = self._client.hget(CATALOG_RENAMED, beginning)
            if renamed is not None:
                return (renamed,)
            found = self._client.hkeys(CATALOG)
        return tuple(sorted(item_id for item_id in found if item_id.startswith(beginning)))

    def may_show(self, item: Item | None) -> bool:
        """Return whether an item may be shown now; one that nobody describes may."""
        return item is None or item.is_listed(self._clock())

    def n_items(self) -> int:
        """Return how many items look-ups know."""
        with answered("lookup of the number of titles"):
            return int(self._client.hlen(CATALOG))

    def users(self, prefix: str, n: int) -> tuple[str, ...]:
        """Return up to n users with a list whose ids begin so, by id.

        Redis keeps no index of users. A bounded part of its keys is looked at, so of very many users some are missed;
        the one whose id is the very prefix never is.
        """
        found: set[str] = set()
        with answered(f"lookup of users who begin with {prefix!r}"):
            if prefix and self._client.exists(UserKeys.of(prefix).recs):
                found.add(prefix)
            looked_until = time.monotonic() + _LOOK_S
            for keys in self._pages(lists_of_users(prefix)):
                found.update(map(user_of, keys))
                if len(found) >= n or time.monotonic() > looked_until:
                    break
        return tuple(sorted(found))[:n]

    def _pages(self, pattern: str) -> Iterator[list[str]]:
        """Give the keys of a pattern as Redis looks through its keys, step by step: most steps find none."""
        targets = [{"target_nodes": node} for node in self._client.get_primaries()] if self._is_cluster else [{}]
        for target in targets:
            cursor: Any = None
            while cursor != 0:
                cursor, keys = self._client.scan(cursor or 0, match=pattern, count=_SCANNED, **target)
                if isinstance(cursor, dict):  # a cluster's says which node answered
                    (cursor,) = cursor.values()
                yield keys

    def items(self, item_ids: Iterable[str]) -> dict[str, Item]:
        """Return what the catalogue says about each item; items that it does not hold are left out.

        Of an id that an item had before, what it says about the item by the id of now.
        """
        wanted = tuple(dict.fromkeys(item_ids))
        if not wanted:
            return {}
        with answered("lookup of titles"):
            found = dict(zip(wanted, self._client.hmget(CATALOG, wanted), strict=True))
            lacking = [item_id for item_id, body in found.items() if body is None]
            names = dict(zip(lacking, self._client.hmget(CATALOG_RENAMED, lacking), strict=True)) if lacking else {}
            renamed = {item_id: name for item_id, name in names.items() if name is not None}
            if renamed:
                bodies = self._client.hmget(CATALOG, tuple(renamed.values()))
                found |= dict(zip(renamed, bodies, strict=True))
        return {
            item_id: _item(renamed.get(item_id, item_id), body) for item_id, body in found.items() if body is not None
        }


def _item(item_id: str, body: str) -> Item:
    fields = orjson.loads(body)
    return Item(
        item_id,
        fields["title"],
        fields["year"],
        tuple(fields["genres"]),
        released=fields.get("released"),
        expires=fields.get("expires"),
        hidden=fields.get("hidden", False),
        was=tuple(fields.get("was", ())),
    )
