"""One version of the model as a value: weights, and which id owns which row.

A snapshot is what the registry stores and what workers load. It never changes: whoever wants to train
asks for :meth:`Snapshot.network`, which is a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.network.blend import Blend
from model.network.neumf import NeuMF, NeuMFConfig

__all__ = ["Snapshot"]

NEIGHBOURS = "evidence.neighbours"  # rows, the only weights that are whole numbers


def _dtype(name: str) -> torch.dtype:
    return torch.int32 if name == NEIGHBOURS else torch.float32


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trained network with its vocabularies.

    Parameters
    ----------
    config : the network's shape.
    weights : by name, contiguous tensors on the CPU that nobody changes; float32, but for rows of neighbours (int32).
    items, users, genres : ids in row order.
    """

    config: NeuMFConfig
    weights: Mapping[str, Tensor]
    items: tuple[str, ...]
    users: tuple[str, ...]
    genres: tuple[str, ...]

    def __post_init__(self) -> None:
        given = (len(self.users), len(self.items), len(self.genres))
        rows = tuple(len(self.weights[name]) for name in ("user_factors", "item_factors", "genre_factors"))
        if given != rows:
            raise ValueError(
                f"Snapshot: one row per user, item and genre is required, got {given!r} ids, {rows!r} rows"
            )
        for name in (name for names in (self.items, self.users, self.genres) for name in names):
            if not isinstance(name, str):
                raise TypeError(f"Snapshot: ids must be text, got {name!r:.80}")
        for name, weight in self.weights.items():
            if weight.dtype != _dtype(name):
                raise TypeError(f"Snapshot: {name!r} must be {_dtype(name)}, got {weight.dtype}")
        neighbours = self.weights.get(NEIGHBOURS, torch.empty(0))
        if neighbours.numel() and not -1 <= int(neighbours.min()) <= int(neighbours.max()) < len(self.items):
            raise ValueError(f"Snapshot: neighbours must be rows of {len(self.items)} items or -1, got others")

    @classmethod
    def of(cls, network: NeuMF, items: tuple[str, ...], users: tuple[str, ...], genres: tuple[str, ...]) -> "Snapshot":
        """Copy a network's weights as they are now."""
        weights = {
            name: tensor.detach().to("cpu", _dtype(name), copy=True).contiguous()
            for name, tensor in network.state_dict().items()
        }
        return cls(network.config, weights, items, users, genres)

    def with_blend(self, blend: Blend) -> "Snapshot":
        """Return the same network with another blend."""
        changed = {f"blend.{name}": tensor.detach().clone().contiguous() for name, tensor in blend.state_dict().items()}
        return replace(self, weights=dict(self.weights) | changed)

    def describe(self) -> dict[str, Any]:
        """Return everything but the weights as JSON-able values."""
        return {
            "config": self.config.describe(),
            "items": list(self.items),
            "users": list(self.users),
            "genres": list(self.genres),
        }

    @classmethod
    def restore(cls, weights: Mapping[str, Tensor], description: Mapping[str, Any]) -> "Snapshot":
        """Join stored weights and the description that :meth:`describe` gave.

        Raises
        ------
        ValueError
            If a part is missing or the parts do not fit each other.
        """
        try:
            config = NeuMFConfig.restore(description["config"])
            ids = [tuple(description[name]) for name in ("items", "users", "genres")]
            return cls(config, dict(weights), *ids)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"Snapshot.restore: weights and description of this version are required, got {error!r}"
            ) from error

    def network(self) -> NeuMF:
        """Return a new network with these weights; training it leaves the snapshot alone.

        Raises
        ------
        ValueError
            If a weight is missing, left over or of another shape.
        """
        self._check_shapes()
        network = NeuMF(self.config, len(self.users), self.weights["item_genres"].numpy(), generator=None)
        network.load_state_dict(dict(self.weights))
        return network

    def _check_shapes(self) -> None:
        """Raise ValueError unless the weights are those of a network of this shape; takes no memory to find out."""
        got = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        n_items, n_genres = len(self.items), len(self.genres)
        try:
            if self.config.blocks > len(got):
                raise ValueError(
                    f"Snapshot.network: weights of {self.config.blocks} blocks are required, got {len(got)}"
                )
            with torch.device("meta"):
                empty = NeuMF(self.config, len(self.users), np.empty((n_items, n_genres), np.float32), generator=None)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise ValueError(f"Snapshot.network: a shape is required, got {self.config!r}: {error}") from error
        required = {name: tuple(weight.shape) for name, weight in empty.state_dict().items()}
        if got != required:
            wrong = sorted(name for name in got.keys() | required.keys() if got.get(name) != required.get(name))
            raise ValueError(
                f"Snapshot.network: weights of shape {self.config!r} are required, "
                f"got {[(name, got.get(name)) for name in wrong[:3]]!r}"
            )
