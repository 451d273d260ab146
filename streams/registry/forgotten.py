"""Which forgettings the versions of a registry have gone through, in a file beside them; it names no user.

A user who comes back after a forgetting has rows in later versions, and these must stay. So a forgetting is carried out
once.
"""

from collections.abc import Collection

import orjson

from streams.errors import RegistryError
from streams.registry.versions import VersionStore

__all__ = ["note_forgotten", "read_forgotten"]

_NAME = "forgotten.json"


def read_forgotten(store: VersionStore) -> frozenset[str]:
    """Return the ids that stand for the forgotten users.

    Raises
    ------
    RegistryError
        If the file cannot be read, or holds something else.
    """
    content = store.read_beside(_NAME)
    if content is None:
        return frozenset()
    try:
        found = orjson.loads(content)
        return frozenset(map(str, found["forgotten"]))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise RegistryError(
            f"registry: {store.url}/{_NAME} must list what was forgotten, got {error!r}; delete it, and every "
            "forgetting is carried out once more"
        ) from error


def note_forgotten(store: VersionStore, done: Collection[str]) -> None:
    """Write them down; raise RegistryError where that is not possible."""
    store.write_beside(_NAME, orjson.dumps({"forgotten": sorted(done)}))
