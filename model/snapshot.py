"""One version of the model as a value: weights, and which id owns which row.

A snapshot is what the registry stores and what workers load. It never changes: whoever wants to train
asks for :meth:`Snapshot.network`, which is a copy.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from model.neumf import NeuMF, NeuMFConfig

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trained network with its vocabularies.

    Parameters
    ----------
    config : the network's shape.
    weights : by name, contiguous float32 tensors on the CPU, shared with nobody.
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

    @classmethod
    def of(cls, network: NeuMF, items: tuple[str, ...], users: tuple[str, ...], genres: tuple[str, ...]) -> "Snapshot":
        """Copy a network's weights as they are now."""
        weights = {
            name: tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
            for name, tensor in network.state_dict().items()
        }
        return cls(network.config, weights, items, users, genres)

    def describe(self) -> dict[str, Any]:
        """Return everything but the weights as JSON-able values."""
        config = asdict(self.config) | {"hidden": list(self.config.hidden)}
        return {
            "config": config,
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
            config = dict(description["config"])
            config["hidden"] = tuple(config["hidden"])
            ids = [tuple(description[name]) for name in ("items", "users", "genres")]
            return cls(NeuMFConfig(**config), dict(weights), *ids)
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
        genres = self.weights["item_genres"].numpy()
        network = NeuMF(self.config, len(self.users), genres, generator=None)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise ValueError(f"Snapshot.network: weights of shape {self.config!r} are required, got {error}") from error
        return network
