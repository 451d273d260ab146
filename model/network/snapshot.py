"""One version of the model as a value: weights, and which id owns which row.

A snapshot is what the registry stores and what workers load. It never changes: whoever wants to train
makes a network of it, which is a copy (``model.trainable.neumf``). Its weights are arrays: whoever serves needs no
library that trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network.blend import Blend
from model.network.pair_table import kept_pairs, pair_table
from model.network.shape import NeuMFConfig, weight_shapes

__all__ = ["Snapshot", "weight_type"]

NEIGHBOURS = "evidence.neighbours"  # rows, the only weights that are whole numbers
COUNTS = "evidence.counts"
PAIRS = "evidence.pairs"  # of a packed snapshot, in the place of these two


def weight_type(name: str) -> np.dtype[Any]:
    """Return the type of a weight's numbers."""
    return np.dtype(np.int32 if name == NEIGHBOURS else np.float32)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trained network with its vocabularies.

    Parameters
    ----------
    config : the network's shape.
    weights : by name, contiguous arrays that nobody changes; float32, but for rows of neighbours (int32). A packed
        snapshot has the counts of all pairs of items, float32 (N, N), in the place of neighbours and their counts.
    items, users, genres : ids in row order.
    """

    config: NeuMFConfig
    weights: Mapping[str, NDArray[Any]]
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
        for names in (self.items, self.users, self.genres):
            wrong_types = tuple(kind for kind in set(map(type, names)) if not issubclass(kind, str))
            if wrong_types:  # of many ids, whose types are one
                wrong = next(name for name in names if isinstance(name, wrong_types))
                raise TypeError(f"Snapshot: ids must be text, got {wrong!r:.80}")
        for name, weight in self.weights.items():
            if weight.dtype != weight_type(name):
                raise TypeError(f"Snapshot: {name!r} must be {weight_type(name)}, got {weight.dtype}")
        neighbours = self.weights.get(NEIGHBOURS, np.empty(0, dtype=np.int32))
        if neighbours.size and not -1 <= int(neighbours.min()) <= int(neighbours.max()) < len(self.items):
            raise ValueError(f"Snapshot: neighbours must be rows of {len(self.items)} items or -1, got others")

    def blend(self) -> Blend:
        """Return its blend, whose arrays are the snapshot's own."""
        return Blend.of(self.weights)

    def with_blend(self, blend: Blend) -> "Snapshot":
        """Return the same network with another blend."""
        changed = {name: np.array(weight, dtype=np.float32) for name, weight in blend.named().items()}
        return replace(self, weights=dict(self.weights) | changed)

    def packed(self) -> "Snapshot":
        """Return the same with the table of all pairs alone, which serving a small catalogue reads.

        It is returned as it is where :meth:`unpacked` could not read it back.

        Raises
        ------
        ValueError
            From :meth:`require_whole`.
        """
        if PAIRS in self.weights:
            return self
        self.require_whole()
        held = self.weights[NEIGHBOURS], self.weights[COUNTS]
        table = pair_table(*held)
        if not all(map(np.array_equal, held, kept_pairs(table, held[0].shape[1]))):
            return self
        rest = {name: weight for name, weight in self.weights.items() if name not in (NEIGHBOURS, COUNTS)}
        return replace(self, weights=rest | {PAIRS: table})

    def unpacked(self) -> "Snapshot":
        """Return the same with neighbours and their counts, as it was trained and is stored."""
        if PAIRS not in self.weights:
            return self
        rest = {name: weight for name, weight in self.weights.items() if name != PAIRS}
        neighbours, counts = kept_pairs(self.weights[PAIRS], self.config.neighbours)
        return replace(self, weights=rest | {NEIGHBOURS: neighbours, COUNTS: counts})

    def without_users(self, names: Mapping[str, str]) -> "Snapshot":
        """Return the snapshot with rows of zeros for some users, under other names; every row stays where it is.

        Parameters
        ----------
        names : of users that are to go, what stands in their places.
        """
        rows = [row for row, user_id in enumerate(self.users) if user_id in names]
        if not rows:
            return self
        factors = self.weights["user_factors"].copy()
        factors[rows] = 0.0
        users = tuple(names.get(user_id, user_id) for user_id in self.users)
        return replace(self, weights=dict(self.weights) | {"user_factors": factors}, users=users)

    def describe(self) -> dict[str, Any]:
        """Return everything but the weights as JSON-able values."""
        return {
            "config": self.config.describe(),
            "items": list(self.items),
            "users": list(self.users),
            "genres": list(self.genres),
        }

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> "Snapshot":
        """Join stored weights and the description that :meth:`describe` gave.

        Raises
        ------
        ValueError
            If a part is missing or the parts do not fit each other.
        """
        if PAIRS in weights:
            raise ValueError(f"Snapshot.restore: {NEIGHBOURS!r} and {COUNTS!r} are required, got {PAIRS!r}")
        try:
            config = NeuMFConfig.restore(description["config"])
            ids = [tuple(description[name]) for name in ("items", "users", "genres")]
            return cls(config, dict(weights), *ids)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"Snapshot.restore: weights and description of this version are required, got {error!r}"
            ) from error

    def require_whole(self) -> None:
        """Raise ValueError unless the weights are those of a network of this shape; takes no memory to find out."""
        got = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        if self.config.blocks > len(got):
            raise ValueError(f"Snapshot: weights of {self.config.blocks} blocks are required, got {len(got)}")
        try:
            required = weight_shapes(self.config, len(self.users), len(self.items), len(self.genres))
        except TypeError as error:
            raise ValueError(f"Snapshot: a shape is required, got {self.config!r}: {error}") from error
        if PAIRS in got:
            required = {name: shape for name, shape in required.items() if name not in (NEIGHBOURS, COUNTS)}
            required[PAIRS] = (len(self.items), len(self.items))
        if got != required:
            wrong = sorted(name for name in got.keys() | required.keys() if got.get(name) != required.get(name))
            raise ValueError(
                f"Snapshot: weights of shape {self.config!r} are required, "
                f"got {[(name, got.get(name)) for name in wrong[:3]]!r}"
            )
