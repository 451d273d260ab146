"""Evidence: which items followed which, counted from the stream, as inputs of the last layer.

A count says how often one item came within a few events after another, over all users [1]_. Two events of the same
time count half in each order. A feature of a user and an item is the decayed sum of the normalised counts from the
user's latest items to that item. Three decays make three features, and the network learns a weight for each. Counts
only grow: a round adds the pairs that its new events make. A user's features change with the user's next event.

In training, the predicted event has itself added to the counts that it is predicted from. That part is known exactly
and subtracted, so that a feature means the same in training and in serving.

The square root of the sums serves as well as their logarithm and is zero where nothing is known
(``benchmarks/learning/quality.md``, which also has the decays and what else was tried).

References
----------
.. [1] Gupta et al., "Related pins at Pinterest", WWW 2017, section 3 (session co-occurrence as candidates).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from model.feedback import NEWCOMER_EVENTS
from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = [
    "DEPTH",
    "ITEM_COUNTS",
    "KERNELS",
    "Evidence",
    "EvidenceReader",
    "Kernel",
    "RecentItems",
    "counted_pairs",
    "recent_at",
    "width_for",
]

ITEM_COUNTS = ("followed", "touched", "liked", "newcomers")  # a number for each item
WINDOW_EVENTS = 20  # events after which one thing no longer counts as following another
FADING = 0.1  # the k-th item after another counts 1 / (1 + 0.1 (k - 1))
SHRINKAGE = 20.0  # added to an item's total: what followed it twice proves little
MAX_NEIGHBOURS = 4_000_000  # of all items together: 32 MB of a version
PAIRS_PER_SUM = 1 << 22  # 80 MiB
MAX_DENSE_ITEMS = 4096  # up to here the table of all pairs is looked up, 64 MiB; beyond it, its kept neighbours
START_WEIGHT = 1.0  # features are scaled to a mean of one for what really came next


@dataclass(frozen=True, slots=True)
class Kernel:
    """How fast the weight of a recent item fades.

    Parameters
    ----------
    fading : ``"steps"`` back from the newest item, or ``"seconds"`` before it.
    scale : steps or seconds after which an item counts 1 / e of its first weight.
    depth : newest items read.
    """

    fading: str
    scale: float
    depth: int


KERNELS = (Kernel("steps", 3.0, 16), Kernel("seconds", 120.0, 50), Kernel("steps", 50.0, 50))
DEPTH = max(kernel.depth for kernel in KERNELS)


@dataclass(frozen=True, slots=True)
class RecentItems:
    """The newest items of P askers, newest first.

    Parameters
    ----------
    items : int64 (P, J), item rows, -1 where there are no more.
    gaps_s : float32 (P, J), seconds from each to the newest.
    own : float32 (P, J), in training: what the predicted event itself has added to the count of its item after each of
        these; None in serving.
    likings : float32 (P, J), in serving: how much the user liked each of these, -1..1; None in training.
    """

    items: Rows
    gaps_s: NDArray[np.float32]
    own: NDArray[np.float32] | None = None
    likings: NDArray[np.float32] | None = None

    def taken(self, chosen: slice) -> "RecentItems":
        """Return some of the askers."""
        own, likings = (None if one is None else one[chosen] for one in (self.own, self.likings))
        return RecentItems(self.items[chosen], self.gaps_s[chosen], own, likings)


def recent_at(
    sequences: Sequences, at: Rows, depth: int = DEPTH, *, counted: bool = True, repeats: bool = False
) -> RecentItems:
    """Return the items that the event after each of some positions is predicted from.

    Parameters
    ----------
    sequences : of all users.
    at : int64 (P,), positions in them.
    depth : newest items read, at most; no more than what ranking will have.
    counted : whether the sequences hold the predicted event as the next one, so that it was counted with them.
    repeats : whether an item may occur more than once; what the event added to a pair is then the sum over all places.
    """
    place = at[:, None] - np.arange(min(depth, DEPTH))  # (P, J)
    known = (place >= 0) & (sequences.users[np.maximum(place, 0)] == sequences.users[at][:, None])
    place = np.maximum(place, 0)
    gaps = (sequences.times[at][:, None] - sequences.times[place]).astype(np.float32) / np.float32(1000.0)
    items = np.where(known, sequences.items[place], -1)
    if not counted:
        return RecentItems(items, gaps)
    lags = sequences.places[at + 1][:, None] - sequences.places[place]
    is_tied = sequences.times[at + 1][:, None] == sequences.times[place]
    own = np.where(is_tied, _pair_weight(np.abs(lags)) / np.float32(2.0), _pair_weight(lags)) * known
    if repeats:
        is_itself = is_tied & (items == sequences.items[at + 1][:, None])  # counted in both orders
        own = np.where(is_itself, own * np.float32(2.0), own)
        is_same = items[:, :, None] == items[:, None, :]  # (P, J, J)
        own = np.einsum("pij,pj->pi", is_same, own)
    return RecentItems(items, gaps, own)


def width_for(n_items: int, wanted: int) -> int:
    """Return how many neighbours of each of so many items may be kept, at most ``wanted``."""
    return max(1, min(wanted, MAX_NEIGHBOURS // max(1, n_items)))


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
        table = _table(self.neighbours.numpy(), self.counts.numpy(), len(self.touched))
        rows, counts = _pruned(table, width, self.touched.numpy())
        self.neighbours, self.counts = torch.from_numpy(rows), torch.from_numpy(counts)

    def part(self, rows: Rows) -> "Evidence":
        """Return a copy with the evidence among some items alone; their totals stay those over all items.

        rows : int64 (R,), ascending.
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
        part._least = self.least()[rows]
        return part

    def least(self) -> NDArray[np.float32]:
        """Return for each row the normalised count below which it kept no neighbour, float32 (N,).

        It is zero for a row that is not full.
        """
        if self._least is not None:
            return self._least
        counts, neighbours = self.counts.cpu().numpy(), self.neighbours.cpu().numpy()
        full = np.flatnonzero((neighbours >= 0).all(axis=1))
        least = np.zeros(len(counts), dtype=np.float32)
        of_first, of_second = self.normalisers()
        least[full] = (counts[full] * of_first[full, None] * of_second[neighbours[full]]).min(axis=1, initial=np.inf)
        return least * np.float32(1.0 - 1.0e-5)  # rounding does not decide

    def normalisers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the counts of pairs are multiplied by for their first and for their second item, two (N,)."""
        followed, touched = self.followed.cpu().numpy(), self.touched.cpu().numpy()
        one = np.float32(1.0)
        return np.asarray(one / (followed + np.float32(SHRINKAGE))), np.asarray(one / np.sqrt(touched + one))

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
        n, width = self.counts.shape
        added = counted_pairs(sequences, n) if pairs is None else pairs
        self.followed += torch.from_numpy(np.asarray(added.sum(axis=1), dtype=np.float32).reshape(-1))
        self.touched += _occurrences(sequences.items[sequences.fresh], n)
        self.liked += _occurrences(sequences.items[sequences.fresh & sequences.positive()], n)
        firsts = sequences.items[sequences.fresh & (sequences.ordinals() < NEWCOMER_EVENTS)]
        self.newcomers += _occurrences(firsts, n)
        rows = np.flatnonzero(np.diff(added.indptr))  # the others stay as they are
        table = _table(self.neighbours.numpy()[rows], self.counts.numpy()[rows], n) + added[rows]
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
        sums = EvidenceReader(self).sums_of_pairs(recent, sequences.items[at + 1][:, None])
        self.scale = torch.from_numpy(sums[:, 0].mean(axis=0, dtype=np.float64).astype(np.float32))


class EvidenceReader:
    """Reads the counts as they are now.

    Parameters
    ----------
    evidence : read once; later changes are not seen.
    """

    def __init__(self, evidence: Evidence) -> None:
        counts = evidence.counts.cpu().numpy()
        self._of_first, self._of_second = evidence.normalisers()  # (N,) each
        table = _table(evidence.neighbours.cpu().numpy(), counts, len(counts))
        table.data *= np.repeat(self._of_first, np.diff(table.indptr)) * self._of_second[table.indices]
        self._table = table
        self._least = evidence.least()  # a pair that would not be kept without an event must not speak for it either
        self._dense = table.toarray() if len(counts) <= MAX_DENSE_ITEMS else None
        scale = evidence.scale.cpu().numpy()
        self._rescale = np.where(scale > 0.0, 1.0 / np.maximum(scale, np.float32(1.0e-30)), np.float32(1.0))

    def of_pairs(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the features of each asker with each of its items, float32 (P, C, F).

        rows : int64 (P, C), item rows; while training the event that really came is the first of each row.
        """
        return np.asarray(np.sqrt(self.sums_of_pairs(recent, rows) * self._rescale))

    def sums_of_pairs(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the decayed sums, float32 (P, C, F); the features are their scaled roots."""
        if self._dense is None and recent.own is None:
            return self._sums_by_product(recent, rows)
        known = recent.items >= 0
        items = np.where(known, recent.items, 0)
        said = self._looked_up(items, rows) * known[:, None, :]  # (P, C, J)
        if recent.own is not None:
            without = said[:, 0] - recent.own * self._of_first[items] * self._of_second[rows[:, :1]]
            said[:, 0] = np.where(without < self._least[items], 0.0, np.maximum(without, 0.0))
        sums = [
            np.einsum("pcj,pj->pc", said[:, :, : kernel.depth], decay)
            for kernel, decay in zip(KERNELS, _decays(recent), strict=True)
        ]
        return np.stack(sums, axis=2)

    def of_catalogue(self, recent: RecentItems) -> Iterator[Tensor]:
        """Give each feature of each asker with every item, float32 (P, N), one after the other."""
        for (items, weights), rescale in zip(_weighted(recent), self._rescale.tolist(), strict=True):
            sums = self._summed(items, weights)
            np.sqrt(sums.numpy(), out=sums.numpy())  # torch takes six times as long for a zero, and most may be zeros
            yield sums.mul_(math.sqrt(rescale))

    def spoken_for(self, recent: RecentItems, shares: NDArray[np.float32], rows: Rows | None = None) -> Tensor:
        """Return the slowest kernel's sums where a recent item counts a share of what it does: float32 (P, N).

        They are scaled to a mean of one for what really came next.

        Parameters
        ----------
        shares : float32 (P, J), of the recent items.
        rows : int64 (P, C), to return the sums of these items alone: float32 (P, C).
        """
        *_, (items, weights) = _weighted(recent)
        rescale = float(self._rescale[-1])
        counted = weights * shares[:, : weights.shape[1]]
        if rows is None:
            return self._summed(items, counted).mul_(rescale)
        asker = np.repeat(np.arange(len(rows)), rows.shape[1])
        picked = self._product(items, counted)[asker, rows.reshape(-1)]
        return torch.from_numpy(np.asarray(picked, dtype=np.float32).reshape(rows.shape)).mul_(rescale)

    def without_each(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the features of given items with each recent item left out, and last with none: (P, C, J + 1, F).

        What is older than the one left out moves a step nearer, and without the newest all gaps begin at the next.

        rows : int64 (P, C), item rows.
        """
        said = self._said(recent, rows)
        sums = [_sums_without_each(said, recent, kernel) for kernel in KERNELS]
        return np.asarray(np.sqrt(np.maximum(np.stack(sums, axis=3), 0.0) * self._rescale))

    def spoken_for_without_each(self, recent: RecentItems, shares: NDArray[np.float32], rows: Rows) -> Tensor:
        """Return :meth:`spoken_for` with each recent item left out, and last with none: float32 (P, C, J + 1)."""
        said = self._said(recent, rows) * shares[:, None, :]
        return torch.from_numpy(_sums_without_each(said, recent, KERNELS[-1])).mul_(float(self._rescale[-1]))

    def _said(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return what each recent item says of each given one, float32 (P, C, J)."""
        known = recent.items >= 0
        return self._looked_up(np.where(known, recent.items, 0), rows) * known[:, None, :]

    def followers(self, recent: RecentItems, n: int) -> Rows:
        """Return the items that follow each recent item most often for their popularity: int64 (P, J * n), -1 for none.

        Strongest first for each recent item, ties to the lower row.
        """
        wanted, place = np.unique(recent.items, return_inverse=True)
        found = np.full((len(wanted), n), -1, dtype=np.int64)
        for at, item in enumerate(wanted):
            if item >= 0:
                start, end = self._table.indptr[item : item + 2]
                order = np.argsort(-self._table.data[start:end], kind="stable")[:n]
                found[at, : len(order)] = self._table.indices[start:end][order]
        return np.asarray(found[place.reshape(recent.items.shape)].reshape(len(recent.items), -1))

    def strongest(self, item: int) -> tuple[Rows, NDArray[np.float32]]:
        """Return the items that follow an item, and their normalised counts: two (K,), strongest first."""
        start, end = self._table.indptr[item : item + 2]
        order = np.argsort(-self._table.data[start:end], kind="stable")
        return self._table.indices[start:end][order].astype(np.int64), self._table.data[start:end][order]

    def _looked_up(self, earlier: Rows, later: Rows) -> NDArray[np.float32]:
        """Return the normalised counts of (P, J) by (P, C) items: float32 (P, C, J)."""
        n = self._table.shape[0]
        if self._dense is not None:
            return np.asarray(self._dense.reshape(-1)[(earlier * n)[:, None, :] + later[:, :, None]])
        pairs = np.broadcast_arrays(earlier[:, None, :], later[:, :, None])
        found = self._table[pairs[0].reshape(-1), pairs[1].reshape(-1)]
        return np.asarray(found, dtype=np.float32).reshape(pairs[0].shape)

    def _summed(self, items: Rows, weights: NDArray[np.float32]) -> Tensor:
        """Return the weighted sum of the table's rows of each asker: float32 (P, N)."""
        if self._dense is not None:
            return functional.embedding_bag(
                torch.from_numpy(items),
                torch.from_numpy(self._dense),
                mode="sum",
                per_sample_weights=torch.from_numpy(weights),
            )
        return torch.from_numpy(self._product(items, weights).toarray())

    def _sums_by_product(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the sums of pairs, float32 (P, C, F), from what follows the askers' items at all.

        One look-up for each candidate instead of one for each of the asker's items: 64 users with 400 candidates each
        are read three times as fast.
        """
        asker = np.repeat(np.arange(len(rows)), rows.shape[1])
        sums = []
        for items, weights in _weighted(recent):
            product = self._product(items, weights)
            product.sort_indices()
            sums.append(np.asarray(product[asker, rows.reshape(-1)], dtype=np.float32).reshape(rows.shape))
        return np.stack(sums, axis=2)

    def _product(self, items: Rows, weights: NDArray[np.float32]) -> Any:
        """Return the same sums as a sparse matrix (P, N)."""
        ends = np.arange(0, items.size + 1, items.shape[1])
        asking = sparse.csr_matrix((weights.reshape(-1), items.reshape(-1), ends), (len(items), self._table.shape[0]))
        return asking @ self._table


def counted_pairs(sequences: Sequences, n_items: int) -> Any:
    """Return how often each item followed each other one where one of the two is new, a sparse (N, N) of float32."""
    total = sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    parts: list[tuple[Rows, Rows, NDArray[np.float32]]] = []
    for before, after, weight in _pairs(sequences):
        parts.append((before, after, np.full(len(before), weight, dtype=np.float32)))
        if sum(len(part[0]) for part in parts) > PAIRS_PER_SUM:
            total, parts = total + _added(parts, n_items), []
    return total + _added(parts, n_items) if parts else total


def _occurrences(items: Rows, n: int) -> Tensor:
    """Return how often each of ``n`` items occurs, float32 (n,)."""
    return torch.from_numpy(np.bincount(items, minlength=n).astype(np.float32))


def _added(parts: list[tuple[Rows, Rows, NDArray[np.float32]]], n: int) -> Any:
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sparse.coo_matrix((values, (rows, columns)), (n, n)).tocsr()


def _pairs(sequences: Sequences) -> Iterator[tuple[Rows, Rows, float]]:
    """Give for each distance the first and second items of all pairs that far apart, and what one counts.

    Of two events at the same time nobody knows which came first: each counts half after the other.
    """
    for lag in range(1, WINDOW_EVENTS + 1):
        counted = sequences.users[lag:] == sequences.users[:-lag]
        counted &= sequences.fresh[lag:] | sequences.fresh[:-lag]
        is_tied = sequences.times[lag:] == sequences.times[:-lag]
        ordered, tied, weight = counted & ~is_tied, counted & is_tied, float(_pair_weight(lag))
        before, after = sequences.items[:-lag], sequences.items[lag:]
        yield before[ordered], after[ordered], weight
        yield before[tied], after[tied], weight / 2.0
        yield after[tied], before[tied], weight / 2.0


def _pair_weight(lag: ArrayLike) -> NDArray[np.float32]:
    """Return 1 / (1 + 0.1 (lag - 1)) for lags of 1 to 20 and 0 for others, float32."""
    lags = np.asarray(lag)
    inside = (lags >= 1) & (lags <= WINDOW_EVENTS)
    return np.where(inside, 1.0 / (1.0 + FADING * (np.where(inside, lags, 1) - 1.0)), 0.0).astype(np.float32)


def _decays(recent: RecentItems) -> list[NDArray[np.float32]]:
    """Return per kernel the weight of each recent item, float32 (P, depth)."""
    steps = np.broadcast_to(np.arange(recent.items.shape[1], dtype=np.float32), recent.items.shape)
    by: dict[str, NDArray[np.float32]] = {"steps": steps, "seconds": np.maximum(recent.gaps_s, 0.0)}
    return [
        np.ascontiguousarray(np.exp(by[kernel.fading][:, : kernel.depth] / np.float32(-kernel.scale)))
        for kernel in KERNELS
    ]


def _sums_without_each(said: NDArray[np.float32], recent: RecentItems, kernel: Kernel) -> NDArray[np.float32]:
    """Return a kernel's decayed sums of what recent items say, (P, C, J), without each, and of all: (P, C, J + 1)."""
    n = said.shape[2]
    if kernel.fading == "steps":
        before = np.exp(np.arange(n, dtype=np.float32) / np.float32(-kernel.scale))[None]
        after = np.exp((np.arange(n, dtype=np.float32) - 1.0) / np.float32(-kernel.scale))[None]
    else:
        before = after = np.exp(np.maximum(recent.gaps_s, 0.0) / np.float32(-kernel.scale))
    newer = np.cumsum((said * before[:, None])[:, :, : kernel.depth], axis=2)
    older = np.cumsum((said * after[:, None])[:, :, kernel.depth :: -1], axis=2)[:, :, ::-1]  # of this place and on
    found = np.repeat(newer[:, :, -1:], n + 1, axis=2)  # beyond the kernel's depth nothing is missed
    last = min(n, kernel.depth)
    found[:, :, :last] = np.pad(newer[:, :, : last - 1], ((0, 0), (0, 0), (1, 0)))
    found[:, :, : older.shape[2] - 1] += older[:, :, 1:][:, :, :last]
    if kernel.fading == "seconds" and n > 1:
        gaps = np.maximum(recent.gaps_s - recent.gaps_s[:, 1:2], 0.0)[:, 1 : kernel.depth + 1]
        found[:, :, 0] = np.einsum("pcj,pj->pc", said[:, :, 1 : kernel.depth + 1], np.exp(gaps / -kernel.scale))
    return np.asarray(found, dtype=np.float32)


def _weighted(recent: RecentItems) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Give per kernel the recent items, int64 (P, depth), row 0 of weight zero where there are no more, and weights."""
    known = recent.items >= 0
    items = np.where(known, recent.items, 0)
    for kernel, decay in zip(KERNELS, _decays(recent), strict=True):
        yield items[:, : kernel.depth], decay * known[:, : kernel.depth]


def _table(neighbours: NDArray[np.int32], counts: NDArray[np.float32], n_columns: int) -> Any:
    """Return kept neighbours as a sparse matrix (R, N) of float32, its columns ascending in each row."""
    kept = neighbours >= 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    table = sparse.csr_matrix((counts[kept], neighbours[kept], ends), (len(counts), n_columns))
    table.sort_indices()
    return table


def _pruned(table: Any, width: int, touched: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the ``width`` strongest neighbours of each item, ascending, and their counts: two arrays (N, width)."""
    table.sort_indices()
    n, lengths = table.shape[0], np.diff(table.indptr)
    rows = np.repeat(np.arange(n), lengths)
    kept = np.ones(len(rows), dtype=np.bool_)
    if lengths.max(initial=0) > width:
        strength = table.data / np.sqrt(touched[table.indices] + np.float32(1.0))
        order = np.lexsort((-strength, rows))
        kept[order] = np.arange(len(rows)) - np.repeat(table.indptr[:-1], lengths) < width
    rows = rows[kept]
    lengths = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    neighbours = np.full((n, width), -1, dtype=np.int32)
    counts = np.zeros((n, width), dtype=np.float32)
    neighbours[rows, place] = table.indices[kept]
    counts[rows, place] = table.data[kept]
    return neighbours, counts
