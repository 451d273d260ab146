"""A small network with random weights, for tests that need a model and not what it has learnt."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from model.network.shape import NeuMFConfig
from model.network.snapshot import Snapshot
from model.trainable.neumf import NeuMF

__all__ = ["SHAPE", "toy_snapshot"]

SHAPE = NeuMFConfig(history_length=10, factors=8, mlp_factors=8, genre_factors=4, hidden=(8, 4), blocks=1)


def toy_snapshot(
    items: Sequence[str],
    *,
    users: Sequence[str] = ("u",),
    genres: Sequence[str] = ("Drama",),
    item_genres: Any = None,
    seed: int = 1,
    is_sick: bool = False,
    **changed: Any,
) -> Snapshot:
    """Return an untrained model of items and users.

    Parameters
    ----------
    item_genres : truth (items, genres), whether an item is of a genre; without it each item is of each.
    is_sick : whether it scores NaN, as a diverged model would.
    changed : what its shape has other than ``SHAPE``.
    """
    if item_genres is None:
        item_genres = np.ones((len(items), len(genres)))
    membership = np.asarray(item_genres, dtype=np.float32)  # (items, genres)
    network = NeuMF(replace(SHAPE, **changed), len(users), membership, generator=torch.Generator().manual_seed(seed))
    if is_sick:
        with torch.no_grad():
            network.fuse_bias.fill_(float("nan"))
    return network.snapshot(tuple(items), tuple(users), tuple(genres))
