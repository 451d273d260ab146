"""The registry as it is: whether it can be written, how much room it has, and whether it holds what serves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from redis import Redis

from streams.diagnosis.findings import Finding, Severity, findings_of
from streams.redis.connection import answered, connect_to_read
from streams.registry.versions import VersionStore
from streams.settings import Settings
from streams.state.pointer import MAX_DECISIONS, find_decisions, find_pointer

__all__ = ["look_at_models"]

MIN_FREE = 1024**3  # bytes: some dozens of versions of a large catalogue, and what else grows on that disk
NEARLY_NONE = 100 * 1024**2  # bytes: a version of a large catalogue
_GIB = 1024**3


def look_at_models(settings: Settings) -> Iterator[Finding]:
    """Look at the folder and the version that serves; a small file is written there and removed.

    Raises
    ------
    RegistryError, StateError
        If the registry cannot be written, or Redis does not say which version serves.
    """
    store = VersionStore(settings.registry)
    store.require_writable()
    yield Finding("registry", "ok", f"{len(store.described())} versions in {store.url}")
    if "://" not in store.url:
        yield _room(Path(store.url))
    yield from findings_of("serving version", lambda: _serving(settings, store))


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB free"
    if free < MIN_FREE:
        severity: Severity = "error" if free < NEARLY_NONE else "warning"
        return Finding(
            "registry disk", severity, found, "make room, or delete old versions with `reelstream model prune`"
        )
    return Finding("registry disk", "ok", found)


def _serving(settings: Settings, store: VersionStore) -> Iterator[Finding]:
    with answered("doctor"), connect_to_read(settings.redis, prefix=settings.prefix) as client:
        pointer = find_pointer(client)
        cure = "" if pointer is not None else _cure(store, client)
    if pointer is None:
        yield Finding("serving version", "warning", "none, so that all lists are cold start", cure)
        return
    store.read(pointer.version)
    yield Finding("serving version", "ok", pointer.version)


def _cure(store: VersionStore, client: Redis) -> str:
    """Return what helps where nothing serves: the newest version that beat popularity and was not withdrawn, or one."""
    moves = find_decisions(client, MAX_DECISIONS, moves_only=True)
    withdrawn = {one.version for one in moves if one.status == "withdrawn"}
    for one in store.list():
        hits, popular = (one.metrics.get(name, 0.0) for name in ("hr@10", "popularity_hr@10"))
        if one.version_id not in withdrawn and hits > popular:
            return (
                f"`reelstream model promote {one.version_id}` serves the newest stored one that passed its gate "
                f"(HR@10 {hits:.3f}, popularity {popular:.3f})"
            )
    return "wait for the trainer's first version, or make one with `reelstream train` and promote it"
