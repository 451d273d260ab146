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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.network.pair_table import pair_table
from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = [
    "DEPTH",
    "ITEM_COUNTS",
    "KERNELS",
    "MAX_DENSE_ITEMS",
    "WINDOW_EVENTS",
    "EvidenceCounts",
    "EvidenceReader",
    "Kernel",
    "RecentItems",
    "counted_pairs",
    "kernel_weights",
    "neighbour_table",
    "pair_blocks",
    "pair_weight",
    "recent_at",
    "width_for",
]

ITEM_COUNTS = ("followed", "touched", "liked", "newcomers")  # a number for each item
WINDOW_EVENTS = 20  # events after which one thing no longer counts as following another
FADING = 0.1  # the k-th item after another counts 1 / (1 + 0.1 (k - 1))
SHRINKAGE = 20.0  # added to an item's total: what followed it twice proves little
MAX_NEIGHBOURS = 4_000_000  # of all items together: 32 MB of a version
PAIRS_PER_SUM = 1 << 22  # 80 MiB
TINY = np.float32(1.0e-25)  # a weight that leaves an entry of a product without adding to it
PAIRS_PER_BLOCK = 1 << 24  # some hundred MiB; most blocks have half of them
MAX_DENSE_ITEMS = 4096  # up to here the table of all pairs is looked up, 64 MiB; beyond it, its kept neighbours


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
    own = np.where(is_tied, pair_weight(np.abs(lags)) / np.float32(2.0), pair_weight(lags)) * known
    if repeats:
        is_itself = is_tied & (items == sequences.items[at + 1][:, None])  # counted in both orders
        own = np.where(is_itself, own * np.float32(2.0), own)
        is_same = items[:, :, None] == items[:, None, :]  # (P, J, J)
        own = np.einsum("pij,pj->pi", is_same, own)
    return RecentItems(items, gaps, own)


def width_for(n_items: int, wanted: int) -> int:
    """Return how many neighbours of each of so many items may be kept, at most ``wanted``."""
    return max(1, min(wanted, MAX_NEIGHBOURS // max(1, n_items)))


@dataclass(frozen=True, slots=True)
class EvidenceCounts:
    """What was counted of N items.

    Parameters
    ----------
    neighbours : int32 (N, W), rows of the items that are kept of each, -1 for none.
    counts : float32 (N, W), how often each of them followed.
    followed, touched : float32 (N,), all that followed an item, also what is not kept, and the item's events.
    scale : float32 (F,), mean feature of what really came next.
    least : float32 (N,), as from :meth:`least_kept`, where it is known from more than these counts.
    pairs : float32 (N, N), the counts of all pairs where a packed snapshot holds them; ``neighbours`` and ``counts``
        are without columns then. It is for serving.
    """

    neighbours: NDArray[np.int32]
    counts: NDArray[np.float32]
    followed: NDArray[np.float32]
    touched: NDArray[np.float32]
    scale: NDArray[np.float32]
    least: NDArray[np.float32] | None = None
    pairs: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]]) -> "EvidenceCounts":
        """Return the counts among the weights of a version, packed or not."""
        own = {name.removeprefix("evidence."): weight for name, weight in weights.items()}
        pairs = own.get("pairs")
        if pairs is not None:
            own["neighbours"], own["counts"] = (np.empty((len(pairs), 0), kind) for kind in (np.int32, np.float32))
        return cls(own["neighbours"], own["counts"], own["followed"], own["touched"], own["scale"], pairs=pairs)

    def normalisers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the counts of pairs are multiplied by for their first and for their second item, two (N,)."""
        one = np.float32(1.0)
        return one / (self.followed + np.float32(SHRINKAGE)), np.asarray(one / np.sqrt(self.touched + one))

    def least_kept(self) -> NDArray[np.float32]:
        """Return for each row the normalised count below which it kept no neighbour, float32 (N,).

        It is zero for a row that is not full.

        Raises
        ------
        ValueError
            If the counts are of a packed snapshot, whose table does not say which rows are full.
        """
        if self.pairs is not None:
            raise ValueError("EvidenceCounts.least_kept: lists of neighbours are required, got a table of all pairs")
        if self.least is not None:
            return self.least
        counts, neighbours = self.counts, self.neighbours
        full = np.flatnonzero((neighbours >= 0).all(axis=1))
        least = np.zeros(len(counts), dtype=np.float32)
        of_first, of_second = self.normalisers()
        least[full] = (counts[full] * of_first[full, None] * of_second[neighbours[full]]).min(axis=1, initial=np.inf)
        return least * np.float32(1.0 - 1.0e-5)  # rounding does not decide


class EvidenceReader:
    """Reads the counts as they are now.

    Parameters
    ----------
    evidence : must not change while it is read.
    """

    def __init__(self, evidence: EvidenceCounts) -> None:
        self._evidence = evidence
        self._n = len(evidence.counts)
        self._of_first, self._of_second = evidence.normalisers()  # (N,) each
        self._pairs = evidence.pairs
        if self._pairs is None and self._n <= MAX_DENSE_ITEMS:
            self._pairs = pair_table(evidence.neighbours, evidence.counts)
        scale = evidence.scale
        self._rescale = np.where(scale > 0.0, 1.0 / np.maximum(scale, np.float32(1.0e-30)), np.float32(1.0))

    @cached_property
    def _table(self) -> Any:
        """Return the normalised counts as a sparse matrix (N, N): for large catalogues, and while training."""
        if self._evidence.pairs is None:
            table = neighbour_table(self._evidence.neighbours, self._evidence.counts, self._n)
        else:
            table = _sparse().csr_matrix(self._evidence.pairs)
        table.data *= np.repeat(self._of_first, np.diff(table.indptr)) * self._of_second[table.indices]
        return table

    @cached_property
    def _least(self) -> NDArray[np.float32]:
        """Return :meth:`EvidenceCounts.least_kept`: what is not kept without an event must not speak for it."""
        return self._evidence.least_kept()

    def _following(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items that are kept of an item, and their normalised counts: two (K,)."""
        if self._evidence.pairs is None:
            columns, counts = self._evidence.neighbours[item], self._evidence.counts[item]
            kept = columns >= 0
            columns, counts = columns[kept], counts[kept]
        else:
            line = self._evidence.pairs[item]
            columns = np.flatnonzero(line != 0.0).astype(np.int32)
            counts = line[columns]
        return columns, counts * (self._of_first[item] * self._of_second[columns])

    def of_pairs(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the features of each asker with each of its items, float32 (P, C, F).

        rows : int64 (P, C), item rows; while training the event that really came is the first of each row.
        """
        return np.asarray(np.sqrt(self.sums_of_pairs(recent, rows) * self._rescale))

    def sums_of_pairs(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the decayed sums, float32 (P, C, F); the features are their scaled roots."""
        if self._pairs is None and recent.own is None:
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

    @property
    def rescale(self) -> NDArray[np.float32]:
        """Return what each kernel's sums are multiplied by, float32 (F,): they are then one for what really came."""
        return self._rescale

    def of_catalogue(self, recent: RecentItems) -> NDArray[np.float32]:
        """Return the features of each asker with every item: float32 (P, F, N)."""
        found = self.sums_of_catalogue(recent.items, kernel_weights(recent))
        return np.asarray(np.sqrt(found, out=found) * np.sqrt(self._rescale)[:, None])

    def sums_of_catalogue(self, items: Rows, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return weighted sums of what items say of every item, several for each asker: float32 (P, R, N).

        The rows of the table are read once for all sums of an asker, as reading takes longer than adding.

        Parameters
        ----------
        items : int64 (P, J), item rows, -1 for none.
        weights : float32 (P, R, J), what each counts in each sum, 0 where there is none.
        """
        found = np.empty((*weights.shape[:2], self._n), dtype=np.float32)
        if self._pairs is None:
            at = np.maximum(items, 0)
            for number in range(weights.shape[1]):
                found[:, number] = self._product(at, weights[:, number]).toarray()
            return found
        scaled = weights * self._of_first[np.maximum(items, 0)][:, None]
        met = np.empty((items.shape[1], self._n), dtype=np.float32)
        for place, (known, line) in enumerate(zip(np.count_nonzero(items >= 0, axis=1).tolist(), items, strict=True)):
            said = np.take(self._pairs, line[:known], axis=0, out=met[:known], mode="clip")  # which is not buffered
            np.matmul(scaled[place, :, :known], said, out=found[place])
            found[place] *= self._of_second
        return found

    def entries_of_catalogue(self, items: Rows, weights: NDArray[np.float32]) -> tuple[Rows, Rows, NDArray[np.float32]]:
        """Return :meth:`sums_of_catalogue` where they may be other than zero: askers and items, (K,), and sums, (R, K).

        No pair of asker and item occurs twice. Parameters are those of :meth:`sums_of_catalogue`; no weight is below
        zero. A weight of zero is taken for a tiny one, so that the products of all sums have the same entries.
        """
        known = items >= 0
        at, ends = items[known], np.concatenate([[0], np.cumsum(np.count_nonzero(known, axis=1))])
        shape = (len(items), self._n)
        products = [
            _sparse().csr_matrix((np.maximum(one[known], TINY), at, ends), shape) @ self._table
            for one in weights.swapaxes(0, 1)
        ]
        askers = np.repeat(np.arange(len(items)), np.diff(products[0].indptr))
        return askers, products[0].indices.astype(np.int64), np.stack([product.data for product in products])

    def spoken_for(self, recent: RecentItems, shares: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """Return the slowest kernel's sums of given items where a recent item counts a share of what it does: (P, C).

        They are scaled to a mean of one for what really came next.

        Parameters
        ----------
        shares : float32 (P, J), of the recent items.
        rows : int64 (P, C), item rows.
        """
        *_, (items, weights) = _weighted(recent)
        counted = weights * shares[:, : weights.shape[1]]
        if self._pairs is not None:
            sums = np.einsum("pcj,pj->pc", self._looked_up(items, rows), counted)
            return np.asarray(sums * self._rescale[-1])
        asker = np.repeat(np.arange(len(rows)), rows.shape[1])
        picked = self._product(items, counted)[asker, rows.reshape(-1)]
        return np.asarray(np.asarray(picked, dtype=np.float32).reshape(rows.shape) * self._rescale[-1])

    def without_each(self, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the features of given items with each recent item left out, and last with none: (P, C, J + 1, F).

        What is older than the one left out moves a step nearer, and without the newest all gaps begin at the next.

        rows : int64 (P, C), item rows.
        """
        said = self._said(recent, rows)
        sums = [_sums_without_each(said, recent, kernel) for kernel in KERNELS]
        return np.asarray(np.sqrt(np.maximum(np.stack(sums, axis=3), 0.0) * self._rescale))

    def spoken_for_without_each(
        self, recent: RecentItems, shares: NDArray[np.float32], rows: Rows
    ) -> NDArray[np.float32]:
        """Return :meth:`spoken_for` with each recent item left out, and last with none: float32 (P, C, J + 1)."""
        said = self._said(recent, rows) * shares[:, None, :]
        return np.asarray(_sums_without_each(said, recent, KERNELS[-1]) * self._rescale[-1])

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
                strongest, _ = self.strongest(int(item))
                found[at, : len(strongest[:n])] = strongest[:n]
        return np.asarray(found[place.reshape(recent.items.shape)].reshape(len(recent.items), -1))

    def strongest(self, item: int) -> tuple[Rows, NDArray[np.float32]]:
        """Return the items that follow an item, and their normalised counts: two (K,), strongest first, ties by row."""
        columns, counts = self._following(item)
        order = np.lexsort((columns, -counts))
        return columns[order].astype(np.int64), counts[order]

    def _looked_up(self, earlier: Rows, later: Rows) -> NDArray[np.float32]:
        """Return the normalised counts of (P, J) by (P, C) items: float32 (P, C, J)."""
        if self._pairs is not None:
            found = self._pairs.reshape(-1)[(earlier * self._n)[:, None, :] + later[:, :, None]]
            found *= self._of_first[earlier][:, None, :] * self._of_second[later][:, :, None]
            return np.asarray(found)
        pairs = np.broadcast_arrays(earlier[:, None, :], later[:, :, None])
        found = self._table[pairs[0].reshape(-1), pairs[1].reshape(-1)]
        return np.asarray(found, dtype=np.float32).reshape(pairs[0].shape)

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
        asking = _sparse().csr_matrix((weights.reshape(-1), items.reshape(-1), ends), (len(items), self._n))
        return asking @ self._table


def _sparse() -> Any:
    """Return SciPy's sparse matrices, 20 MB of a process: serving a small catalogue does without."""
    from scipy import sparse  # noqa: PLC0415 - for whoever needs them

    return sparse


def counted_pairs(sequences: Sequences, n_items: int) -> Any:
    """Return how often each item followed each other one where one of the two is new, a sparse (N, N) of float32."""
    total = _sparse().csr_matrix((n_items, n_items), dtype=np.float32)
    parts: list[tuple[Rows, Rows, NDArray[np.float32]]] = []
    for before, after, weight in _pairs(sequences):
        parts.append((before, after, np.full(len(before), weight, dtype=np.float32)))
        if sum(len(part[0]) for part in parts) > PAIRS_PER_SUM:
            total, parts = total + _added(parts, n_items), []
    return total + _added(parts, n_items) if parts else total


def pair_blocks(sequences: Sequences, n_items: int, most: int = PAIRS_PER_BLOCK) -> Iterator[tuple[int, Any]]:
    """Give :func:`counted_pairs` in blocks of rows, each with the number of its first row: sparse (R, N) of float32.

    The pairs of a long log do not fit into memory. A block is of at most ``most`` pairs, or of a single item.
    """
    # events of one time count in both orders
    before = np.cumsum(np.bincount(sequences.items, minlength=n_items)) * 2 * WINDOW_EVENTS
    begin = 0
    while begin < n_items:
        done = before[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(before, done + most, side="right")))
        yield begin, _pairs_after(sequences, begin, end, n_items)
        begin = end


def _pairs_after(sequences: Sequences, begin: int, end: int, n_items: int) -> Any:
    """Return how often each item followed some of them, of rows ``begin`` to ``end``: sparse (end - begin, N)."""
    at = np.flatnonzero((sequences.items >= begin) & (sequences.items < end))
    behind = at
    parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []

    def take(first: Rows, second: Rows, weights: NDArray[np.float32]) -> None:
        counted = sequences.fresh[first] | sequences.fresh[second]
        rows = (sequences.items[first[counted]] - begin).astype(np.int32)
        parts.append((rows, sequences.items[second[counted]].astype(np.int32), weights[counted]))

    for lag in range(1, WINDOW_EVENTS + 1):
        weight = np.float32(pair_weight(lag))
        at = at[: np.searchsorted(at, len(sequences) - lag)]
        at = at[sequences.users[at + lag] == sequences.users[at]]  # who has no event there has none further on
        is_tied = sequences.times[at + lag] == sequences.times[at]
        take(at, at + lag, np.where(is_tied, weight / np.float32(2.0), weight))
        behind = behind[np.searchsorted(behind, lag) :]
        before = behind - lag
        is_tied = sequences.users[before] == sequences.users[behind]
        is_tied &= sequences.times[before] == sequences.times[behind]
        behind = behind[is_tied]
        take(behind, behind - lag, np.full(len(behind), weight / np.float32(2.0)))
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _sparse().coo_matrix((values, (rows, columns)), (end - begin, n_items)).tocsr()


def _added(parts: list[tuple[Rows, Rows, NDArray[np.float32]]], n: int) -> Any:
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _sparse().coo_matrix((values, (rows, columns)), (n, n)).tocsr()


def _pairs(sequences: Sequences) -> Iterator[tuple[Rows, Rows, float]]:
    """Give for each distance the first and second items of all pairs that far apart, and what one counts.

    Of two events at the same time nobody knows which came first: each counts half after the other.
    """
    for lag in range(1, WINDOW_EVENTS + 1):
        counted = sequences.users[lag:] == sequences.users[:-lag]
        counted &= sequences.fresh[lag:] | sequences.fresh[:-lag]
        is_tied = sequences.times[lag:] == sequences.times[:-lag]
        ordered, tied, weight = counted & ~is_tied, counted & is_tied, float(pair_weight(lag))
        before, after = sequences.items[:-lag], sequences.items[lag:]
        yield before[ordered], after[ordered], weight
        yield before[tied], after[tied], weight / 2.0
        yield after[tied], before[tied], weight / 2.0


def pair_weight(lag: ArrayLike) -> NDArray[np.float32]:
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
    found[:, :, :1] = 0.0
    found[:, :, 1:last] = newer[:, :, : last - 1]
    found[:, :, : older.shape[2] - 1] += older[:, :, 1:][:, :, :last]
    if kernel.fading == "seconds" and n > 1:
        gaps = np.maximum(recent.gaps_s - recent.gaps_s[:, 1:2], 0.0)[:, 1 : kernel.depth + 1]
        found[:, :, 0] = np.einsum("pcj,pj->pc", said[:, :, 1 : kernel.depth + 1], np.exp(gaps / -kernel.scale))
    return np.asarray(found, dtype=np.float32)


def kernel_weights(recent: RecentItems) -> NDArray[np.float32]:
    """Return what each recent item counts in each kernel's sum: float32 (P, F, J), 0 beyond its depth and for none."""
    found = np.zeros((len(recent.items), len(KERNELS), recent.items.shape[1]), dtype=np.float32)
    for number, decay in enumerate(_decays(recent)):
        found[:, number, : decay.shape[1]] = decay
    return found * (recent.items >= 0)[:, None, :]


def _weighted(recent: RecentItems) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Give per kernel the recent items, int64 (P, depth), row 0 of weight zero where there are no more, and weights."""
    known = recent.items >= 0
    items = np.where(known, recent.items, 0)
    for kernel, decay in zip(KERNELS, _decays(recent), strict=True):
        yield items[:, : kernel.depth], decay * known[:, : kernel.depth]


def neighbour_table(neighbours: NDArray[np.int32], counts: NDArray[np.float32], n_columns: int) -> Any:
    """Return kept neighbours as a sparse matrix (R, N) of float32, its columns ascending in each row."""
    kept = neighbours >= 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    table = _sparse().csr_matrix((counts[kept], neighbours[kept], ends), (len(counts), n_columns))
    table.sort_indices()
    return table
