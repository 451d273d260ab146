"""Part of a network: the rows of the users and items that a round of fine-tuning reads, as a network of their own.

An optimiser moves every row of a table that it is given, and takes time for each. On a copy of just the rows that the
windows of a round touch, a step costs the same however large the catalogue is, and all other rows stay what they were,
to the bit. What is learnt is put back afterwards.
"""

from types import EllipsisType

import torch

from model.neumf import NeuMF
from model.vocabulary import Rows

__all__ = ["part_of", "put_back"]

ITEM_TABLES = ("item_factors", "item_mlp_factors", "item_bias")
USER_TABLES = ("user_factors",)


@torch.no_grad()
def part_of(network: NeuMF, users: Rows, items: Rows) -> NeuMF:
    """Return a network whose row r is row ``users[r]`` or ``items[r]`` of the given one.

    Parameters
    ----------
    network : left alone.
    users, items : int64, rows, ascending.
    """
    genres = network.item_genres[torch.from_numpy(items)]
    part = NeuMF(network.config, len(users), genres.numpy(), generator=None)
    part.evidence = network.evidence.part(items)
    whole = dict(network.named_parameters())
    for name, weight in part.named_parameters():
        weight.copy_(whole[name][_rows_of(name, users, items)])
    return part


@torch.no_grad()
def put_back(network: NeuMF, part: NeuMF, users: Rows, items: Rows, learnt: Rows) -> None:
    """Take over what a part has learnt: all that is not a table, and of the tables these rows.

    Parameters
    ----------
    network : changed in place.
    part, users, items : as made by :func:`part_of`.
    learnt : int64, places in ``items`` of the rows to take over; the other items' rows stay as they are.
    """
    whole = dict(network.named_parameters())
    for name, weight in part.named_parameters():
        if name in ITEM_TABLES:
            whole[name][torch.from_numpy(items[learnt])] = weight[torch.from_numpy(learnt)]
        else:
            whole[name][_rows_of(name, users, items)] = weight


def _rows_of(name: str, users: Rows, items: Rows) -> torch.Tensor | EllipsisType:
    if name in ITEM_TABLES:
        return torch.from_numpy(items)
    return torch.from_numpy(users) if name in USER_TABLES else ...
