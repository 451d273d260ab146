"""What is not made of events, copied from the live database into the rebuilt one: lists, modes, titles, the model.

Users' lists and modes go page by page; everything else by its name. Nothing here is counted, and nothing that events
make is copied.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from streams.redis.connection import answered
from streams.redis.prefix import is_own_key
from streams.state.keys import TOPIC_IDS, UserKeys

__all__ = ["Copier", "CopyCounts"]

_PAGE = 500
_SCAN = 2000
_PROFILE = re.compile(r"user:\{[^{}]*\}")
_MADE_OF_EVENTS = ("user:", "items:", TOPIC_IDS)
_OF_A_SERVER = "alive:"
_OF_A_DATABASE = "state:"


@dataclass(slots=True)
class CopyCounts:
    """What was copied: ``lists`` of users, ``others`` by name; ``unknown`` users had lists, but no event is known."""

    lists: int = 0
    unknown: int = 0
    others: set[str] = field(default_factory=set)


class Copier:
    """Copies from one database to another.

    Parameters
    ----------
    live, target : the two.
    index : the target's number where both are on one server, which then copies by itself; else None.
    """

    def __init__(self, live: Redis, target: Redis, index: int | None) -> None:
        self._live: Any = live
        self._target: Any = target
        self._index = index

    async def copy_all(self) -> CopyCounts:
        """Copy everything that is there; returned are the numbers, and the names of what belongs to no user."""
        copied = CopyCounts()
        with answered("rebuild: copying lists and titles"):
            async for users, others in self._pages():
                await self._copy_users(users, copied)
                await self._copy_names(others)
                copied.others.update(others)
        return copied

    async def copy_again(self, user_ids: Collection[str], copied: CopyCounts) -> None:
        """Copy these users, and what belongs to none, once more."""
        profiles = [UserKeys.of(user_id).profile for user_id in user_ids]
        with answered("rebuild: copying lists once more"):
            for page in _chunks(profiles):
                await self._copy_users(page, CopyCounts())  # counted before
            for page in _chunks(sorted(copied.others)):
                await self._copy_names(page)

    async def _pages(self) -> AsyncIterator[tuple[list[str], list[str]]]:
        users: list[str] = []
        others: list[str] = []
        async for raw in self._live.scan_iter(count=_SCAN):
            key = raw.decode()
            if _PROFILE.fullmatch(key):
                users.append(key)
            elif self._is_to_be_copied(key):
                others.append(key)
            if len(users) + len(others) >= _PAGE:
                yield users, others
                users, others = [], []
        yield users, others

    def _is_to_be_copied(self, key: str) -> bool:
        if not is_own_key(key, "") or key.startswith((*_MADE_OF_EVENTS, _OF_A_DATABASE)):
            return False
        return self._index is not None or not key.startswith(_OF_A_SERVER)

    async def _copy_users(self, profiles: Sequence[str], copied: CopyCounts) -> None:
        """Copy list, mode, sequence and impressions of users who have them, if the target knows the users.

        A sequence is at most the number of events, and twice that of those taken back: one that a drifted counter had
        made larger would refuse lists. An account's counts its guests' events too, and may come out too small here;
        then its next list is the later one all the same.
        """
        stored = await _each(self._live, (("HMGET", key, "mode", "list_sequence", "impressions") for key in profiles))
        counted = await _each(
            self._target, (("HMGET", key, "watches", "ratings", "actions", "withdrawn") for key in profiles)
        )
        has_guests = await _each(self._target, (("EXISTS", f"{key}:guests") for key in profiles))
        writes, known = [], []
        for key, (mode, sequence, impressions), counts, is_account in zip(
            profiles, stored, counted, has_guests, strict=True
        ):
            if mode is None:
                continue
            if counts[0] is None and not is_account:
                copied.unknown += 1
                continue
            *applied, withdrawn = (int(count or 0) for count in counts)
            most = sum(applied) + 2 * withdrawn
            shown = () if impressions is None else ("impressions", impressions)
            writes.append(("HSET", key, "mode", mode, "list_sequence", min(int(sequence or 0), most), *shown))
            known.append(f"{key}:recs")
        await _each(self._target, writes)
        await self._copy_names(known)
        copied.lists += len(known)

    async def _copy_names(self, names: Sequence[str]) -> None:
        if self._index is not None:
            await _each(self._live, (("COPY", name, name, "DB", self._index, "REPLACE") for name in names))
            return
        dumps = await _each(self._live, (("DUMP", name) for name in names))
        lives = await _each(self._live, (("PTTL", name) for name in names))
        await _each(
            self._target,
            (
                ("RESTORE", name, max(0, left), dump, "REPLACE")
                for name, dump, left in zip(names, dumps, lives, strict=True)
                if dump is not None
            ),
        )


async def _each(client: Any, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    n = 0
    for command in commands:
        pipeline.execute_command(*command)
        n += 1
    found: list[Any] = await pipeline.execute() if n else []
    return found


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[first : first + _PAGE] for first in range(0, len(values), _PAGE))
