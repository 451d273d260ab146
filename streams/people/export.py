"""All that is known of a user, from every store, as values that JSON can hold."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing, suppress
from typing import Any

import orjson
from kafka import TopicPartition
from redis import Redis

from model.network.snapshot import Snapshot
from streams.errors import RegistryError, StateError
from streams.kafka.clients import blocking_consumer
from streams.kafka.kafka_errors import cluster_required
from streams.kafka.topics import event_topics
from streams.people.finding import guests_in_redis, in_versions
from streams.people.kept import NAMING
from streams.reading.polling import read_up_to
from streams.records.key_forms import readings
from streams.redis.connection import answered, connect_to_read
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.state.keys import OVERRIDES, QUALITY_USERS, UserKeys

__all__ = ["export_user"]

_MARKS = "bytes by which counted events are recognised; no id can be read from them"
_ROWS = "user_factors"


def export_user(settings: Settings, user_id: str, archive: str | None) -> dict[str, Any]:
    """Return what Redis, the topics, the versions and the archive hold of a user, and of each guest merged into one.

    Parameters
    ----------
    settings : addresses.
    user_id : who.
    archive : folder or URL of the archived events, None to leave it out.

    Raises
    ------
    StreamError
        If a store does not answer, or cannot be read.
    """
    with closing(connect_to_read(settings.redis, prefix=settings.prefix)) as client:
        found = _of_redis(client, user_id)
        guests = guests_in_redis(client, user_id)
    told = {
        "user_id": user_id,
        "redis": found,
        "topics": _of_topics(settings, user_id),
        "versions": _of_versions(settings, user_id),
        "archive": None if archive is None else _of_archive(archive, event_topics(settings.prefix), user_id),
    }
    return told | ({"guests": [export_user(settings, guest, archive) for guest in guests]} if guests else {})


def _of_redis(client: Redis, user_id: str) -> dict[str, Any]:
    """Return each key of the user with its value, and what other keys say of the user."""
    raw: Any = client
    found: dict[str, Any] = {}
    with answered("export: reading what Redis holds"):
        keys = UserKeys.of(user_id)
        marks = (keys.watch_ids, keys.rate_ids, keys.action_ids)
        for key in keys.all():
            value = (_MARKS if raw.exists(key) else None) if key in marks else _value(raw, key)
            if value is not None:
                found[key] = value
        chosen = raw.hget(OVERRIDES, user_id)
        counts = raw.hgetall(QUALITY_USERS)
    if chosen is not None:
        found[OVERRIDES] = _plain(chosen)
    of_user = {
        _plain(arm): orjson.loads(value) for arm, value in counts.items() if _plain(arm).partition("\n")[2] == user_id
    }
    if of_user:
        found[QUALITY_USERS] = of_user
    return found


def _value(client: Any, key: str) -> Any:
    kind = _plain(client.type(key))
    if kind == "none":
        return None
    if kind == "string":
        return _plain(client.get(key))
    if kind == "hash":
        return {_plain(name): _plain(value) for name, value in client.hgetall(key).items()}
    if kind == "list":
        return [_plain(value) for value in client.lrange(key, 0, -1)]
    if kind == "set":
        return sorted(_plain(value) for value in client.smembers(key))
    raise StateError(f"export: a string, hash, list or set is required under {key!r}, got a {kind}")


def _of_topics(settings: Settings, user_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return the records that name the user, by topic without the prefix."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with cluster_required("export", settings):
        consumer = blocking_consumer(settings, "export")
    try:
        with cluster_required("export", settings):
            places = [
                TopicPartition(settings.prefix + name, at)
                for name in NAMING
                for at in sorted(consumer.partitions_for_topic(settings.prefix + name) or ())
            ]
            ends = consumer.end_offsets(places)
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
        for batch in read_up_to(consumer, ends, "export"):
            for at, records in batch.items():
                found[at.topic.removeprefix(settings.prefix)] += _naming(records, user_id)
    finally:
        consumer.close()
    return {name: records for name, records in found.items() if records}


def _naming(records: Iterable[Any], user_id: str) -> Iterable[dict[str, Any]]:
    for record in records:
        value = _json(record.value)
        by_key = record.key is not None and user_id in readings(record.key, "user_id")
        if by_key or (isinstance(value, Mapping) and value.get("user_id") == user_id):
            yield {
                "partition": record.partition,
                "offset": record.offset,
                "timestamp": record.timestamp,
                "value": value,
            }


def _json(value: bytes | None) -> Any:
    try:
        return None if value is None else orjson.loads(value)
    except orjson.JSONDecodeError:
        return _plain(value)


def _of_versions(settings: Settings, user_id: str) -> list[dict[str, Any]]:
    """Return the versions that have a row of the user's own, with the row; None for it where one cannot be read."""
    registry, found = Registry(settings.registry), []
    for version_id in in_versions(registry, user_id):
        snapshot = _loaded(registry, version_id)
        if snapshot is None:
            found.append({"version": version_id, "row": None})
        elif user_id in snapshot.users:  # else it was rewritten since
            row = snapshot.weights[_ROWS][snapshot.users.index(user_id)]
            found.append({"version": version_id, "row": row.tolist()})
    return found


def _loaded(registry: Registry, version_id: str) -> Snapshot | None:
    """Return a version's snapshot, read once more where it is rewritten meanwhile."""
    for _ in range(2):
        with suppress(RegistryError):
            return registry.load(version_id)[0]
    return None


def _of_archive(url: str, names: Collection[str], user_id: str) -> list[dict[str, Any]]:
    from streams.archive.parquet import EventArchive  # noqa: PLC0415 - whoever exports without an archive needs no pyarrow

    archive = EventArchive(url)
    return [
        {"topic": topic, "partition": partition, **row}
        for (topic, partition), files in archive.partitions(names).items()
        for table in archive.rows(files)
        for row in table.to_pylist()
        if row["user_id"] == user_id
    ]


def _plain(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
