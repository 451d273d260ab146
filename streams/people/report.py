"""A forgetting or a merge from end to end, as the command and the API tell of it: ask, wait, look what is left."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from redis import Redis

from streams.people.asking import PeopleRequests
from streams.people.finding import FoundPlaces, find_places, guests_in_redis, in_redis
from streams.people.kept import find_kept
from streams.redis.connection import answered, connect_to_read
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.state.keys import UserKeys

__all__ = ["forget_user", "merge_guest"]

ERASERS = ("trainer", "scorekeeper", "archiver")  # roles that keep something of users, besides the workers
_LOOK_S = 0.5  # between two looks
_MERGE_LOOK_S = 0.05  # the same at one key


async def forget_user(
    settings: Settings, asking: PeopleRequests, user_id: str, archive: str | None, within_s: float
) -> dict[str, Any]:
    """Ask for a user to be forgotten, wait for every process, and say what is erased, left, pending and kept by Kafka.

    Parameters
    ----------
    settings : addresses.
    asking : puts the request on the topic.
    user_id : who.
    archive : folder or URL of the archived events, None to leave it out.
    within_s : seconds to wait.

    Raises
    ------
    StreamError
        If Kafka, Redis or another store does not answer.
    """
    deadline = time.monotonic() + within_s
    with closing(await _connected(settings)) as client:
        users = (user_id, *await asyncio.to_thread(guests_in_redis, client, user_id))
        before = await asyncio.to_thread(_places, client, users, settings, archive)
        request, n_done = await asking.forget(user_id, within_s)
        while True:
            left = await asyncio.to_thread(_places, client, users, settings, archive)
            pending = await asyncio.to_thread(_pending, client, n_done, is_open=request.is_open)
            is_done = not request.is_open and not pending and not any(asdict(left).values())
            if is_done or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_LOOK_S)
    held = None if request.is_open else asdict(request.forgotten[-1])
    return {
        "user_id": user_id,
        "request_id": request.request_id,
        "asked_ms": request.ts,
        "done": is_done,
        "known": any(asdict(before).values()),
        "forgotten": held,
        "erased": _gone(before, left),
        "left": {store: list(places or ()) for store, places in asdict(left).items()},
        "pending": pending,
        "kafka": [asdict(one) for one in await asyncio.to_thread(find_kept, settings)],
    }


async def merge_guest(
    settings: Settings, asking: PeopleRequests, guest: str, account: str, within_s: float
) -> dict[str, Any]:
    """Ask for a guest's history to be an account's, wait for the workers, and say whether it is.

    Parameters
    ----------
    settings : addresses.
    asking : as above.
    guest, account : who, and into whom.
    within_s : seconds to wait.

    Raises
    ------
    StreamError
        If the two cannot be merged, or Kafka or Redis does not answer.
    """
    deadline = time.monotonic() + within_s
    with closing(await _connected(settings)) as client:
        is_known = await asyncio.to_thread(_has_history, client, guest)
        request, owner = await asking.merge(guest, account)
        while True:
            is_done = await asyncio.to_thread(_account_in_redis, client, guest) == owner
            if is_done or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_MERGE_LOOK_S)
    return {
        "user_id": guest,
        "into": account,
        "account": owner,
        "request_id": request.request_id,
        "asked_ms": request.ts,
        "done": is_done,
        "known": is_known,
    }


async def _connected(settings: Settings) -> Redis:
    """Return a client, made in a thread: it asks Redis what kind of server it is, and others share the loop."""
    client: Redis = await asyncio.to_thread(connect_to_read, settings.redis, prefix=settings.prefix)
    return client


def _account_in_redis(client: Redis, guest: str) -> str | None:
    with answered("merge: looking for the account of a guest"):
        found: Any = client.get(UserKeys.of(guest).merged)
    return found.decode() if isinstance(found, bytes) else found


def _has_history(client: Redis, guest: str) -> bool:
    """Tell whether Redis holds anything of a guest but that it was merged."""
    return any(key != UserKeys.of(guest).merged for key in in_redis(client, guest))


def _places(client: Redis, users: Iterable[str], settings: Settings, archive: str | None) -> FoundPlaces:
    """Return where any of some users was found."""
    found = [find_places(client, user, settings, archive) for user in users]
    archived = None if archive is None else tuple(dict.fromkeys(file for one in found for file in one.archive or ()))
    versions = tuple(dict.fromkeys(version for one in found for version in one.versions))
    return FoundPlaces(tuple(key for one in found for key in one.redis), versions, archived)


def _gone(before: FoundPlaces, left: FoundPlaces) -> Mapping[str, list[str]]:
    return {
        store: sorted(set(places or ()) - set(asdict(left)[store] or ())) for store, places in asdict(before).items()
    }


def _pending(client: Redis, n_done: int, *, is_open: bool) -> list[str]:
    """Return, in words, which process has not erased its part yet."""
    if is_open:
        return ["the workers: they forget a user once every earlier event is applied, or when one is started"]
    return [
        f"{role} {name}: it has erased {report['forgotten']} of {n_done} forgettings"
        for role in ERASERS
        for name, report in find_alive(client, role).items()
        if report.get("forgotten", n_done) < n_done
    ]
