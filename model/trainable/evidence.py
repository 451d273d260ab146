"""The counts of ``model.network.cooccurrence`` as a part of a network that is trained: they grow with every round."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model.feedback import NEWCOMER_EVENTS
from model.network.cooccurrence import (
    ITEM_COUNTS,
    KERNELS,
    EvidenceCounts,
    EvidenceReader,
    counted_pairs,
    neighbour_table,
    pair_blocks,
    recent_at,
)
from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["Evidence"]

MAX_EVENTS_AT_ONCE = 2_000_000  # whose pairs are all held together: some gigabytes where few of them are alike
START_WEIGHT = 1.0  # features are scaled to a mean of one for what really came next


class Evidence(nn.Module):
    """The counts, and the weights of their features.

    Parameters
    ----------
    n_items : rows.
    width : neighbours kept of each item; those with the highest count over the root of their popularity stay.
    """

    neighbours: Tensor
    counts: Tensor
    followed: Tensor
    touched: Tensor
    liked: Tensor
    newcomers: Tensor
    scale: Tensor

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.register_buffer("neighbours", torch.full((n_items, width), -1, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(n_items, width))
        self.register_buffer("followed", torch.zeros(n_items))  # total counts of an item, also of those not kept
        self.register_buffer("touched", torch.zeros(n_items))  # events of an item
        self.register_buffer("liked", torch.zeros(n_items))  # those of them that are positive
        self.register_buffer("newcomers", torch.zeros(n_items))  # those of them that were among a user's first ones
        self.register_buffer("scale", torch.zeros(len(KERNELS)))  # mean feature of what really came next
        self.weights = nn.Parameter(torch.full((len(KERNELS),), START_WEIGHT))
        self._least: NDArray[np.float32] | None = None  # of the rows of a part, which may be fuller than they look

    def forward(self, features: Tensor) -> Tensor:
        """Return what features float32 (..., F) add to the logits, float32 (...)."""
        added: Tensor = features @ self.weights
        return added

    def narrow(self, width: int) -> None:
        """Keep the strongest ``width`` neighbours of each item alone."""
        table = neighbour_table(self.neighbours.numpy(), self.counts.numpy(), len(self.touched))
        rows, counts = _pruned(table, width, self.touched.numpy())
        self.neighbours, self.counts = torch.from_numpy(rows), torch.from_numpy(counts)

    def part(self, rows: Rows) -> "Evidence":
        """Return a copy with the evidence among some items alone; their totals stay those over all items.

        rows : int64 (R,), distinct.
        """
        part = Evidence(len(rows), self.counts.shape[1])
        place = np.full(len(self.touched), -1, dtype=np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        neighbours, counts = self.neighbours.numpy()[rows], self.counts.numpy()[rows]
        moved = np.where(neighbours >= 0, place[np.maximum(neighbours, 0)], np.int32(-1))
        part.neighbours = torch.from_numpy(moved)
        part.counts = torch.from_numpy(np.where(moved >= 0, counts, np.float32(0.0)))
        for name in ITEM_COUNTS:
            setattr(part, name, getattr(self, name)[torch.from_numpy(rows)])
        part.scale = self.scale.clone()
        part.weights = nn.Parameter(self.weights.detach().clone(), requires_grad=self.weights.requires_grad)
        part._least = self.as_counts().least_kept()[rows]
        return part

    def as_counts(self) -> EvidenceCounts:
        """Return what was counted so far; what is counted later may show in it."""
        names = ("neighbours", "counts", "followed", "touched", "scale")
        return EvidenceCounts(**{name: getattr(self, name).cpu().numpy() for name in names}, least=self._least)

    def grow(self, n_items: int) -> None:
        """Add rows for new items, about which nothing is known yet."""
        more = n_items - len(self.neighbours)
        self.neighbours = functional.pad(self.neighbours, (0, 0, 0, more), value=-1)
        self.counts = functional.pad(self.counts, (0, 0, 0, more))
        for name in ITEM_COUNTS:
            setattr(self, name, functional.pad(getattr(self, name), (0, more)))

    def count(self, sequences: Sequences, pairs: Any = None) -> None:
        """Add the new events of sequences to the counts, with the pairs that they make with old ones.

        pairs : their :func:`counted_pairs`, where they are known already.
        """
        n = len(self.counts)
        self.touched += _occurrences(sequences.items[sequences.fresh], n)
        self.liked += _occurrences(sequences.items[sequences.fresh & sequences.positive()], n)
        firsts = sequences.items[sequences.fresh & (sequences.ordinals() < NEWCOMER_EVENTS)]
        self.newcomers += _occurrences(firsts, n)
        if pairs is None and len(sequences) > MAX_EVENTS_AT_ONCE:
            for begin, added in pair_blocks(sequences, n):
                self._add(added, begin)
        else:
            self._add(counted_pairs(sequences, n) if pairs is None else pairs)

    def _add(self, added: Any, begin: int = 0) -> None:
        """Add pairs, sparse (R, N), to the rows from ``begin`` on, of which those without any stay as they are."""
        n, width = self.counts.shape
        sums = np.asarray(added.sum(axis=1), dtype=np.float32).reshape(-1)
        self.followed[begin : begin + len(sums)] += torch.from_numpy(sums)
        places = np.flatnonzero(np.diff(added.indptr))
        rows = places + begin
        table = neighbour_table(self.neighbours.numpy()[rows], self.counts.numpy()[rows], n) + added[places]
        neighbours, counts = _pruned(table, width, self.touched.numpy())
        self.neighbours[torch.from_numpy(rows)] = torch.from_numpy(neighbours)
        self.counts[torch.from_numpy(rows)] = torch.from_numpy(counts)

    def calibrate(
        self, sequences: Sequences, depth: int, generator: np.random.Generator, *, repeats: bool = False
    ) -> None:
        """Set the scale so that a feature of the item that came next is one on average, over a sample of events.

        depth, repeats : as for :func:`recent_at`.
        """
        follows = np.flatnonzero(sequences.users[1:] == sequences.users[:-1])
        at = follows[generator.permutation(len(follows))[:4096]]
        recent = recent_at(sequences, at, depth, repeats=repeats)
        sums = EvidenceReader(self.as_counts()).sums_of_pairs(recent, sequences.items[at + 1][:, None])
        self.scale = torch.from_numpy(sums[:, 0].mean(axis=0, dtype=np.float64).astype(np.float32))


def _occurrences(items: Rows, n: int) -> Tensor:
    """Return how often each of ``n`` items occurs, float32 (n,)."""
    return torch.from_numpy(np.bincount(items, minlength=n).astype(np.float32))


def _strongest(strength: NDArray[np.float32], width: int) -> NDArray[np.bool_]:
    """Return the ``width`` highest of more numbers, the first ones of equal ones: bool of their shape."""
    least = np.partition(strength, len(strength) - width)[len(strength) - width]
    found: NDArray[np.bool_] = strength > least
    found[np.flatnonzero(strength == least)[: width - np.count_nonzero(found)]] = True
    return found


def _pruned(table: Any, width: int, touched: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the ``width`` strongest neighbours of each item, ascending, and their counts: two arrays (N, width)."""
    table.sort_indices()
    n, lengths = table.shape[0], np.diff(table.indptr)
    kept = np.ones(len(table.data), dtype=np.bool_)
    if lengths.max(initial=0) > width:
        strength = table.data / np.sqrt(touched[table.indices] + np.float32(1.0))
        for row in np.flatnonzero(lengths > width).tolist():
            mine = slice(table.indptr[row], table.indptr[row + 1])
            kept[mine] = _strongest(strength[mine], width)
    rows = np.repeat(np.arange(n), lengths)[kept]
    lengths = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    neighbours = np.full((n, width), -1, dtype=np.int32)
    counts = np.zeros((n, width), dtype=np.float32)
    neighbours[rows, place] = table.indices[kept]
    counts[rows, place] = table.data[kept]
    return neighbours, counts
