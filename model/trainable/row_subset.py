"""Part of a network: the rows of the users and items that a round of fine-tuning reads, as a network of their own.

An optimiser moves every row of a table that it is given, and takes time for each. On a copy of just the rows that the
windows of a round touch, a step costs the same however large the catalogue is, and all other rows stay what they were,
to the bit. What the copy learns is written back afterwards. Of items outside the windows the copy has the evidence
alone, for they may have come before a window; they follow the others.
"""

from dataclasses import dataclass
from types import EllipsisType

import numpy as np
import torch

from model.network.shape import ITEM_TABLES
from model.trainable.neumf import NeuMF
from model.vocabulary import Rows

__all__ = ["RowSubset", "extract", "write_back"]


@dataclass(frozen=True, slots=True)
class RowSubset:
    """The rows of a part, all int64 and ascending.

    Parameters
    ----------
    users, items : rows that it has; of items that are not learnt the evidence alone.
    learnt_users, learnt_items : those of them that are written back.
    """

    users: Rows
    items: Rows
    learnt_users: Rows
    learnt_items: Rows

    def user_places(self, rows: Rows) -> Rows:
        """Return where rows of users stand in the part."""
        return np.searchsorted(self.users, rows)

    def item_places(self, rows: Rows) -> Rows:
        """Return where rows of items stand in the part."""
        return np.argsort(self.items_in_order())[np.searchsorted(self.items, rows)]

    def items_in_order(self) -> Rows:
        """Return the items as they stand in the part: those that are learnt, and then the others."""
        return np.concatenate([self.learnt_items, np.setdiff1d(self.items, self.learnt_items, assume_unique=True)])


@torch.no_grad()
def extract(network: NeuMF, subset: RowSubset) -> NeuMF:
    """Return a network that has the rows of a subset alone; the given one is left as it is."""
    genres = network.item_genres[torch.from_numpy(subset.learnt_items)]
    part = NeuMF(network.config, len(subset.users), genres.numpy(), generator=None)
    part.evidence = network.evidence.part(subset.items_in_order())
    part.taste = network.taste.part(subset.learnt_items)
    whole = dict(network.named_parameters())
    for name, weight in part.named_parameters():
        weight.copy_(whole[name][_rows(name, subset.users, subset.learnt_items)])
    return part


@torch.no_grad()
def write_back(network: NeuMF, part: NeuMF, subset: RowSubset) -> None:
    """Copy what a part has learnt into its network: all weights that are no tables, and the learnt rows of tables."""
    places = subset.user_places(subset.learnt_users), np.arange(len(subset.learnt_items))
    whole = dict(network.named_parameters())
    for name, weight in part.named_parameters():
        whole[name][_rows(name, subset.learnt_users, subset.learnt_items)] = weight[_rows(name, *places)]


def _rows(name: str, users: Rows, items: Rows) -> torch.Tensor | EllipsisType:
    """Return which rows of a table are meant, all of what is no table."""
    if name in ITEM_TABLES:
        return torch.from_numpy(items)
    return torch.from_numpy(users) if name == "user_factors" else ...
