"""Retrieval: the best items of a catalogue that is too large to be scored whole.

Two steps. First an index of item vectors gives each user a few hundred candidates, by inner product; then
the full network scores those exactly (:meth:`model.ranking.exact.Ranker.rerank`), and the best of them are the list.
What may get lost are items that the first step does not propose, so its recall is measured, not assumed:
:func:`measure_recall` does so on any snapshot.

The MLP is no inner product. Its linear part is one, though: over users as histories make them, an item's logit
is regressed on the user vector, and the coefficients, added to the item's GMF vector and bias, become its vector
in the index. Long-term taste is one as it is, so the index holds the factors of ALS beside the network's vectors. A
user asks it with both, each as much as the version's blend lets it count for a history of that length; somebody whom
the version does not know is folded in from the history. Evidence is no inner product: the items that most often follow
a user's newest ones are proposed beside the index.

This is the only module that needs faiss [1]_, which comes with the extra ``large``; it is imported on first use.

References
----------
.. [1] Douze et al., "The Faiss library", arXiv:2401.08281, 2024.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.arithmetic import directed, leading, sigmoid
from model.history import Mode
from model.network.blend import MODES, feature
from model.network.snapshot import Snapshot
from model.ranking.exact import HistoryBatch, RankedLists, Ranker, recent_of
from model.ranking.leave_one_out import TASTE_SCALE
from model.ranking.signals import Signals
from model.vocabulary import Rows

__all__ = [
    "LARGE_FROM",
    "CandidateSource",
    "RetrievalConfig",
    "RetrievalMode",
    "RetrievalRecall",
    "RetrievingRanker",
    "build_ranker",
    "has_faiss",
    "is_large",
    "measure_recall",
]

Array = NDArray[np.float32]
RetrievalMode = Literal["auto", "exact", "faiss", "faiss-tower"]
CandidateSource = Callable[[HistoryBatch], Rows]  # more candidates: int64 (B, E), item rows, -1 as padding

LARGE_FROM = 50_000  # items that take one core about 2.5 ms a user: 64 users then fill a worker's 150 ms
REGISTER_FLOATS = 16  # faiss scans vectors of any other width 20 times slower
USERS_PER_BLOCK = 16  # whose whole catalogue is scored at once: 4 MB each at a million items
RECENT_ITEMS = 50  # of a user, whose followers are candidates
POPULAR_PER_FEATURE = 32  # that lead in popularity, among newcomers, and in both kinds of trending
FOLLOWERS_PER_ITEM = 8  # those that follow a recent item most often
MAX_REPLACEMENTS = 4.0  # replaced vectors for each item; then the index is made anew
HEADS, TASTE = feature("heads"), feature("taste")
EXACT_RATIO = 8  # retrieving one item costs as much as scoring so many


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """How wide to look; ``benchmarks/learning/retrieval.py`` measured the defaults.

    Parameters
    ----------
    candidates : items reranked for each user, at least.
    per_item : candidates for each item of the list, where that makes more.
    probes : lists of the index that are read for each user; more find more and take longer, in proportion.
    flat_to : items up to which the index is a plain table, read whole.
    taste : whether long-term taste is in the index, where a version has it and its blend lets it count. Without it
        the index takes half the memory, and ``benchmarks/lists/retrievers.py`` says what it misses.
    sampled_users : users over which the network is made linear.
    ridge : pull of that regression towards the GMF vectors, as a share of the users' mean square.
    seed : of the sampled users and of the index.
    """

    candidates: int = 400
    per_item: int = 10
    probes: int = 64
    flat_to: int = 20_000
    taste: bool = True
    sampled_users: int = 256
    ridge: float = 1.0e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.candidates, self.per_item, self.probes, self.sampled_users) < 1 or self.ridge <= 0.0:
            raise ValueError(f"RetrievalConfig: counts of at least 1 and a positive ridge are required, got {self!r}")


@dataclass(frozen=True, slots=True)
class RetrievalRecall:
    """How much of the exact lists retrieval found.

    Parameters
    ----------
    n : length of the lists.
    users : how many were compared.
    mean : share of the exact lists' items that are in the retrieved lists too.
    standard_error : of ``mean``, over users; 0 for a single one.
    worst : the share of the user who lost most.
    """

    n: int
    users: int
    mean: float
    standard_error: float
    worst: float


def has_faiss() -> bool:
    """Return whether the package is installed; does not import it."""
    return find_spec("faiss") is not None


def is_large(n_items: int, mode: RetrievalMode) -> bool:
    """Return whether a catalogue of this size needs retrieval."""
    return mode in {"faiss", "faiss-tower"} or (mode == "auto" and n_items >= LARGE_FROM)


def build_ranker(
    snapshot: Snapshot,
    mode: RetrievalMode,
    config: RetrievalConfig | None = None,
    *,
    threads: int = 1,
    before: Ranker | None = None,
    changed: Rows | None = None,
) -> Ranker:
    """Return what ranks a snapshot's catalogue: an exact ranker, or for a large one a retrieving one.

    Parameters
    ----------
    mode : ``exact``, ``faiss``, ``faiss-tower``, which leaves taste out of the index, or ``auto``, which retrieves from
        ``LARGE_FROM`` items.
    threads : of an exact ranker.
    before : the ranker of an earlier version, whose index may be patched.
    changed : int64, the rows of items that differ from that version; None where that is not known. Where most do, as
        after taste was learnt anew, the index is made anew as well.

    Raises
    ------
    ValueError
        If retrieval is due and faiss is missing.
    """
    if is_large(len(snapshot.items), mode):
        few = changed is not None and 2 * len(changed) <= len(snapshot.items)
        if changed is not None and few and isinstance(before, RetrievingRanker):
            return before.patched(snapshot, changed)
        config = config or RetrievalConfig()
        return RetrievingRanker(snapshot, replace(config, taste=False) if mode == "faiss-tower" else config)
    return Ranker(snapshot, threads=threads)


class RetrievingRanker(Ranker):
    """Ranks candidates instead of the whole catalogue; all other answers are those of :class:`Ranker`.

    Building scores the catalogue for ``sampled_users`` users and clusters it: about half a minute for a million items
    on one core. The same snapshot, configuration and NumPy build give the same index.

    Parameters
    ----------
    snapshot : the version to serve.
    config : how wide to look.
    sources : more candidates, such as neighbours of a user's latest items; asked at each ranking.
    sample : real histories over which the network is made linear; made-up ones if None.

    Raises
    ------
    ValueError
        If the snapshot has no items, or faiss is not installed.
    FloatingPointError
        If a weight is not a number or infinite.
    """

    is_exact = False

    def __init__(
        self,
        snapshot: Snapshot,
        config: RetrievalConfig | None = None,
        *,
        sources: Sequence[CandidateSource] = (),
        sample: HistoryBatch | None = None,
    ) -> None:
        super().__init__(snapshot)
        self.config = config or RetrievalConfig()
        self._sources = tuple(sources)
        generator = np.random.default_rng(self.config.seed)
        self._sample = _made_up(self, self.config.sampled_users, generator) if sample is None else sample
        self._has_taste = self._weighs_taste()
        self._turn = np.linalg.cholesky(self._square())  # (W, W)
        self._turned_back = np.linalg.inv(self._turn).T
        self._index = _Index(self._vectors() @ self._turn, self.config, generator)
        self._replaced = 0  # vectors in the index that were replaced by those of a later version

    def patched(self, snapshot: Snapshot, changed: Rows) -> "RetrievingRanker":
        """Return a ranker of a version that continues this one, with a patched copy of its index.

        The copy takes the new version's vectors of the rows that changed. The other vectors and the clusters stay a
        little behind, which may cost a candidate but never a score. After four replacements for each vector the ranker
        builds a new index instead, and so it does where taste has begun to count or no longer does.

        Parameters
        ----------
        snapshot : whose first items are those of this one.
        changed : int64, the rows of items that differ.
        """
        n, flat_to = len(snapshot.items), self.config.flat_to
        rows = np.union1d(changed, np.arange(len(self), n))
        if self._replaced + len(rows) > MAX_REPLACEMENTS * n or (n > flat_to) != (len(self) > flat_to):
            return RetrievingRanker(snapshot, self.config, sources=self._sources)
        other = copy(self)
        Ranker.__init__(other, snapshot)
        if other._weighs_taste() != self._has_taste:  # noqa: SLF001 - of its own class
            return RetrievingRanker(snapshot, self.config, sources=self._sources)
        other._patch(rows)  # noqa: SLF001 - same
        return other

    def _patch(self, rows: Rows) -> None:
        self._index = self._index.patched(rows, self._vectors(rows) @ self._turn, len(self))
        self._replaced += len(rows)

    def _weighs_taste(self) -> bool:
        """Tell whether taste is wanted in the index, and counts for anybody in personalised lists."""
        weights = self._blend.weights[MODES.index("personalized"), :, TASTE]
        return self.config.taste and self._taste is not None and bool(weights.any())

    def rank(
        self,
        histories: HistoryBatch,
        n: int,
        *,
        excluded: NDArray[np.bool_] | None = None,
        allowed: NDArray[np.bool_] | None = None,
        texts: NDArray[np.float32] | None = None,
        signals: Signals | None = None,
        mode: Mode = "personalized",
    ) -> RankedLists:
        """Return each user's ``n`` best items among the candidates, never one of their history unless repeats are kept.

        Contract, parameters and errors are those of :meth:`Ranker.rank`; ties go to the lower row. Where the masks
        leave a user less than half of the candidates, four times as many are asked for, until the whole catalogue
        is scored, so a list is short only where the exact one is. The index knows nothing of words: with texts the
        whole catalogue is scored as well.
        """
        if n < 1:
            raise ValueError(f"RetrievingRanker.rank: n must be at least 1, got {n!r}")
        if texts is not None:
            return super().rank(
                histories, n, excluded=excluded, allowed=allowed, texts=texts, signals=signals, mode=mode
            )
        mask = _Mask(histories, len(self), excluded, allowed, repeats=self.snapshot.config.repeats)
        ranked = RankedLists(
            np.full((len(histories), n), -1, dtype=np.int64), np.zeros((len(histories), n), np.float32)
        )
        width = max(self.config.candidates, self.config.per_item * n)
        asking = np.arange(len(histories))
        while len(asking):
            some, part = _of_users(histories, asking), mask.of_users(asking)
            if EXACT_RATIO * width >= len(self) and not part.is_narrow(width):
                found = super().rank(some, n, excluded=part.excluded, allowed=part.allowed, signals=signals, mode=mode)
                done = np.ones(len(asking), dtype=np.bool_)
            else:
                found, done = self._retrieved(some, n, part, width, signals, mode)
            ranked.rows[asking[done]], ranked.scores[asking[done]] = found.rows[done], found.scores[done]
            asking = asking[~done]
            width *= 4
        return ranked

    def with_config(self, config: RetrievalConfig) -> "RetrievingRanker":
        """Return the same over the same index with other ``candidates``, ``per_item`` and ``probes``."""
        other = copy(self)
        other.config = config
        return other

    def rank_exactly(self, histories: HistoryBatch, n: int) -> RankedLists:
        """Return the best items of the whole catalogue, as :class:`Ranker` does."""
        return super().rank(histories, n)

    def _retrieved(
        self, histories: HistoryBatch, n: int, mask: "_Mask", width: int, signals: Signals | None, mode: Mode
    ) -> tuple[RankedLists, NDArray[np.bool_]]:
        """Return the best of up to ``width`` candidates, and which users had enough of them: bool (B,)."""
        if mask.is_narrow(width):
            rows = np.broadcast_to(mask.listed(), (len(histories), mask.n_allowed))
            wanted = 0  # there are no others
        else:
            rows = self._candidates(histories, width, mask, signals, mode)
            wanted = max(n, width // 2)
        rows = mask.without_banned(rows)
        logits = self.rerank(histories, np.maximum(rows, 0), signals=signals, mode=mode)
        logits[rows < 0] = -np.inf
        return _best(logits, rows, n), np.count_nonzero(rows >= 0, axis=1) >= wanted

    def _candidates(
        self, histories: HistoryBatch, width: int, mask: "_Mask", signals: Signals | None, mode: Mode
    ) -> Rows:
        """Return distinct rows, ascending, with -1 in between: int64 (B, width + E)."""
        proposed = [_for_each(self._popular(signals), len(histories))]
        if mode == "personalized":
            queries = self._askers(histories) @ self._turned_back
            proposed.append(self._index.search(queries, width, mask, self._probes(width)))
        if self._evidence is not None:
            proposed.append(self._evidence.followers(recent_of(histories, RECENT_ITEMS), FOLLOWERS_PER_ITEM))
        if self.snapshot.config.repeats:
            proposed.append(histories.items)
        proposed += [source(histories) for source in self._sources]
        rows = np.sort(np.concatenate(proposed, axis=1), axis=1)
        rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = -1
        return rows

    def _popular(self, signals: Signals | None) -> Rows:
        """Return the items that lead in a feature of items alone, int64 (E,): no index of users' vectors has them."""
        static = self._static(signals)
        return np.unique(leading(static, min(POPULAR_PER_FEATURE, len(self))))

    def _probes(self, width: int) -> int:
        """Return how many lists to read: more in proportion, where more candidates than usual are asked for."""
        return max(1, self.config.probes * width // self.config.candidates)

    def _askers(self, histories: HistoryBatch) -> Array:
        """Return what users ask the index with, float32 (B, W): each part as much as the blend lets it count.

        The network's share does not change whom it proposes, so without taste it is left at one.
        """
        users = _with_one(self._user_vectors(histories))
        if not self._has_taste:
            return users
        assert self._taste is not None, "only a version with taste has it in its index"
        weights = self._blend.at(histories.lengths(), "personalized")
        tastes = TASTE_SCALE * weights[:, TASTE, None] * self._taste.vectors(histories.items)
        return np.concatenate([weights[:, HEADS, None] * users, tastes], axis=1)

    def _square(self) -> Array:
        """Return the askers' mean square M, float32 (W, W), a little of the identity added.

        With its Cholesky factor C the index holds :math:`C^T v` and is asked with :math:`C^{-1} u`, which leaves each
        inner product as it is and makes the distance of two items the root mean square, over users, of the difference
        of their scores: clusters are then of items that are wanted together.
        """
        askers = self._askers(self._sample)
        square = askers.T @ askers / len(askers)
        return np.asarray(square + MIN_SPREAD * square.diagonal().mean() * np.eye(len(square), dtype=np.float32))

    def _vectors(self, rows: Rows | None = None) -> Array:
        """Return the vectors of all items or of some rows, float32 (N, W)."""
        vectors = self._linear(rows)
        if self._has_taste:
            assert self._taste is not None, "only a version with taste has it in its index"
            factors = self._taste.factors
            vectors = np.concatenate([vectors, factors if rows is None else factors[rows]], axis=1)
        if not np.isfinite(vectors).all():
            raise FloatingPointError(
                "RetrievingRanker: finite item vectors are required, got "
                f"{int((~np.isfinite(vectors)).sum())!r} other numbers; roll back to an earlier version"
            )
        return vectors

    def _linear(self, rows: Rows | None) -> Array:
        r"""Return the vectors whose inner product with ``[user | 1]`` is nearest to the logits: (N, D + 1), or of rows.

        With user vectors U (S, D + 1), logits L (S, N) and GMF vectors and biases V (N, D + 1), the ridge regression
        of what V leaves over: :math:`V + ((U^T U + \lambda I)^{-1} U^T (L - U V^T))^T`.
        """
        users = _with_one(self._user_vectors(self._sample))
        gmf = np.concatenate([self._side.factors, self._side.bias[:, None]], axis=1)
        gmf = np.ascontiguousarray((gmf if rows is None else gmf[rows]).T)  # (D + 1, N)
        square = users.T @ users
        left = -(square @ gmf)
        for start in range(0, len(users), USERS_PER_BLOCK):
            some = slice(start, start + USERS_PER_BLOCK)
            left += users[some].T @ self._heads(users[some, :-1], rows=rows)
        pull = self.config.ridge * square.diagonal().mean() * np.eye(len(square), dtype=np.float32)
        return np.asarray((gmf + np.linalg.solve(square + pull, left)).T)


def measure_recall(ranker: RetrievingRanker, histories: HistoryBatch, n: int = 10) -> RetrievalRecall:
    """Compare retrieved lists with those of the exact ranking.

    Parameters
    ----------
    histories : of the users to compare; what recall they show holds for users like them.
    n : length of the lists.

    Raises
    ------
    ValueError
        If there are no users, or a user can be given no list at all.
    """
    if not len(histories):
        raise ValueError("measure_recall: at least one user is required, got none")
    shares = []
    for start in range(0, len(histories), USERS_PER_BLOCK):
        some = histories.taken(slice(start, start + USERS_PER_BLOCK))
        exact, found = ranker.rank_exactly(some, n).rows, ranker.rank(some, n).rows
        for best, mine in zip(exact, found, strict=True):
            if best[0] < 0:
                raise ValueError("measure_recall: users with items left to list are required, got one without")
            shares.append(np.isin(best[best >= 0], mine).mean())
    error = np.std(shares, ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else 0.0
    return RetrievalRecall(n, len(shares), float(np.mean(shares)), float(error), float(np.min(shares)))


class _Index:
    """Item vectors in a structure of faiss, which reads them with one thread: its answers depend on their order."""

    def __init__(self, vectors: NDArray[np.float32], config: RetrievalConfig, generator: np.random.Generator) -> None:
        self._faiss = _faiss()
        self._faiss.omp_set_num_threads(1)
        padded = _padded(vectors)
        n, width = padded.shape
        self._n_lists = 0 if n <= config.flat_to else 1 << round(np.log2(2.0 * n**0.5))
        if not self._n_lists:
            self._index = self._faiss.IndexFlatIP(width)
        else:
            self._index = self._clustered(width)
            sample = generator.choice(n, min(n, ITEMS_PER_CLUSTER * self._n_lists), replace=False)
            self._index.train(padded[np.sort(sample)])
        self._index.add(padded)

    def _clustered(self, width: int) -> Any:
        """Return an empty index of clusters whose vectors take one byte an entry."""
        faiss = self._faiss
        self._coarse = faiss.IndexFlatIP(width)  # the index below does not own it
        index = faiss.IndexIVFScalarQuantizer(
            self._coarse, width, self._n_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = 0, CLUSTER_ROUNDS, ITEMS_PER_CLUSTER
        return index

    def patched(self, rows: Rows, vectors: NDArray[np.float32], n: int) -> "_Index":
        """Return an index of ``n`` vectors in which those of some rows, int64 (R,), are others, float32 (R, width)."""
        self._faiss.omp_set_num_threads(1)
        other, padded = copy(self), _padded(vectors)
        if self._n_lists:
            other._index = self._faiss.clone_index(self._index)  # noqa: SLF001 - of its own class
            other._index.remove_ids(rows)  # noqa: SLF001 - same
            other._index.add_with_ids(padded, rows)  # noqa: SLF001 - same
            return other
        table = np.zeros((n, padded.shape[1]), dtype=np.float32)
        table[: self._index.ntotal] = self._index.reconstruct_n(0, self._index.ntotal)
        table[rows] = padded
        other._index = self._faiss.IndexFlatIP(padded.shape[1])  # noqa: SLF001 - same
        other._index.add(table)  # noqa: SLF001 - same
        return other

    def search(self, queries: NDArray[np.float32], n: int, mask: "_Mask", probes: int) -> Rows:
        """Return up to ``n`` allowed rows of the largest inner products, best first: int64 (B, n), -1 for none."""
        self._faiss.omp_set_num_threads(1)  # counts for the calling thread only
        chosen: dict[str, Any] = {}
        if mask.shared is not None:
            bits = np.packbits(mask.shared, bitorder="little")
            chosen["sel"] = self._faiss.IDSelectorBitmap(bits)
        if self._n_lists:
            probes = min(self._n_lists, probes * self._index.ntotal // mask.n_allowed)
            parameters = self._faiss.SearchParametersIVF(nprobe=probes, **chosen)
        else:
            parameters = self._faiss.SearchParameters(**chosen)
        _, rows = self._index.search(_padded(queries), n, params=parameters)
        found: Rows = rows
        return found


MIN_SPREAD = 1.0e-3  # of the mean square: no direction counts for less, whoever was sampled
ITEMS_PER_CLUSTER = 64  # that one is made from; more take longer and find no more
CLUSTER_ROUNDS = 8  # of k-means


class _Mask:
    """What may be listed, asked for a few rows at a time.

    Parameters
    ----------
    excluded, allowed : as in :meth:`Ranker.rank`.
    repeats : whether users may be given items of their history.
    """

    def __init__(
        self,
        histories: HistoryBatch,
        n_items: int,
        excluded: NDArray[np.bool_] | None,
        allowed: NDArray[np.bool_] | None,
        *,
        repeats: bool,
    ) -> None:
        for name, mask in (("excluded", excluded), ("allowed", allowed)):
            shapes = ((len(histories), n_items), (n_items,))
            if mask is not None and (mask.dtype != np.bool_ or mask.shape not in shapes):
                raise ValueError(
                    f"RetrievingRanker.rank: {name} must be bool of shape {shapes[0]!r}, "
                    f"got {mask.dtype!r} {mask.shape!r}"
                )
        self._histories = histories
        self._repeats = repeats
        self._n_items = n_items
        self.excluded, self.allowed = excluded, allowed
        shared = allowed if allowed is None or allowed.ndim == 1 else allowed.any(axis=0)
        self.n_allowed = n_items if shared is None else int(np.count_nonzero(shared))
        self.shared = None if self.n_allowed == n_items else shared

    def of_users(self, chosen: NDArray[np.int64]) -> "_Mask":
        """Return the mask of some of the users."""
        if len(chosen) == len(self._histories):
            return self
        parts = [mask if mask is None or mask.ndim == 1 else mask[chosen] for mask in (self.excluded, self.allowed)]
        return _Mask(_of_users(self._histories, chosen), self._n_items, *parts, repeats=self._repeats)

    def is_narrow(self, width: int) -> bool:
        """Return whether all that is allowed to anybody may as well be reranked."""
        return self.shared is not None and self.n_allowed <= width

    def listed(self) -> Rows:
        """Return the rows that somebody is allowed, ascending."""
        return np.flatnonzero(np.ones(self._n_items, dtype=np.bool_) if self.shared is None else self.shared)

    def without_banned(self, rows: Rows) -> Rows:
        """Return the rows (B, C) with -1 for each that this user must not be given."""
        banned = rows < 0
        if not self._repeats:
            banned |= (rows[:, :, None] == self._histories.items[:, None, :]).any(axis=2)
        at = np.maximum(rows, 0)
        if self.excluded is not None:
            banned |= _looked_up(self.excluded, at)
        if self.allowed is not None:
            banned |= ~_looked_up(self.allowed, at)
        return np.where(banned, -1, rows)


def _for_each(rows: Rows, n_users: int) -> Rows:
    return np.broadcast_to(rows, (n_users, len(rows)))


def _looked_up(mask: NDArray[np.bool_], rows: Rows) -> NDArray[np.bool_]:
    """Return what a mask (N,) or (B, N) says about rows (B, C)."""
    return mask[rows] if mask.ndim == 1 else np.take_along_axis(mask, rows, axis=1)


def _of_users(histories: HistoryBatch, chosen: NDArray[np.int64]) -> HistoryBatch:
    if len(chosen) == len(histories):
        return histories
    return histories.taken(chosen)


def _best(logits: Array, rows: Rows, n: int) -> RankedLists:
    """Return the n best of candidates (B, C) whose rows ascend, so that a stable order gives ties to the lower row."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :n]
    best = np.take_along_axis(logits, order, axis=1)
    ranked = RankedLists(np.full((len(rows), n), -1, dtype=np.int64), np.zeros((len(rows), n), dtype=np.float32))
    ranked.rows[:, : best.shape[1]] = np.take_along_axis(rows, order, axis=1)
    ranked.scores[:, : best.shape[1]] = sigmoid(best)
    return ranked


def _with_one(users: Array) -> Array:
    """Return user vectors (B, D + 1) that meet an item's bias with a one."""
    return np.concatenate([users, np.ones((len(users), 1), dtype=np.float32)], axis=1)


def _padded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors with zeros behind, up to a whole number of registers."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % REGISTER_FLOATS))))


def _faiss() -> Any:
    """Return the package.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        import faiss  # noqa: PLC0415 - an extra: only large catalogues need it
    except ModuleNotFoundError:
        raise ValueError(
            "RetrievingRanker: the package faiss is required, got none; install it with "
            "pip install 'reelstream[large]', or rank exactly with REELSTREAM_RETRIEVAL=exact"
        ) from None
    return faiss


def _made_up(ranker: Ranker, n: int, generator: np.random.Generator) -> HistoryBatch:
    """Return histories of n users as the item vectors suggest them: some of the nearest items of a random one.

    Lengths, gaps (from seconds to weeks between two events) and identities are spread evenly.
    """
    length, n_items = ranker.snapshot.config.history_length, len(ranker)
    pool = np.sort(generator.choice(n_items, min(n_items, POOL_ITEMS), replace=False))
    factors = ranker.snapshot.weights["item_factors"][pool]
    directions = directed(factors)
    near = min(len(pool), 4 * length)
    items = np.full((n, length), -1, dtype=np.int64)
    for user, seed in enumerate(generator.choice(len(pool), n)):
        n_events = generator.integers(1, length + 1)
        nearest = pool[np.argsort(-(directions @ directions[seed]), kind="stable")[:near]]
        items[user, : min(n_events, near)] = generator.permutation(nearest)[:n_events]
    gap_ms = 10.0 ** generator.uniform(3.0, 9.0, (n, 1))
    users = generator.integers(-1, len(ranker.users), n)
    times = np.cumsum(generator.exponential(gap_ms, (n, length)), axis=1).astype(np.int64)
    weights = generator.uniform(0.2, 1.0, (n, length)).astype(np.float32)
    return HistoryBatch(users, items, times, weights, weights)


POOL_ITEMS = 1 << 14  # among which the neighbours of a made-up history are sought
