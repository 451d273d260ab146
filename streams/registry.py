"""The model registry: snapshots in, versions out, and back again.

A snapshot's weights rest as ``weights.safetensors`` (no pickle: loading a model cannot run code), its long
vocabularies as one JSON file each, the rest in ``version.json``. How files are kept whole is in
``streams.versions``; which version serves is said by ``model:current`` in Redis, not here.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as save_weights

from model.snapshot import Snapshot
from streams.errors import RegistryError
from streams.versions import Archive, Lineage, Version

__all__ = ["Registry"]

_WEIGHTS = "weights.safetensors"
_LONG = 256  # entries; a longer list of the description gets a file of its own


class Registry(Archive):
    """Model versions at an fsspec URL; ``list``, ``read`` and ``verify`` are those of ``Archive``."""

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
    ) -> Version:
        """Store a snapshot and return its version; parameters are those of ``streams.versions.Lineage``.

        Raises
        ------
        RegistryError
            If a weight or a figure is not finite, or the folder cannot be written.
        """
        weights = {name: _storable(name, weight) for name, weight in snapshot.weights.items()}
        inside, outside = _split(snapshot.describe())
        files = {_WEIGHTS: save_weights(weights), **outside}
        lineage = Lineage(parent, metrics, offsets, created_ms, seed, code_revision)
        return self.put(files, {"snapshot": inside}, lineage)

    def load(self, version_id: str) -> tuple[Snapshot, Version]:
        """Return a stored snapshot and its version; every file is checked first.

        Raises
        ------
        RegistryError
            If the version is missing, torn, tampered with, of a newer format, or not a snapshot.
        """
        version = self.read(version_id)
        contents = {name: self.fetch(version, name) for name in version.files}
        try:
            weights = load_weights(contents.pop(_WEIGHTS))
            outside = {name.removesuffix(".json"): orjson.loads(content) for name, content in contents.items()}
            return Snapshot.restore(weights, {**version.details["snapshot"], **outside}), version
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise RegistryError(f"registry: {version.uri} must hold a model snapshot, got {error!r}") from error


def _storable(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Return a contiguous copy on the CPU, because tensors that share memory cannot be stored apart."""
    if not bool(torch.isfinite(weight).all()):
        raise RegistryError(f"registry: weight {name!r} must be finite, got NaN or infinity in {tuple(weight.shape)}")
    return weight.detach().to("cpu", copy=True).contiguous()


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
