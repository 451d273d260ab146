"""Redis as it is: version, policy, persistence, memory, clock and rights, and which processes show a sign of life."""

import time
from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from streams.diagnosis.findings import Finding, Severity, clock_finding, findings_of
from streams.kafka import topics
from streams.redis.connection import answered, connect_to_read
from streams.redis.earlier_keys import require_no_earlier_keys
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.state.eviction import require_no_eviction
from streams.state.keys import TOPIC_IDS
from streams.state.rights import missing_rights, primaries

__all__ = ["look_at_database"]

OLDEST_REDIS = 7  # the first with functions
FULL, NEARLY_FULL = 0.95, 0.8  # of what it may use; without a limit, of the machine's memory
NEEDED = ("worker", "trainer", "scorekeeper")  # without one of these lists or figures stand still
ROLES = (*NEEDED, "archiver", "api")  # the others run where somebody wants them
_GIB = 1024**3


def look_at_database(settings: Settings) -> Iterator[Finding]:
    """Look at every primary, and at what shows signs of life there.

    Raises
    ------
    StateError
        If Redis cannot be reached, or refuses.
    """
    with answered("doctor"), connect_to_read(settings.redis, prefix=settings.prefix) as client:
        for server in primaries(client):
            yield from _server(server)
        yield from findings_of("redis policy", lambda: _policy(client, settings))
        yield from findings_of("redis keys", lambda: _keys(settings))
        lines = dict.fromkeys(line for role in NEEDED for line in missing_rights(client, role))
        for line in lines:
            found, _, cure = line.rpartition("; ")
            yield Finding("redis rights", "error", found, cure)
        if not lines:
            yield Finding("redis rights", "ok", f"all that {', '.join(NEEDED)} need")
        yield from _processes(client)


def _server(server: Redis) -> Iterator[Finding]:
    before = time.time()
    try:
        seconds, microseconds = server.time()
        yield clock_finding("redis", seconds + microseconds / 1e6, before, time.time())
        info: dict[str, Any] = {}
        for section in ("server", "persistence", "memory"):
            told: Any = server.info(section)
            info |= told
    except ResponseError as error:
        yield Finding("redis", "warning", f"INFO and TIME are not allowed: {error}", "allow them: +info +time")
        return
    yield _version(info)
    yield from _persistence(server, info)
    yield from _memory(info)


def _version(info: dict[str, Any]) -> Finding:
    version = str(info["redis_version"])
    told = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        return Finding(
            "redis version", "error", told, f"use Redis {OLDEST_REDIS} or newer, or Valkey, for its functions"
        )
    return Finding("redis version", "ok", told)


def _policy(client: Redis, settings: Settings) -> Iterator[Finding]:
    warning = require_no_eviction(client, "doctor", is_allowed=settings.allow_eviction)
    if warning is None:
        yield Finding("redis policy", "ok", "noeviction")
    else:
        found, _, cure = warning.partition("; ")
        yield Finding("redis policy", "warning", found, cure)


def _keys(settings: Settings) -> Iterator[Finding]:
    require_no_earlier_keys(settings, TOPIC_IDS, settings.prefix + topics.WATCHES)
    if settings.prefix:
        yield Finding("redis keys", "ok", f"they begin with {settings.prefix!r}")


def _persistence(server: Redis, info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status", "ok") != "ok":
            yield Finding(
                "redis persistence", "error", "the last write to the AOF failed", "look at disk and log of Redis"
            )
        else:
            yield Finding("redis persistence", "ok", "AOF")
        return
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding("redis persistence", "error", "the last snapshot failed", "look at disk and log of Redis")
        return
    has_snapshots = _saves(server)
    yield Finding(
        "redis persistence",
        "warning",
        "snapshots alone; what came after the last one is read from Kafka again" if has_snapshots else "none",
        "set appendonly yes, so that a restart loses a second at most",
    )


def _saves(server: Redis) -> bool:
    """Tell whether snapshots are made by themselves; not where this user may not ask."""
    try:
        found: Any = server.config_get("save")
    except ResponseError:
        return False
    return bool(found.get("save"))


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    used, limit = int(info["used_memory"]), int(info.get("maxmemory") or info.get("total_system_memory") or 0)
    if not limit:
        return
    of = "maxmemory" if info.get("maxmemory") else "the machine's memory"
    found = f"{used / _GIB:.2f} GiB of {limit / _GIB:.2f} GiB, {of}"
    share = used / limit
    severity: Severity = "error" if share > FULL else "warning" if share > NEARLY_FULL else "ok"
    yield Finding(
        "redis memory", severity, found, "" if severity == "ok" else "give it more, or lower REELSTREAM_IDLE_DAYS"
    )


def _processes(client: Redis) -> Iterator[Finding]:
    for role in ROLES:
        alive = find_alive(client, role)
        faults = [f"{name}: {report['fault']}" for name, report in alive.items() if report.get("fault")]
        if faults:
            yield Finding(f"{role}s", "error", "; ".join(faults), f"look at the log of the {role}")
        elif alive:
            yield Finding(f"{role}s", "ok", f"{len(alive)} alive")
        elif role in NEEDED:
            yield Finding(f"{role}s", "warning", "none shows a sign of life", f"start one with `reelstream {role}`")
