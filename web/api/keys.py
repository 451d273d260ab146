"""Keys: who may ask for what, in one file that holds no key, only what tells one.

A key has 256 bits of chance, so its plain SHA-256 is kept: nobody can try so many. The file is read again when it has
changed, so a key works, or works no more, within a second, without a restart. While it cannot be read, the keys that
were read last are those that count.
"""

import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from streams.errors import SettingsError
from streams.files import write_secret

__all__ = ["KEYS_VARIABLE", "SCOPES", "ApiKey", "KeyFile", "Scope"]

Scope = Literal["read", "write", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEYS_VARIABLE = "REELSTREAM_API_KEYS"
_LOOK_S = 1.0  # between two looks at the file
logger = logging.getLogger(__name__)
_MARK = "rs_"  # what a key begins with, so that it is found where it should not be


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without the key itself.

    Parameters
    ----------
    key_id : names it, as in ``reelstream keys remove``.
    name : whose it is, in words.
    sha256 : of the key, in hex.
    scopes : what it may: ``read``, ``write`` events, ``operate``.
    rate : requests a second, 0 for no limit; None for what the process says.
    created_ms : wall clock, milliseconds.
    """

    key_id: str
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    rate: float | None
    created_ms: int


class KeyFile:
    """The keys of one installation.

    Parameters
    ----------
    path : of a JSON file; without it there is no key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: Mapping[str, ApiKey] | None = None  # until they could be read
        self._seen: object = None  # what the file was when it was looked at
        self._looked_at = float("-inf")

    def find(self, key: str) -> ApiKey | None:
        """Return the key that somebody shows, or None; raise SettingsError if the file could never be read."""
        self._refresh()
        if self._keys is None:
            raise SettingsError(f"keys: a file that can be read is required at {self.path}, got none so far")
        return self._keys.get(_digest(key))

    def of_digest(self, sha256: str) -> ApiKey | None:
        """Return the key of a digest while it is there."""
        self._refresh()
        return (self._keys or {}).get(sha256)

    def all(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first; raise SettingsError if the file cannot be read."""
        self._keys = self._read()
        return tuple(sorted(self._keys.values(), key=lambda one: one.created_ms))

    def add(self, name: str, scopes: Sequence[Scope], rate: float | None) -> tuple[str, ApiKey]:
        """Make a key, keep what tells it, and return it; nobody can read it again."""
        key_id = secrets.token_hex(4)
        key = f"{_MARK}{key_id}_{secrets.token_urlsafe(32)}"
        made = ApiKey(key_id, name, _digest(key), tuple(scopes), rate, time.time_ns() // 1_000_000)
        with self._alone():
            self._write([*self.all(), made])
        return key, made

    def remove(self, key_id: str) -> ApiKey:
        """Take a key away; raise SettingsError if there is none of that id, or several begin so."""
        with self._alone():
            keys = self.all()
            named = [one for one in keys if one.key_id.startswith(key_id)]
            if len(named) != 1:
                there = ", ".join(one.key_id for one in keys) or "none"
                raise SettingsError(f"keys: the id of one key is required, got {key_id!r}; there are {there}")
            self._write([one for one in keys if one is not named[0]])
        return named[0]

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        seen: object
        try:
            found = self.path.stat()
            seen = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino)  # the second tells of rights, too
        except OSError as error:
            seen = error.errno
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = self._read()
        except SettingsError as error:
            logger.error("api.keys_unreadable %s; those that were read last count", error)  # noqa: TRY400 - one line

    def _read(self) -> dict[str, ApiKey]:
        try:
            found = orjson.loads(self.path.read_bytes())["keys"]
            return {one["sha256"]: _restored(one) for one in found}
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"keys: a file that `reelstream keys add` wrote is required at {self.path} ({KEYS_VARIABLE}), "
                f"got {error!r}"
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from changing the file: of two who add at once none is lost."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)  # the file itself is replaced with each change
        except OSError as error:
            raise SettingsError(
                f"keys: a folder that can be written is required at {self.path.parent}, got {error!r}"
            ) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, keys: Sequence[ApiKey]) -> None:
        body = orjson.dumps({"keys": [asdict(one) for one in keys]}, option=orjson.OPT_INDENT_2)
        try:
            write_secret(self.path, body)
        except OSError as error:
            raise SettingsError(
                f"keys: a file that can be written is required at {self.path}, got {error!r}"
            ) from error


def _restored(fields: Mapping[str, Any]) -> ApiKey:
    scopes = tuple(fields["scopes"])
    if not set(scopes) <= set(SCOPES):
        raise ValueError(f"scopes must be some of {', '.join(SCOPES)}, got {scopes!r}")
    return ApiKey(**{**fields, "scopes": scopes})


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
