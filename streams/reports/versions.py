"""Which model versions there are, which of them serves, and what each of them scored."""

from typing import Any

from redis import Redis

from streams.registry.versions import Version, VersionStore
from streams.state.pointer import find_pointer, find_standing

__all__ = ["NO_PARENT", "NO_VERSION", "described_version", "version_of", "versions_of"]


# Why a version has to be named, wherever somebody wants the way back.
NO_VERSION = "a VERSION is required, because no version serves; `reelstream model list` names them"
NO_PARENT = "a VERSION is required, because {current} serves and has no parent"


def versions_of(client: Redis, registry: str) -> dict[str, Any]:
    """Return every version, newest first, the one that serves and its anchor."""
    pointer = find_pointer(client)
    current = None if pointer is None else pointer.version
    versions = [described_version(version, current) for version in VersionStore(registry).list()]
    return {"current": current, "anchor": find_standing(client).anchor, "versions": versions}


def version_of(client: Redis, registry: str, version_id: str) -> dict[str, Any]:
    """Return one version whose files are whole.

    Raises
    ------
    RegistryError
        If there is none of that name, or it is not whole.
    """
    pointer = find_pointer(client)
    return described_version(VersionStore(registry).verify(version_id), None if pointer is None else pointer.version)


def described_version(version: Version, current: str | None) -> dict[str, Any]:
    """Return a version as plain values, without its vocabularies."""
    return {
        "version": version.version_id,
        "current": version.version_id == current,
        "parent": version.parent,
        "base": version.base,
        "uri": version.uri,
        "created_ms": version.created_ms,
        "seed": version.seed,
        "code_revision": version.code_revision,
        "bytes": version.size,
        "metrics": dict(version.metrics),
        "offsets": {
            topic: {str(partition): offset for partition, offset in partitions.items()}
            for topic, partitions in version.offsets.items()
        },
        "files": {name: f"{file.bytes} bytes, sha256 {file.sha256}" for name, file in version.files.items()},
    }
