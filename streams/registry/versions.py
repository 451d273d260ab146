"""Model versions as files: written whole or not at all, and checked before anyone trusts them.

A store is a folder (any fsspec URL) with one folder per version. ``version.json`` is written last and is
what makes a version exist; it names every other file with its size and SHA-256, and the version's id carries
a hash of its own content. So a torn, edited or half-copied version is told from a whole one without reading
a clock or taking a lock. What the files mean is not known here: ``streams.registry.registry`` turns snapshots into
them. The checks find accidents and edits; they are no signature against someone who can forge the id too.
"""

import hashlib
import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import fsspec
import orjson
from fsspec.implementations.local import LocalFileSystem

from streams.errors import RegistryError
from streams.files import put_whole

__all__ = ["DESCRIPTION", "FORMAT", "Lineage", "StoredFile", "Version", "VersionStore", "file_of", "is_unanswered"]

FORMAT = 3  # 1 had no base, 2 was never rewritten
_AS_WRITTEN = 2  # the format of a version that is as it was first written
DESCRIPTION = "version.json"
USERS = "users.json"  # of a version with many
_ID = re.compile(r"v(\d{6,18})-([0-9a-f]{8})")
_CANDIDATES = 5  # ids that are named where several begin as was typed
_FILE = re.compile(r"[a-z][a-z0-9_]{0,63}\.(json|safetensors)")
_LEFT = re.compile(rf"{_FILE.pattern}|\.{_FILE.pattern}\.[0-9a-f]{{16}}")  # the latter while it was written
_REWRITTEN = re.compile(r"_r(\d+)\.")
_MAX_BYTES = 16 * 1024 * 1024  # of version.json, whose large parts rest in files of their own
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a version: its size in bytes and the SHA-256 of its content in hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from.

    Parameters
    ----------
    parent : the version it was trained from, if any.
    metrics : the gate's figures, all finite.
    offsets : topic -> partition -> next Kafka offset to read: everything before it is in the weights.
    created_ms : wall clock, milliseconds.
    seed : of the training run.
    code_revision : commit or release that trained it.
    base : the version that the files hold the changes to; None where they hold all.
    """

    parent: str | None
    metrics: Mapping[str, float]
    offsets: Mapping[str, Mapping[int, int]]
    created_ms: int
    seed: int
    code_revision: str
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One stored model version: everything about it but the weights.

    Parameters
    ----------
    version_id : ``v<counter>-<8 hex digits>``; counters grow, so ids sort by time.
    uri : its folder.
    parent, metrics, offsets, created_ms, seed, code_revision, base : as in ``Lineage``.
    details : what the writer added to describe the content, as read from JSON.
    files : its files by name.
    """

    version_id: str
    uri: str
    parent: str | None
    metrics: Mapping[str, float]
    offsets: Mapping[str, Mapping[int, int]]
    created_ms: int
    seed: int
    code_revision: str
    base: str | None
    details: Mapping[str, Any]
    files: Mapping[str, StoredFile]

    @property
    def counter(self) -> int:
        """The number in the id; a later version of the same store has a higher one."""
        return int(self.version_id[1:].partition("-")[0])

    @property
    def size(self) -> int:
        """Bytes of all its files, without the description."""
        return sum(file.bytes for file in self.files.values())


class VersionStore:
    """A folder of versions at an fsspec URL; a plain path is a local folder, created by the first write.

    Raises
    ------
    RegistryError
        If the URL's protocol is unknown or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            self._files, self._root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise RegistryError(
                f"registry: a folder or an fsspec URL with its driver installed is required, got {url!r}: {error}"
            ) from error
        self.url = self._root if isinstance(self._files, LocalFileSystem) else url.rstrip("/")

    def put(self, files: Mapping[str, bytes], details: Mapping[str, Any], lineage: Lineage) -> Version:
        """Store a version and return it.

        Steps: 1 describe the files; 2 take the next counter; 3 derive the id from the content; 4 write the
        files; 5 write the description, which makes the version exist. A process that dies before step 5 has
        added nothing but a folder that nobody reads; where a file cannot be written, that folder is removed.

        Two writers that take the same counter differ in their hash, unless what they write is the same to the
        last byte: neither can overwrite the other.

        Raises
        ------
        RegistryError
            If a figure is not finite, a file name is not allowed, or the folder cannot be written.
        """
        # Step 1
        body = _body(files, details, lineage)
        # Step 2
        counter = 1 + max((int(name[1:].partition("-")[0]) for name in self._folders()), default=0)
        # Step 3
        version_id = f"v{counter:06d}-{_digest(body)}"
        if _ID.fullmatch(version_id) is None:
            raise RegistryError(
                f"registry {self.url}: a counter of at most 18 digits is required, got {version_id!r}; "
                "remove the folder of the highest one"
            )
        try:
            # Step 4
            for name, content in files.items():
                self._write(version_id, name, content)
            # Step 5
            self._write(version_id, DESCRIPTION, orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        except RegistryError:
            self._sweep(version_id)
            raise
        return self.read(version_id)

    def rewrite(self, version: Version, files: Mapping[str, bytes], details: Mapping[str, Any]) -> Version:
        """Put another content, whole and without a base, in the place of a version's; its id stays.

        The hash in the id is that of what was first written. A rewritten description says so under ``rewritten``, and
        carries a hash of its own in its place. Files of earlier contents are deleted last, so whoever dies in between
        leaves a version that can be read.

        Raises
        ------
        RegistryError
            If the folder cannot be written.
        """
        times = 1 + max((int(found[1]) for name in version.files if (found := _REWRITTEN.search(name))), default=0)
        named = {name.replace(".", f"_r{times}.", 1): content for name, content in files.items()}
        lineage = Lineage(
            version.parent, version.metrics, version.offsets, version.created_ms, version.seed, version.code_revision
        )
        body = _body(named, details, lineage) | {"format": FORMAT}
        body["rewritten"] = {"times": times, "digest": _digest(body)}
        for name, content in named.items():
            self._write(version.version_id, name, content)
        content = orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        self._write(version.version_id, DESCRIPTION, content)
        self._delete(version.version_id, version.files)
        return self.read(version.version_id)

    def sweep_unnamed(self, version: Version) -> None:
        """Delete files of a version that its description does not name, as whoever died in a rewriting left them.

        Raises
        ------
        RegistryError
            If the folder cannot be read or written.
        """
        folder = f"{self._root}/{version.version_id}"
        self._files.invalidate_cache()
        try:
            paths = self._files.ls(folder, detail=False)
        except OSError as error:
            raise RegistryError(f"registry: {folder} must be a readable folder, got {error!r}") from error
        names = (str(path).rpartition("/")[2] for path in paths)
        known = (*version.files, DESCRIPTION)
        self._delete(version.version_id, [name for name in names if _LEFT.fullmatch(name) and name not in known])

    def read_beside(self, name: str) -> bytes | None:
        """Return a file that lies beside the versions, None where there is none; raise RegistryError as ``read``."""
        try:
            content: bytes = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RegistryError(f"registry: {self.url}/{name} must be readable, got {error!r}") from error
        return content

    def write_beside(self, name: str, content: bytes) -> None:
        """Write a file that lies beside the versions; raise RegistryError where that is not possible."""
        path = f"{self._root}/{name}"
        try:
            put_whole(self._files, path, content)
        except Exception as error:  # each store's driver has errors of its own
            raise RegistryError(f"registry: {path} must be writable ({len(content)} bytes), got {error!r}") from error

    def require_writable(self) -> None:
        """Write a small file and remove it, so that what forbids writing is told before hours of training.

        Raises
        ------
        RegistryError
            If the folder cannot be written.
        """
        path = f"{self._root}/.writable-{secrets.token_hex(8)}"
        try:
            put_whole(self._files, path, b"")
            self._files.rm_file(path)
        except OSError as error:
            raise RegistryError(f"registry: {self.url} must be writable, got {error!r}") from error

    def read(self, version_id: str) -> Version:
        """Return what is known about a version; its other files are not opened.

        Raises
        ------
        RegistryError
            If there is no such version, or its description is torn, edited or of a newer format.
        """
        if _ID.fullmatch(version_id) is None:
            raise RegistryError(
                f"registry {self.url}: a version id like 'v000012-1a2b3c4d' is required, got {version_id!r}"
            )
        path = self._path(version_id, DESCRIPTION)
        try:
            content = self._files.cat_file(path, 0, _MAX_BYTES + 1)
        except FileNotFoundError:
            raise RegistryError(
                f"registry {self.url}: a stored version is required, got {version_id!r}, which has no {DESCRIPTION}; "
                "`reelstream model list` names those that exist"
            ) from None
        except OSError as error:
            raise RegistryError(f"registry: {path} must be readable, got {error!r}") from error
        return _version(version_id, f"{self.url}/{version_id}", path, content)

    def find_id(self, given: str) -> str:
        """Return the id of the one version that begins so, or that has this number: ``v000012``, ``v12`` or ``12``.

        A whole id is returned as it is, whether or not there is such a version.

        Raises
        ------
        RegistryError
            If none begins so, or several do; the message names these.
        """
        if _ID.fullmatch(given) is not None:
            return given
        known = self.described()
        numbered = re.fullmatch(r"v?(\d{1,18})", given, re.ASCII)
        found = [name for name in known if numbered and int(_ID.fullmatch(name)[1]) == int(numbered[1])]  # type: ignore[index]  # all match
        found = found or [name for name in known if given and name.startswith(given)]
        if len(found) == 1:
            return found[0]
        if found:
            more = f" and {len(found) - _CANDIDATES} more" if len(found) > _CANDIDATES else ""
            raise RegistryError(
                f"registry {self.url}: a version id, or a beginning that one version alone has, is required, got "
                f"{given!r}, with which {', '.join(found[:_CANDIDATES])}{more} begin"
            )
        raise RegistryError(
            f"registry {self.url}: a version id like 'v000012-1a2b3c4d', its beginning or its number is required, got "
            f"{given!r}; `reelstream model list` names those that exist"
        )

    def list(self) -> tuple[Version, ...]:
        """Return the versions, newest first; one whose description cannot be used is logged and left out."""
        found = []
        for name in self.described():
            try:
                found.append(self.read(name))
            except RegistryError as error:
                _log.warning("version.unreadable %s", error, extra={"version": name})
        return tuple(sorted(found, key=lambda version: (version.counter, version.version_id), reverse=True))

    def described(self) -> tuple[str, ...]:
        """Return the ids of all versions that exist, newest first, whether or not they can be used."""
        names = (name for name in self._folders() if self._files.exists(self._path(name, DESCRIPTION)))
        return tuple(sorted(names, key=lambda name: (int(name[1:].partition("-")[0]), name), reverse=True))

    def verify(self, version_id: str) -> Version:
        """Read every file of a version, and of those it rests on, and compare size and hash; return it.

        Raises
        ------
        RegistryError
            If one of them is missing or not what was written.
        """
        version = self.read(version_id)
        for name in version.files:
            self.fetch(version, name)
        if version.base is not None:
            self.verify(version.base)
        return version

    def parent_of(self, version_id: str, check: Callable[[str], Version] | None = None) -> tuple[Version | None, str]:
        """Return the parent that a version can be rolled back to, or None and why there is none.

        check : reads the parent and raises RegistryError if it cannot serve; by default :meth:`verify`.
        """
        try:
            parent = self.read(version_id).parent
            if parent is None:
                return None, "it has no parent to go back to"
            return (check or self.verify)(parent), ""
        except RegistryError as error:
            return None, f"its parent cannot serve ({error})"

    def fetch(self, version: Version, name: str) -> bytes:
        """Return the content of one of its files, checked; raise RegistryError if it is not what was written."""
        path = self._path(version.version_id, name)
        stored = version.files.get(name)
        if stored is None:
            raise RegistryError(f"registry: {path} is not a file of this version, got files {sorted(version.files)}")
        try:
            size = self._files.size(path)  # None where a store does not know; a file that is too large is not read
            _same(path, "bytes", stored.bytes, stored.bytes if size is None else size)
            content: bytes = self._files.cat_file(path)
        except OSError as error:
            raise RegistryError(f"registry: {path} must hold {stored.bytes} bytes, got {error!r}") from error
        _same(path, "SHA-256", stored.sha256, hashlib.sha256(content).hexdigest())
        return content

    def user_ids(self, version: Version) -> tuple[str, ...]:
        """Return the users that a version names by itself: all of a whole one, the new ones of one with a base."""
        for name in version.files:
            if file_of(name) == USERS:
                return tuple(orjson.loads(self.fetch(version, name)))
        kind = "snapshot" if version.base is None else "delta"
        return tuple(version.details.get(kind, {}).get("users", ()))

    def remove(self, version_id: str) -> None:
        """Delete a version: its description first, so that it is gone before its files are.

        Raises
        ------
        RegistryError
            If there is no such version or the folder cannot be written.
        """
        version = self.read(version_id)
        folder = f"{self._root}/{version.version_id}"
        try:
            self._files.rm_file(self._path(version.version_id, DESCRIPTION))
            self._files.rm(folder, recursive=True)
        except FileNotFoundError:
            return  # a store without folders forgets one with its last file
        except OSError as error:
            raise RegistryError(f"registry: {folder} must be writable, got {error!r}") from error

    def prune(self, keep: int, current: str | None, pinned: Iterable[str] = ()) -> tuple[Version, ...]:
        """Delete old versions and return them.

        What stays: the newest ``keep``, ``current`` and its parent, the ``pinned`` ones, and whatever these hold the
        changes to. Where that cannot be found out nothing is deleted.

        Raises
        ------
        RegistryError
            If the folder cannot be written, or a version that one to keep rests on cannot be read.
        """
        versions = self.list()
        spared = {current, *pinned, *(version.version_id for version in versions[:keep])}
        spared |= {version.parent for version in versions if version.version_id == current}
        for version in versions:
            if version.version_id in spared:
                spared |= self._bases(version)
        removed = tuple(version for version in versions if version.version_id not in spared)
        for version in removed:
            self.remove(version.version_id)
        return removed

    def _bases(self, version: Version) -> set[str | None]:
        """Return what a version rests on: its base, the base of that, and so on."""
        found: set[str | None] = set()
        while version.base is not None:
            found.add(version.base)
            version = self.read(version.base)
        return found

    def _folders(self) -> tuple[str, ...]:
        """Return the names that look like versions, whole or not."""
        self._files.invalidate_cache()
        try:
            paths = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise RegistryError(f"registry: {self.url} must be a readable folder, got {error!r}") from error
        names = (str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return tuple(name for name in names if _ID.fullmatch(name))

    def _path(self, version_id: str, name: str) -> str:
        return f"{self._root}/{version_id}/{name}"

    def _write(self, version_id: str, name: str, content: bytes) -> None:
        path = self._path(version_id, name)
        try:
            put_whole(self._files, path, content)
        except Exception as error:  # each store's driver has errors of its own
            raise RegistryError(f"registry: {path} must be writable ({len(content)} bytes), got {error!r}") from error

    def _delete(self, version_id: str, names: Iterable[str]) -> None:
        for name in names:
            path = self._path(version_id, name)
            try:
                self._files.rm_file(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise RegistryError(f"registry: {path} must be deletable, got {error!r}") from error

    def _sweep(self, version_id: str) -> None:
        """Remove what was written of a version that does not exist, as far as the store lets us."""
        folder = f"{self._root}/{version_id}"
        with suppress(Exception):
            if not self._files.exists(self._path(version_id, DESCRIPTION)):
                self._files.rm(folder, recursive=True)


def file_of(name: str) -> str:
    """Return which file of a version one is, whether it was rewritten or not."""
    return _REWRITTEN.sub(".", name)


def is_unanswered(error: RegistryError) -> bool:
    """Return whether the store failed, so that the same call may pass later; a file that is not there is none."""
    return isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)


def _body(files: Mapping[str, bytes], details: Mapping[str, Any], lineage: Lineage) -> dict[str, Any]:
    """Return the description as JSON types; its order does not matter, because its hash sorts keys."""
    for name in files:
        if _FILE.fullmatch(name) is None or name == DESCRIPTION:
            raise RegistryError(f"registry: a file name like 'weights.safetensors' is required, got {name!r}")
    for name, figure in lineage.metrics.items():
        if not math.isfinite(figure):
            raise RegistryError(f"registry: metric {name!r} must be finite, got {figure!r}")
    body = {
        "format": _AS_WRITTEN,
        "parent": lineage.parent,
        "created_ms": lineage.created_ms,
        "seed": lineage.seed,
        "code_revision": lineage.code_revision,
        "base": lineage.base,
        "metrics": {name: float(figure) for name, figure in lineage.metrics.items()},
        "offsets": {
            topic: {str(partition): offset for partition, offset in partitions.items()}
            for topic, partitions in lineage.offsets.items()
        },
        "details": dict(details),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
    }
    try:
        read_back: dict[str, Any] = orjson.loads(orjson.dumps(body))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"registry: details must be JSON values with string keys, got {error}") from error
    return read_back


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]


def _version(version_id: str, uri: str, path: str, content: bytes) -> Version:
    """Check a description against its id and its format and return it as a value."""
    if len(content) > _MAX_BYTES:
        raise RegistryError(f"registry: {path} must have at most {_MAX_BYTES} bytes, got {len(content)}")
    try:
        body = orjson.loads(content)
        written = body["format"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise RegistryError(f"registry: {path} must be a JSON object with a format number, got {error!r}") from error
    if type(written) is not int or not 1 <= written <= FORMAT:
        raise RegistryError(
            f"registry: {path} must have format 1 to {FORMAT}, got {written!r}; a newer Reelstream wrote it, upgrade"
        )
    if written > _AS_WRITTEN:
        _check_rewritten(path, body)
    else:
        _same(path, "content hash", version_id.partition("-")[2], _digest(body))
    try:
        return Version(
            version_id,
            uri,
            _typed(body["parent"], str, type(None)),
            {name: float(_typed(figure, int, float)) for name, figure in body["metrics"].items()},
            {
                topic: {int(partition): _typed(offset, int) for partition, offset in partitions.items()}
                for topic, partitions in body["offsets"].items()
            },
            _typed(body["created_ms"], int),
            _typed(body["seed"], int),
            _typed(body["code_revision"], str),
            _typed(body["base"], str, type(None)) if written > 1 else None,
            _typed(body["details"], dict),
            {name: _stored_file(name, file) for name, file in body["files"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RegistryError(f"registry: {path} must describe a version, got {error!r}") from error


def _check_rewritten(path: str, body: Mapping[str, Any]) -> None:
    """Compare a rewritten description with its own hash, as that in the id is of what was first written."""
    told = body.get("rewritten")
    if not isinstance(told, dict) or not isinstance(told.get("digest"), str):
        raise RegistryError(f"registry: {path} must say its hash under rewritten, got {told!r:.80}")
    rest = {name: value for name, value in body.items() if name != "rewritten"}
    _same(path, "content hash", told["digest"], _digest(rest))


def _stored_file(name: str, file: Mapping[str, Any]) -> StoredFile:
    if _FILE.fullmatch(name) is None or name == DESCRIPTION:
        raise ValueError(f"a file name like 'weights.safetensors' is required, got {name!r}")
    return StoredFile(_typed(file["bytes"], int), _typed(file["sha256"], str))


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:  # not isinstance: True is no number
        raise TypeError(f"{' or '.join(one.__name__ for one in types)} is required, got {value!r:.80}")
    return value


def _same(path: str, what: str, expected: object, got: object) -> None:
    if expected != got:
        raise RegistryError(
            f"registry: {path} must have {what} {expected!r}, got {got!r}; "
            "it is torn or was changed: copy the version again or roll back to another"
        )
