"""Looking for a user in every store: Redis, the versions in the registry, the archive."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis

from streams.errors import RegistryError
from streams.kafka.topics import event_topics
from streams.redis.connection import answered
from streams.registry.versions import Version, VersionStore
from streams.settings import Settings
from streams.state.keys import OVERRIDES, QUALITY_USERS, UserKeys

if TYPE_CHECKING:
    from streams.archive.parquet import EventArchive

__all__ = ["FoundPlaces", "find_places", "guests_in_redis", "in_archive", "in_redis", "in_versions"]


@dataclass(frozen=True, slots=True)
class FoundPlaces:
    """Where a user was found.

    Parameters
    ----------
    redis : keys, or key and field, that hold the user.
    versions : model versions with a row of the user.
    archive : files with events of the user; None where no archive was named.
    """

    redis: tuple[str, ...]
    versions: tuple[str, ...]
    archive: tuple[str, ...] | None


def find_places(client: Redis, user_id: str, settings: Settings, archive: str | None) -> FoundPlaces:
    """Look into all stores.

    Parameters
    ----------
    client : of the state.
    user_id : who is looked for.
    settings : where the versions are, and the prefix of the topics whose archived events are this installation's.
    archive : folder or URL of the archived events, None to leave it out.
    """
    return FoundPlaces(
        in_redis(client, user_id),
        in_versions(VersionStore(settings.registry), user_id),
        None if archive is None else _in_archive_at(archive, event_topics(settings.prefix), user_id),
    )


def in_redis(client: Redis, user_id: str) -> tuple[str, ...]:
    """Return the keys of a user that are there, and the fields of other keys that name the user."""
    keys = UserKeys.of(user_id).all()
    with answered("looking for a user in Redis"):
        there: Any = [client.exists(key) for key in keys]
        chosen = client.hexists(OVERRIDES, user_id)
        fields: Any = client.hkeys(QUALITY_USERS)
    found = [key for key, is_there in zip(keys, there, strict=True) if is_there]
    found += [f"{OVERRIDES} {user_id}"] if chosen else []
    names = [field if isinstance(field, str) else field.decode() for field in fields]
    found += [QUALITY_USERS for name in names if name.partition("\n")[2] == user_id][:1]
    return tuple(found)


def guests_in_redis(client: Redis, user_id: str) -> tuple[str, ...]:
    """Return the guests who were merged into a user, sorted."""
    with answered("looking for a user's guests in Redis"):
        found: Any = client.smembers(UserKeys.of(user_id).guests)
    return tuple(sorted(guest if isinstance(guest, str) else guest.decode() for guest in found))


def in_versions(registry: VersionStore, user_id: str) -> tuple[str, ...]:
    """Return the versions that have a row for a user."""
    return tuple(version.version_id for version in registry.list() if _names(registry, version, user_id))


def _names(registry: VersionStore, version: Version, user_id: str) -> bool:
    """Return whether a version names a user.

    A trainer that forgets may have rewritten it since it was listed, so it is read once more where its files are not
    what they were; one that cannot be read then is taken to name the user.
    """
    try:
        return user_id in registry.user_ids(version)
    except RegistryError:
        pass
    try:
        return user_id in registry.user_ids(registry.read(version.version_id))
    except RegistryError:
        return True


def _in_archive_at(url: str, topics: Collection[str], user_id: str) -> tuple[str, ...]:
    from streams.archive.parquet import EventArchive  # noqa: PLC0415 - the API looks without an archive, and needs no pyarrow

    return in_archive(EventArchive(url), topics, user_id)


def in_archive(archive: "EventArchive", topics: Collection[str], user_id: str) -> tuple[str, ...]:
    """Return the files of these topics that hold events of a user."""
    return tuple(file.path for file in archive.list(topics) if _holds(archive.read(file, ["user_id"]), user_id))


def _holds(table: Any, user_id: str) -> bool:
    users: Sequence[str] = table.column("user_id").unique().to_pylist()
    return user_id in users
