"""The model registry: snapshots in, versions out, and back again.

A snapshot's weights rest as ``weights.safetensors`` (no pickle: loading a model cannot run code), its long
vocabularies as one JSON file each, the rest in ``version.json``. A version may hold only what changed since its parent,
in ``delta.safetensors``. To read it, its bases are followed back to a whole version, or to one that is at hand.
``streams.registry.versions`` keeps the files whole. ``model:current`` in Redis says which version serves.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_weights
from safetensors.numpy import save as save_weights

from model.network.delta import Delta
from model.network.snapshot import Snapshot
from model.vocabulary import Rows
from streams.errors import RegistryError
from streams.registry.versions import Lineage, Version, VersionStore, file_of, is_unanswered

__all__ = ["FollowedVersion", "Registry"]

_WEIGHTS = "weights.safetensors"
_DELTA = "delta.safetensors"
_WORTH = 0.5  # of a whole version's bytes: changes that take more are not worth a base
_log = logging.getLogger(__name__)
_LONG = 256  # entries; a longer list of the description gets a file of its own


@dataclass(frozen=True, slots=True)
class FollowedVersion:
    """A version that was read.

    Parameters
    ----------
    snapshot, version : what was asked for.
    size : bytes read for it.
    changed : int64, the rows of items that differ from the snapshot at hand; None where a whole version was read.
    """

    snapshot: Snapshot
    version: Version
    size: int
    changed: Rows | None


class Registry(VersionStore):
    """Model versions at an fsspec URL; ``list``, ``read`` and ``verify`` are those of ``VersionStore``."""

    def save(
        self,
        snapshot: Snapshot,
        *,
        parent: str | None,
        metrics: Mapping[str, float],
        offsets: Mapping[str, Mapping[int, int]],
        created_ms: int,
        seed: int,
        code_revision: str,
        onto: Snapshot | None = None,
        topic_ids: Mapping[str, str] | None = None,
    ) -> Version:
        """Store a snapshot and return its version; other parameters are of ``streams.registry.versions.Lineage``.

        Parameters
        ----------
        topic_ids : of the topics that the offsets belong to, by full name.
        onto : the snapshot of ``parent``, to store the changes to it alone, where these are less than half as large.

        Raises
        ------
        RegistryError
            If a weight or a figure is not finite, or the folder cannot be written.
        """
        delta = None if onto is None or parent is None else _worth_storing(onto, snapshot)
        kept: Snapshot | Delta = snapshot if delta is None else delta
        tensors = kept.tensors if isinstance(kept, Delta) else kept.weights
        contents = {name: _storable(name, tensor) for name, tensor in tensors.items()}
        inside, outside = _split(kept.describe())
        kind, name = ("snapshot", _WEIGHTS) if delta is None else ("delta", _DELTA)
        base = None if delta is None else parent
        lineage = Lineage(parent, metrics, offsets, created_ms, seed, code_revision, base)
        details = {kind: inside} | ({"topics": dict(topic_ids)} if topic_ids else {})
        return self.put({name: save_weights(contents), **outside}, details, lineage)

    def load(self, version_id: str) -> tuple[Snapshot, Version]:
        """Return a stored snapshot and its version; every file is checked first.

        Raises
        ------
        RegistryError
            If the version is missing, torn, tampered with, of a newer format, or not a snapshot.
        """
        followed = self.follow(version_id)
        return followed.snapshot, followed.version

    def follow(self, version_id: str, held: tuple[str, Snapshot] | None = None) -> FollowedVersion:
        """Return a stored version, from a snapshot at hand where only changes lie between the two.

        If the changes do not lead from one to the other, or their result is not what it should be, all of it is read.

        Parameters
        ----------
        held : a version and its snapshot.

        Raises
        ------
        RegistryError
            As :meth:`load`.
        """
        chain = self._chain(version_id, None if held is None else held[0])
        if held is not None and chain[-1].base is not None:
            try:
                return self._followed(chain, held[1])
            except RegistryError as error:
                _log.warning("version.refetched %s: %s", version_id, error)
                chain = self._chain(version_id, None)
        return self._followed(chain, None)

    def elsewhere(self, version_id: str, uri: str) -> "Registry | None":
        """Return the registry that a version's own location names, or None where that is here or names none.

        A pointer says where its version was stored; a worker may have been given another folder since.
        """
        folder, _, name = uri.rstrip("/").rpartition("/")
        if name != version_id or not folder:
            return None
        try:
            other = Registry(folder)
        except RegistryError:
            return None
        return None if other.url == self.url else other

    def forget_users(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """Take users out of every version, and return the ids of those that were rewritten.

        Newest first, so that each is read before what it rests on is rewritten. One that held changes alone is whole
        then, and its id is the same: what points to it, or rests on it, still does.

        Parameters
        ----------
        names : of the users, and what stands in their places.

        Raises
        ------
        RegistryError
            If the store does not answer, or a version cannot be written; what is older is left as it was then, so that
            a later call finds every version readable. A torn version is passed over, as nobody can serve it.
        """
        rewritten = []
        for version_id in self.described():
            try:
                snapshot, version = self.load(version_id)
            except RegistryError as error:
                if is_unanswered(error):
                    raise
                _log.warning("version.unreadable %s", error)
                continue
            self.sweep_unnamed(version)
            if names.keys().isdisjoint(snapshot.users):
                continue
            found = snapshot.without_users(names)
            tensors = {name: _storable(name, tensor) for name, tensor in found.weights.items()}
            inside, outside = _split(found.describe())
            kept = {name: value for name, value in version.details.items() if name not in ("snapshot", "delta")}
            self.rewrite(version, {_WEIGHTS: save_weights(tensors), **outside}, kept | {"snapshot": inside})
            rewritten.append(version.version_id)
        return tuple(rewritten)

    def changes_since_whole(self, version_id: str) -> int:
        """Return how many versions in a row up to this one hold changes alone, 0 for a whole one."""
        return len(self._chain(version_id, None)) - 1

    def _chain(self, version_id: str, held: str | None) -> list[Version]:
        """Return a version, its base, and so on, up to a whole one or to one that holds the changes to ``held``."""
        chain = [self.read(version_id)]
        while chain[-1].base is not None and chain[-1].base != held:
            chain.append(self.read(chain[-1].base))
        return chain

    def _followed(self, chain: Sequence[Version], snapshot: Snapshot | None) -> FollowedVersion:
        """Apply versions, the last one first, to a snapshot; to none where the last one is whole."""
        rows: list[Rows] | None = None if snapshot is None else []
        for version in reversed(chain):
            tensors, description = self._read(version)
            try:
                if snapshot is None:
                    snapshot = Snapshot.restore(tensors, description)
                    continue
                delta = Delta.restore(tensors, description)
                snapshot = delta.applied(snapshot)
            except (TypeError, ValueError) as error:
                raise RegistryError(f"registry: {version.uri} must hold a model snapshot, got {error!r}") from error
            if rows is not None:
                rows.append(delta.item_rows())
        assert snapshot is not None, "a chain has a version"
        changed = None if rows is None else np.unique(np.concatenate(rows))
        return FollowedVersion(snapshot, chain[0], sum(version.size for version in chain), changed)

    def _read(self, version: Version) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the tensors and the description of what a version holds."""
        kind, name = ("snapshot", _WEIGHTS) if version.base is None else ("delta", _DELTA)
        contents = {file_of(file): self.fetch(version, file) for file in version.files}
        try:
            tensors = load_weights(contents.pop(name))
            outside = {file.removesuffix(".json"): orjson.loads(content) for file, content in contents.items()}
            return tensors, {**version.details[kind], **outside}
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise RegistryError(f"registry: {version.uri} must hold a model {kind}, got {error!r}") from error


def _worth_storing(before: Snapshot, after: Snapshot) -> Delta | None:
    """Return the changes from one snapshot to another, or None where the whole is the better choice."""
    try:
        delta = Delta.between(before, after)
    except ValueError as error:
        _log.info("version.whole %s", error)
        return None
    return delta if delta.size < _WORTH * sum(weight.nbytes for weight in after.weights.values()) else None


def _storable(name: str, weight: NDArray[Any]) -> NDArray[Any]:
    """Return a weight as it is stored, which is as it lies in memory without gaps."""
    if not np.isfinite(weight).all():
        raise RegistryError(f"registry: weight {name!r} must be finite, got NaN or infinity in {weight.shape}")
    return np.ascontiguousarray(weight).reshape(weight.shape)  # of a single number it would make a row of one


def _split(description: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what stays in the version's description, and the long lists as files."""
    inside: dict[str, Any] = {}
    outside: dict[str, bytes] = {}
    for name, value in description.items():
        if isinstance(value, list | tuple) and len(value) > _LONG:
            outside[f"{name}.json"] = orjson.dumps(value)
        else:
            inside[name] = value
    return inside, outside
