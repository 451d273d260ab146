"""Ranking: the best items of a whole catalogue for many users at once, exactly.

A score is the blend of what the network, the counts, long-term taste and what is popular say of an item, by the weights
of the version for the user's mode and number of known items. The item side of every part is computed once per snapshot.
For a batch of users the history tower runs once, and then the two heads are a few dense products over blocks small
enough for a core's cache. Scoring given candidates reads from the same scores, so an evaluation measures what is
served.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from model.arithmetic import directed, leading, sigmoid
from model.history import Interaction, Mode, Profile
from model.network.blend import EVIDENCE, FEATURES, STATIC, feature
from model.network.cooccurrence import DEPTH, KERNELS, EvidenceReader, RecentItems, kernel_weights
from model.network.served import ServedNetwork
from model.network.snapshot import Snapshot
from model.ranking.approval import Approval, ApprovalConfig, approval_shares
from model.ranking.leave_one_out import GENRE_DEPTH, GENRE_HALF_LIFE, TASTE_SCALE, LeaveOneOut
from model.ranking.signals import Signals
from model.vocabulary import Rows, Vocabulary

__all__ = ["Asking", "HistoryBatch", "LinearItems", "RankedLists", "Ranker", "history_batch", "recent_of"]

BLOCK_FLOATS = 1 << 17  # of the first MLP layer: 512 KiB, so that a core's cache holds it and what it is compared with
SUMS_AT_ONCE = 1 << 18  # of what the counts say: 1 MiB
MIN_USERS_PER_THREAD = 16  # fewer are not worth waking another one for
USERS_PER_READ = 32  # by the tower: its activations then fit the cache as well
LINEAR_ITEMS = 64  # at which the slope of the MLP is taken
MANY_ITEMS = 1 << 14  # above it the counts say something of a small part of them, for each user
PAIRS_PER_RERANK = 1 << 13  # of user and item: 3 MiB of item vectors
HEADS, GENRES, TASTE = feature("heads"), feature("genres"), feature("taste")
_STATIC = [feature(name) for name in STATIC]
_Products = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """What the network reads about a batch of users.

    Parameters
    ----------
    users : int64 (B,), user rows, -1 if unknown.
    items : int64 (B, L), rows of known items, distinct unless repeats count, oldest first, -1 as padding at the end.
    times : int64 (B, L), milliseconds.
    weights : float32 (B, L), how much each interaction counts, 0..1.
    likings : float32 (B, L), how much each says that the user liked the item, -1..1, below 0 if not.
    """

    users: Rows
    items: Rows
    times: Rows
    weights: NDArray[np.float32]
    likings: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)

    def lengths(self) -> Rows:
        """Return how many items of each user are known, int64 (B,)."""
        return np.asarray(np.count_nonzero(self.items >= 0, axis=1))

    def taken(self, chosen: slice | NDArray[np.int64]) -> "HistoryBatch":
        """Return a part of the batch."""
        rows = self.users[chosen], self.items[chosen], self.times[chosen]
        return HistoryBatch(*rows, self.weights[chosen], self.likings[chosen])


@dataclass(frozen=True, slots=True)
class Asking:
    """What B users bring to the score of any item of a large catalogue, for items that are scored some at a time.

    Parameters
    ----------
    vectors : float32 (B, D), of the network; None where its heads count for nobody.
    heads : float32 (B,), how much they count.
    texts : float32 (B, T), what each user asks for, if anything.
    products : features that are inner products, by name: users' float32 (B, M) and items' (M, N).
    users, items : int64 (K,), the pairs of user and item of which the counts say something.
    said : float32 (K,), what that adds to the logit.
    """

    vectors: NDArray[np.float32] | None
    heads: NDArray[np.float32]
    texts: NDArray[np.float32] | None
    products: _Products
    users: Rows
    items: Rows
    said: NDArray[np.float32]

    def taken(self, chosen: Rows) -> "Asking":
        """Return some of the users, int64 (C,), distinct."""
        place = np.full(len(self.heads), -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.users] >= 0
        return Asking(
            None if self.vectors is None else self.vectors[chosen],
            self.heads[chosen],
            None if self.texts is None else self.texts[chosen],
            {name: (left[chosen], right) for name, (left, right) in self.products.items()},
            place[self.users[kept]],
            self.items[kept],
            self.said[kept],
        )


class LinearItems:
    """Some of N items, whose scores are inner products and what the counts say.

    The features of an item are put side by side once, for all users who ask. One product then takes the place of one
    for each feature, whose results would have to be added up.

    Parameters
    ----------
    rows : int64 (R,), ascending, the items.
    n : of all items.
    """

    def __init__(self, rows: Rows, n: int) -> None:
        self.rows = rows
        self._place = np.full(n, -1)
        self._place[rows] = np.arange(len(rows))
        self._by_names: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def logits(self, asking: Asking) -> NDArray[np.float32]:
        """Return the logits of the items for users without vectors of the network, float32 (B, R).

        asking : of users whose products have the same right sides in every call.
        """
        lefts = [left for left, _ in asking.products.values()]
        logits = np.concatenate(lefts, axis=1) @ self._joined(asking.products).T
        place = self._place[asking.items]
        is_here = place >= 0
        logits[asking.users[is_here], place[is_here]] += asking.said[is_here]
        return np.asarray(logits)

    def _joined(self, products: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]) -> NDArray[np.float32]:
        """Return the right sides of the products side by side, as they are kept: float32 (R, M)."""
        names = tuple(products)
        if names not in self._by_names:
            self._by_names[names] = np.concatenate([right.T[self.rows] for _, right in products.values()], axis=1)
        return self._by_names[names]


@dataclass(frozen=True, slots=True)
class RankedLists:
    """The best items of each user, best first.

    Parameters
    ----------
    rows : int64 (B, n), item rows; -1 where fewer than n items were left.
    scores : float32 (B, n), the network's sigmoid, 0..1; 0 where ``rows`` is -1.
    """

    rows: Rows
    scores: NDArray[np.float32]


def history_batch(
    profiles: Sequence[Profile], items: Vocabulary, users: Vocabulary, length: int, *, repeats: bool = False
) -> HistoryBatch:
    """Return the histories of users as rows: the newest ``length`` known distinct items of each.

    Unknown items are left out; a user unknown to ``users`` gets row -1. With ``repeats`` an item stands wherever it was
    touched, as in the training of such a version.
    """
    histories = [_newest_known(profile.recent, items, length, repeats=repeats)[::-1] for profile in profiles]
    batch = _empty_batch(len(profiles), max([1, *map(len, histories)]))
    batch.users[:] = users.rows(profile.user_id for profile in profiles)
    for place, history in enumerate(histories):
        if history:
            rows, times, weights, likings = zip(*history, strict=True)
            batch.items[place, : len(rows)] = rows
            batch.times[place] = times[-1]
            batch.times[place, : len(rows)] = times
            batch.weights[place, : len(rows)] = weights
            batch.likings[place, : len(rows)] = likings
    return batch


def _newest_known(
    recent: Sequence[Interaction], items: Vocabulary, length: int, *, repeats: bool
) -> list[tuple[int, int, float, float]]:
    """Return row, time, weight and liking of the newest known interactions, distinct unless repeats count."""
    found: list[tuple[int, int, float, float]] = []
    met: set[str] = set()
    for one in recent:
        if one.item_id in met and not repeats:
            continue
        met.add(one.item_id)
        if (row := items.row(one.item_id)) >= 0:
            found.append((row, one.ts, one.weight, one.liking))
            if len(found) == length:
                break
    return found


def _empty_batch(n: int, length: int) -> HistoryBatch:
    """Return ``n`` unknown users without history, to be filled."""
    return HistoryBatch(
        np.full(n, -1, dtype=np.int64),
        np.full((n, length), -1, dtype=np.int64),
        np.zeros((n, length), dtype=np.int64),
        np.zeros((n, length), dtype=np.float32),
        np.zeros((n, length), dtype=np.float32),
    )


class Ranker:
    """Ranks all items of a snapshot.

    Parameters
    ----------
    snapshot : the version to serve; it is read, never changed.
    block : floats of the first MLP layer held at once, which bounds the memory of a call.
    threads : among which a batch of users is divided. Each takes its users from tower to scores by itself. The threads
        of NumPy's library would wait for each other after every product, so leave those at one.
    approval : how much it counts whether a user will like an item.

    Attributes
    ----------
    is_exact : whether :meth:`rank` scores the whole catalogue, so that it costs what :meth:`logits` does.

    Raises
    ------
    ValueError
        If the snapshot has no items, or there is no thread.
    """

    is_exact = True

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        block: int = BLOCK_FLOATS,
        threads: int = 1,
        approval: ApprovalConfig | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError(f"Ranker: threads must be at least 1, got {threads!r}")
        if not snapshot.items:
            raise ValueError("Ranker: a snapshot with items is required, got none; train one first")
        self.snapshot = snapshot
        self._block = block
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ranking") if threads > 1 else None
        self.items = Vocabulary(snapshot.items)
        self.users = Vocabulary(snapshot.users)
        self._network = network = ServedNetwork(snapshot)
        self._evidence, self._taste, self._side = network.evidence, network.taste, network.side
        self._approval = Approval(snapshot.weights, self._evidence, approval)
        belongs = snapshot.weights["item_genres"]
        self._genres = directed(belongs * _rarity(belongs))
        counts = [snapshot.weights[f"evidence.{name}"] for name in ("touched", "newcomers")]
        self._counts = np.log1p(np.stack(counts))  # (2, N)
        self._blend = snapshot.blend()
        self._leave_one_out = LeaveOneOut(network, self._blend, self._genres, self._approval)
        self._nothing_trends = Signals.none(len(snapshot.items))
        self._last_static: tuple[Signals | None, NDArray[np.float32]] = (None, self._counts)

    @cached_property
    def _directions(self) -> NDArray[np.float32]:
        """Return the directions of the items' vectors, float32 (N, D): not asked for in every use of a ranker."""
        return directed(self._network.item_factors)

    @property
    def handover(self) -> int | None:
        """Return from how many known items on this version's personalised lists are expected to hit more, if known."""
        return self._blend.handover()

    @property
    def is_blend_learnt(self) -> bool:
        """Return whether this version's blend has learnt from events."""
        return self._blend.is_learnt

    def __len__(self) -> int:
        return len(self.items)

    def histories(self, profiles: Sequence[Profile]) -> HistoryBatch:
        """Return what the network reads about these users."""
        config = self.snapshot.config
        return history_batch(profiles, self.items, self.users, config.history_length, repeats=config.repeats)

    def known_items(self, profile: Profile) -> int:
        """Return how many distinct recent items of a user the snapshot knows."""
        return sum(item_id in self.items for item_id in {one.item_id for one in profile.recent})

    def trend_weights(self, histories: HistoryBatch) -> NDArray[np.float32]:
        """Return what trending and newcomers' trending count in cold-start lists: float32 (B, 2)."""
        names = ("trending", "newcomers_trending")
        weights = self._blend.at(histories.lengths(), "cold_start")[:, [feature(name) for name in names]]
        return np.asarray(weights)

    def warm_up(self) -> None:
        """Rank for one made-up user, so that the first real one does not pay for lazy set-up."""
        batch = _empty_batch(1, self.snapshot.config.history_length)
        batch.items[:, 0] = 0
        self.rank(batch, 10)

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
        """Return each user's ``n`` best items, never one of their history unless the version keeps repeats.

        Parameters
        ----------
        histories : of B users.
        n : items per user.
        excluded : bool (B, N), True where an item must not be returned.
        allowed : bool (N,) or (B, N), True where it may be.
        texts : float32 (B, T), what each user asks for, from ``model.network.intent``; zeros for nothing.
        signals : what trends now; nothing does if None.
        mode : whose weights of the blend count.

        Returns
        -------
        Ranked
            Best first, ties to the lower row; -1 where fewer than ``n`` items are left.

        Raises
        ------
        ValueError
            If ``n`` is not positive or a mask has another shape.
        FloatingPointError
            If a score is not a number.
        """
        if n < 1:
            raise ValueError(f"Ranker.rank: n must be at least 1, got {n!r}")
        return self.best(self.logits(histories, texts, signals, mode), histories, n, excluded=excluded, allowed=allowed)

    def best(
        self,
        logits: NDArray[np.float32],
        histories: HistoryBatch,
        n: int,
        *,
        excluded: NDArray[np.bool_] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> RankedLists:
        """Return each user's ``n`` best items by logits that are known, float32 (B, N); these are changed in place.

        The other parameters, and what is returned, are those of :meth:`rank`.
        """
        if not self.snapshot.config.repeats:
            rows, places = np.nonzero(histories.items >= 0)
            logits[rows, histories.items[rows, places]] = -np.inf
        if excluded is not None:
            np.copyto(logits, -np.inf, where=_fitting("excluded", excluded, logits.shape))
        if allowed is not None and not _fitting("allowed", allowed, logits.shape).all():
            np.copyto(logits, -np.inf, where=~allowed)
        best, chosen = _best(logits, min(n, len(self)))
        result = _empty_ranked(len(histories), n)
        result.rows[:, : best.shape[1]] = np.where(np.isneginf(best), -1, chosen)
        result.scores[:, : best.shape[1]] = sigmoid(best)
        return result

    def score(self, histories: HistoryBatch, rows: Rows) -> NDArray[np.float32]:
        """Return the logits of given items, float32 (B, C), taken from the scores that :meth:`rank` sorts.

        rows : int64 (B, C), item rows.
        """
        return np.take_along_axis(self.logits(histories), rows, axis=1)

    def rerank(
        self,
        histories: HistoryBatch,
        rows: Rows,
        texts: NDArray[np.float32] | None = None,
        signals: Signals | None = None,
        mode: Mode = "personalized",
    ) -> NDArray[np.float32]:
        """Return the logits of given items, float32 (B, C), without computing those of the others.

        They are those of :meth:`logits` up to rounding. Cheaper where C is a small part of the catalogue.

        Parameters
        ----------
        histories : of B users.
        rows : int64 (B, C), item rows.
        texts : float32 (B, T), what each user asks for, if anything.
        signals, mode : as in :meth:`rank`.

        Raises
        ------
        ValueError
            If the rows are not as many as the users, or not all in the catalogue.
        FloatingPointError
            If a logit is not a number or infinite.
        """
        if rows.ndim != 2 or len(rows) != len(histories):  # noqa: PLR2004 - users and items
            raise ValueError(
                f"Ranker.rerank: rows must be int64 ({len(histories)}, C), one line a user, got shape {rows.shape!r}"
            )
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise ValueError(
                f"Ranker.rerank: rows must be 0 to {len(self) - 1}, got {rows.min().item()!r} to {rows.max().item()!r}"
            )
        weights = self._blend.at(histories.lengths(), mode)
        logits = np.zeros(rows.shape, dtype=np.float32)  # (B, C)
        if weights[:, HEADS].any():
            logits += self._heads_of_pairs(histories, rows, texts) * weights[:, HEADS, None]
        if self._evidence is not None:
            found = self._evidence.of_pairs(recent_of(histories), rows)  # (B, C, kernels)
            logits += np.matmul(found, self._evidence_weights(weights)[:, :, None])[:, :, 0]
        for left, right in self._products(histories, weights, signals).values():
            logits += np.einsum("pm,mpc->pc", left, right[:, rows])
        self._add_approval_of(logits, histories, rows)
        _require_finite("Ranker.rerank", logits)
        return logits

    def _heads_of_pairs(
        self, histories: HistoryBatch, rows: Rows, texts: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return what GMF, MLP and biases add to the logits of given items, float32 (B, C)."""
        users = self._user_vectors(histories)
        logits = np.empty(rows.shape, dtype=np.float32)
        step = max(1, PAIRS_PER_RERANK // max(1, rows.shape[1]))
        for start in range(0, len(users), step):
            some = slice(start, start + step)
            asked = None if texts is None else texts[some]
            logits[some] = self._network.pair_logits(users[some], rows[some], asked)
        return logits

    def logits(
        self,
        histories: HistoryBatch,
        texts: NDArray[np.float32] | None = None,
        signals: Signals | None = None,
        mode: Mode = "personalized",
    ) -> NDArray[np.float32]:
        """Return the blended logit of every item for every user: float32 (B, N).

        texts : float32 (B, T), what each user asks for, if anything.
        signals, mode : as in :meth:`rank`.

        Raises
        ------
        FloatingPointError
            If one is not a number or infinite.
        """
        share = max(MIN_USERS_PER_THREAD, -(-len(histories) // self._threads))
        if self._pool is None or len(histories) <= share:
            return self._logits(histories, texts, signals, mode)
        parts = [slice(start, start + share) for start in range(0, len(histories), share)]
        asked = [None if texts is None else texts[part] for part in parts]
        found = self._pool.map(self._logits, map(histories.taken, parts), asked, repeat(signals), repeat(mode))
        return np.concatenate(list(found))

    def features(self, histories: HistoryBatch, rows: Rows, signals: Signals | None = None) -> NDArray[np.float32]:
        """Return what the blend mixes for given items: float32 (B, C, F), in the order of ``FEATURES``.

        rows : int64 (B, C), item rows.
        """
        found = np.zeros((*rows.shape, len(FEATURES)), dtype=np.float32)
        found[:, :, HEADS] = self._heads_of_pairs(histories, rows, None)
        if self._evidence is not None:
            said = self._evidence_of(self._evidence, recent_of(histories), rows) * self._network.evidence_weights
            found[:, :, [feature(name) for name in EVIDENCE]] = said
        if self._taste is not None:
            found[:, :, TASTE] = TASTE_SCALE * self._taste.scores_of(histories.items, rows)
        found[:, :, GENRES] = np.matmul(self._genres[rows], self._liked_genres(histories)[:, :, None])[:, :, 0]
        found[:, :, _STATIC] = np.moveaxis(self._static(signals)[:, rows], 0, 2)
        return found

    def _evidence_of(self, evidence: EvidenceReader, recent: RecentItems, rows: Rows) -> NDArray[np.float32]:
        """Return the features of the counts of given items, float32 (B, C, kernels)."""
        if self.has_many_items:
            return evidence.of_pairs(recent, rows)
        found = np.empty((*rows.shape, len(KERNELS)), dtype=np.float32)
        for some in self._by_sums(len(rows), len(KERNELS)):  # of a few hundred items all may as well be summed
            said = evidence.of_catalogue(recent.taken(some))  # (b, kernels, N)
            found[some] = np.take_along_axis(said, rows[some, None], axis=2).swapaxes(1, 2)
        return found

    def linear_items(self, signals: Signals | None, n: int) -> LinearItems | None:
        """Return what :meth:`foremost` looks among in a large catalogue, to be made once; None for a small one.

        Those are the items that somebody touched or that trend now, where there are ``n`` of them for each user beside
        a whole history. Of the others little tells them apart but genres. Without counts nobody knows what was touched,
        and it looks among all.
        """
        if not self.has_many_items:
            return None
        rows = np.flatnonzero(self._static(signals).any(axis=0))
        is_enough = self._evidence is not None and len(rows) >= n + self.snapshot.config.history_length
        return LinearItems(rows if is_enough else np.arange(len(self)), len(self))

    def foremost(
        self,
        histories: HistoryBatch,
        n: int,
        known: NDArray[np.bool_],
        signals: Signals | None,
        mode: Mode,
        among: LinearItems | None = None,
    ) -> Rows:
        """Return about the ``n`` best unknown items of each user, in any order: int64 (B, n).

        In a large catalogue the MLP is taken for linear, as it is between the user and a few items.

        known : bool (B, N), items that are not wanted.   among : from :meth:`linear_items`, if they are at hand.
        """
        among = among or self.linear_items(signals, n)
        if among is None:
            logits = self.logits(histories, None, signals, mode)
            np.copyto(logits, -np.inf, where=known)
            return leading(logits, min(n, len(self)))
        logits = among.logits(self._made_linear(self.asking(histories, None, signals, mode)))
        _require_finite("Ranker.foremost", logits)
        np.copyto(logits, -np.inf, where=known[:, among.rows])
        return among.rows[leading(logits, min(n, len(among.rows)))]

    def _made_linear(self, asking: Asking) -> Asking:
        """Return askers whose heads and approval are inner products as the rest is."""
        approval = {"of_items": (np.ones((len(asking.heads), 1), np.float32), self._approval.of_items[None])}
        if asking.vectors is None:
            return replace(asking, products={**asking.products, **approval})
        some = np.linspace(0, len(self) - 1, LINEAR_ITEMS).astype(np.int64)
        first = self._network.first_user(asking.vectors)
        slopes = self._network.mlp_slopes(first, self._side.hidden[some])  # (B, H1)
        heads = asking.heads[:, None]
        own = {
            "factors": (asking.vectors * heads, self._side.factors.T),
            "hidden": (slopes * heads, self._side.hidden.T),
            "bias": (heads, self._side.bias[None]),
        }
        return replace(asking, vectors=None, products={**asking.products, **approval, **own})

    def _logits(
        self, histories: HistoryBatch, texts: NDArray[np.float32] | None, signals: Signals | None, mode: Mode
    ) -> NDArray[np.float32]:
        if self.has_many_items:
            return self.logits_of(self.asking(histories, texts, signals, mode), slice(0, len(self)))
        weights = self._blend.at(histories.lengths(), mode)  # (B, F)
        if weights[:, HEADS].any():
            logits = self._heads(self._user_vectors(histories), texts)
            logits *= weights[:, HEADS, None]
        else:
            logits = np.zeros((len(histories), len(self)), dtype=np.float32)
        self._add_counts(logits, histories, weights)
        for left, right in self._products(histories, weights, signals).values():
            logits += left @ right
        logits += self._approval.of_items
        _require_finite("Ranker.logits", logits)
        return logits

    def asking(
        self,
        histories: HistoryBatch,
        texts: NDArray[np.float32] | None = None,
        signals: Signals | None = None,
        mode: Mode = "personalized",
    ) -> Asking:
        """Return what users bring to the scores of items, for :meth:`logits_of`.

        Parameters are those of :meth:`logits`.
        """
        weights = self._blend.at(histories.lengths(), mode)  # (B, F)
        vectors = self._user_vectors(histories) if weights[:, HEADS].any() else None
        products = self._products(histories, weights, signals)
        recent = recent_of(histories)
        assert recent.likings is not None, "likings come with every history that is ranked"
        lift, share = self._approval.of_genres(recent)
        if dislikes := bool((recent.likings < 0.0).any()):  # without a dislike approval adds nothing
            products["liked_genres"] = lift, self._approval.genre_shares.T
        users, items, said = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
        if self._evidence is not None:
            wanted = kernel_weights(recent)
            if dislikes:
                wanted = np.concatenate([wanted, wanted[:, -1:] * approval_shares(recent.likings)], axis=1)
            users, items, sums = self._evidence.entries_of_catalogue(recent.items, wanted)
            counted = (self._evidence_weights(weights) * np.sqrt(self._evidence.rescale)).T[:, users]  # (kernels, K)
            said = np.einsum("fk,fk->k", counted, np.sqrt(sums[: len(KERNELS)]))
            if dislikes:
                liked, disliked = sums[len(KERNELS) :] * self._evidence.rescale[-1]
                said += self._approval.following(liked, disliked, share[users, 0])
        return Asking(vectors, weights[:, HEADS], texts, products, users, items, said)

    def logits_of(self, asking: Asking, rows: slice | Rows) -> NDArray[np.float32]:
        """Return the logits of some items, those of :meth:`logits` up to rounding: float32 (B, R).

        rows : int64 (R,), distinct, or a slice of the catalogue.

        Raises
        ------
        FloatingPointError
            If one is not a number or infinite.
        """
        of_items = self._approval.of_items[rows]
        if asking.vectors is None:
            logits = np.zeros((len(asking.heads), len(of_items)), dtype=np.float32)
        else:
            logits = self._heads(asking.vectors, asking.texts, rows)
            logits *= asking.heads[:, None]
        for left, right in asking.products.values():
            logits += left @ right[:, rows]
        logits += of_items
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(of_items))
        at = place[asking.items]
        logits[asking.users[at >= 0], at[at >= 0]] += asking.said[at >= 0]
        _require_finite("Ranker.logits", logits)
        return logits

    def leading_by_popularity(self, n: int, signals: Signals | None = None) -> Rows:
        """Return the rows of the ``n`` items that lead in each feature of items alone, all together: int64 (R,)."""
        return np.unique(leading(self._static(signals), min(n, len(self))))

    def entries_of_counts(self, histories: HistoryBatch) -> tuple[Rows, Rows, NDArray[np.float32]]:
        """Return :meth:`counts` of a large catalogue where they may be other than zero: users, items and scores, (K,).

        Raises
        ------
        ValueError
            If the version keeps no counts.
        """
        evidence = self._counting("entries_of_counts")
        recent = recent_of(histories)
        users, items, sums = evidence.entries_of_catalogue(recent.items, kernel_weights(recent))
        return users, items, np.sqrt(sums * evidence.rescale[:, None]).sum(axis=0)

    @property
    def has_many_items(self) -> bool:
        """Tell whether the catalogue is so large that its items should not all be scored for everybody."""
        return len(self) > MANY_ITEMS

    def _products(
        self, histories: HistoryBatch, weights: NDArray[np.float32], signals: Signals | None
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return both sides of the features that are inner products: askers' float32 (B, M) and items' (M, N).

        The items' sides are views of what is kept, as to copy them would cost more than all else of a few candidates.
        What counts for none of the users is left out.
        """
        found = {}
        if weights[:, GENRES].any():
            found["genres"] = self._liked_genres(histories) * weights[:, GENRES, None], self._genres.T
        if (of_items := weights[:, _STATIC]).any():
            found["static"] = of_items, self._static(signals)
        if self._taste is not None and weights[:, TASTE].any():
            tastes = self._taste.vectors(histories.items) * (TASTE_SCALE * weights[:, TASTE, None])
            found["taste"] = tastes, self._taste.factors.T
        return found

    def _static(self, signals: Signals | None) -> NDArray[np.float32]:
        """Return the features of items alone, float32 (4, N), which are made once for what trends now."""
        now = signals or self._nothing_trends
        signals_of_last, last = self._last_static
        if signals_of_last is now:
            return last
        made = np.concatenate([self._counts, np.stack([now.trending, now.newcomers])])
        self._last_static = now, made
        return made

    def _liked_genres(self, histories: HistoryBatch) -> NDArray[np.float32]:
        """Return the direction of the genres that each user likes, float32 (B, G).

        Newer items count more, and disliked ones not at all: what they cost an item is approval's to say.
        """
        recent = recent_of(histories, GENRE_DEPTH)
        assert recent.likings is not None, "likings come with every history that is ranked"
        places = np.arange(recent.items.shape[1], dtype=np.float32)
        shares = np.exp2(-places / np.float32(GENRE_HALF_LIFE)) * (recent.likings > 0.0)  # (B, J)
        return directed(np.matmul(shares[:, None], self._genres[np.maximum(recent.items, 0)])[:, 0])

    def _evidence_weights(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the features of the evidence are multiplied by, float32 (B, kernels)."""
        return weights[:, [feature(name) for name in EVIDENCE]] * self._network.evidence_weights

    @property
    def has_counts(self) -> bool:
        """Tell whether the version keeps co-occurrence counts."""
        return self._evidence is not None

    def counts(self, histories: HistoryBatch) -> NDArray[np.float32]:
        """Return what the co-occurrence counts alone say of every item for every user: float32 (B, N).

        Raises
        ------
        ValueError
            If the version keeps no counts.
        """
        evidence = self._counting("counts")
        scores = np.zeros((len(histories), len(self)), dtype=np.float32)
        for some in self._by_sums(len(histories), len(KERNELS)):
            evidence.of_catalogue(recent_of(histories.taken(some))).sum(axis=1, out=scores[some])
        return scores

    def _counting(self, where: str) -> EvidenceReader:
        if self._evidence is None:
            raise ValueError(f"Ranker.{where}: a version with co-occurrence counts is required, got one without")
        return self._evidence

    def alike(self, rows: Rows) -> NDArray[np.float32]:
        """Return the mean cosine of every item's vector with those of some items, float32 (N,).

        rows : int64 (R,), item rows, at least one.
        """
        return np.asarray(self._directions @ self._directions[rows].mean(axis=0))

    def contributions(
        self, histories: HistoryBatch, rows: Rows, signals: Signals | None = None, mode: Mode = "personalized"
    ) -> NDArray[np.float32]:
        """Return how much lower the logits of items are without each item of the history: float32 (B, C, L).

        The history is newest first; at places without an item, and for rows that are -1, it is minus infinity. An item
        that stands at several places, where repeats are kept, has the sum of them at each.

        Parameters
        ----------
        rows : int64 (B, C), item rows, -1 for none.
        signals, mode : as in :meth:`rank`.
        """
        recent = recent_of(histories, histories.items.shape[1])
        lost = self._leave_one_out.lost(histories, recent, np.maximum(rows, 0), self._static(signals), mode)
        if self.snapshot.config.repeats:
            lost = lost @ (recent.items[:, :, None] == recent.items[:, None, :]).astype(np.float32)
        is_known = (recent.items >= 0)[:, None, :] & (rows >= 0)[:, :, None]
        return np.where(is_known, lost, np.float32("-inf"))

    def because(
        self, histories: HistoryBatch, rows: Rows, signals: Signals | None = None, mode: Mode = "personalized"
    ) -> Rows:
        """Return for each item the one of the history that speaks most for it, int64 (B, C), -1 for none.

        None is named where the one that speaks most was not liked, or where nothing of the history speaks for it.
        Parameters are those of :meth:`contributions`.
        """
        lost = self.contributions(histories, rows, signals, mode)
        recent = recent_of(histories, histories.items.shape[1])
        assert recent.likings is not None, "likings come with every history that is ranked"
        most = lost.argmax(axis=2)  # (B, C)
        is_liked = np.take_along_axis(recent.likings, most, axis=1) > 0.0
        speaks = np.take_along_axis(lost, most[:, :, None], axis=2)[:, :, 0] > 0.0
        return np.where(speaks & is_liked, np.take_along_axis(recent.items, most, axis=1), -1)

    def go_with(self, row: int) -> tuple[Rows, NDArray[np.float32]]:
        """Return items that the same users touch next to one, best first, and how much: two (K,), 0..1, the first 1.

        The co-occurrence counts say so; where a version keeps none, the cosines of the items' vectors do.
        """
        if self._evidence is not None:
            rows, scores = self._evidence.strongest(row)
        else:
            cosines = self._directions @ self._directions[row]
            rows = np.argsort(-cosines, kind="stable")
            scores = cosines[rows]
        is_other = (rows != row) & (scores > 0.0)
        rows, scores = rows[is_other], scores[is_other]
        return rows, scores / scores.max(initial=np.float32(1e-30))

    def are_popular(
        self, histories: HistoryBatch, rows: Rows, n: int, signals: Signals | None = None
    ) -> NDArray[np.bool_]:
        """Return whether the items of cold-start lists would be there by popularity and trending alone: bool (B, n).

        rows : int64 (B, n), item rows, -1 for none.   n : items of such a list.
        """
        weights = self._blend.at(histories.lengths(), "cold_start")[:, _STATIC]  # (B, 4)
        static = self._static(signals)
        pool = np.unique(leading(static, min(n + histories.items.shape[1], len(self))))
        last = min(n, len(pool))
        least = np.partition(weights @ static[:, pool], len(pool) - last, axis=1)[:, len(pool) - last, None]
        found = np.einsum("bs,sbn->bn", weights, static[:, np.maximum(rows, 0)])
        return np.asarray(found >= least)

    def _heads(
        self,
        users: NDArray[np.float32],
        texts: NDArray[np.float32] | None = None,
        rows: slice | Rows | None = None,
    ) -> NDArray[np.float32]:
        """Return what GMF, MLP and biases add to the logits of user vectors (B, D): float32 (B, N), or (B, R) of rows.

        rows : int64 (R,), of items, or a slice of them.
        """
        side = self._side if rows is None else self._side.taken(rows)
        vectors, first = self._network.asking(users, texts)  # (B, H1), what users put into the first layer
        logits = vectors @ side.factors.T  # (B, N)
        logits += side.bias
        self._network.add_mlp(logits, first, side, self._block)
        return np.asarray(logits)

    def _add_counts(self, logits: NDArray[np.float32], histories: HistoryBatch, weights: NDArray[np.float32]) -> None:
        """Add what the counts say, and what it is worth that users will like an item, to logits of all items.

        Both read what follows the same recent items, which is looked up once for all of their sums.
        """
        shares = self._evidence_weights(weights)
        for some in self._by_sums(len(histories), len(KERNELS) + 2):
            recent = recent_of(histories.taken(some))
            assert recent.likings is not None, "likings come with every history that is ranked"
            dislikes = bool((recent.likings < 0.0).any())  # without a dislike approval adds nothing
            spoken = None
            if self._evidence is not None:
                wanted = kernel_weights(recent)
                if dislikes:
                    wanted = np.concatenate([wanted, wanted[:, -1:] * approval_shares(recent.likings)], axis=1)
                sums = self._evidence.sums_of_catalogue(recent.items, wanted)  # (b, kernels or + 2, N)
                spoken = sums[:, len(KERNELS) :] * self._evidence.rescale[-1] if dislikes else None
                roots = np.sqrt(sums[:, : len(KERNELS)], out=sums[:, : len(KERNELS)])
                counted = shares[some] * np.sqrt(self._evidence.rescale)
                logits[some] += np.matmul(counted[:, None], roots)[:, 0]
            if dislikes:
                logits[some] += self._approval.of_users(recent, spoken)

    def _by_sums(self, n_users: int, sums: int) -> Iterator[slice]:
        """Give users by so many that their sums over all items are few enough to be held at once."""
        together = max(1, min(USERS_PER_READ, SUMS_AT_ONCE // (sums * len(self))))
        for start in range(0, n_users, together):
            yield slice(start, start + together)

    def _add_approval_of(self, logits: NDArray[np.float32], histories: HistoryBatch, rows: Rows) -> None:
        """Add what it is worth that users will like an item to the logits of rows: int64 (B, C)."""
        logits += self._approval.of_items[rows]
        for start in range(0, len(histories), USERS_PER_READ):
            some = slice(start, start + USERS_PER_READ)
            part = histories.taken(some)
            if (part.likings < 0.0).any():  # without a dislike nothing is added
                logits[some] += self._approval.of_pairs(recent_of(part), rows[some])

    def _user_vectors(self, histories: HistoryBatch) -> NDArray[np.float32]:
        """Return float32 (B, D)."""
        starts = range(0, len(histories), USERS_PER_READ)
        parts = [self._read(histories.taken(slice(start, start + USERS_PER_READ))) for start in starts]
        return np.concatenate(parts) if parts else np.empty((0, self.snapshot.config.factors), dtype=np.float32)

    def _read(self, histories: HistoryBatch) -> NDArray[np.float32]:
        return self._network.users_now(histories.users, histories.items, histories.times, histories.weights)


def recent_of(histories: HistoryBatch, depth: int = DEPTH) -> RecentItems:
    """Return the newest ``depth`` items of the same histories newest first, as the evidence reads them."""
    lengths = (histories.items >= 0).sum(axis=1)
    place = lengths[:, None] - 1 - np.arange(min(depth, histories.items.shape[1]))  # (B, J)
    known, place = place >= 0, np.maximum(place, 0)
    items = np.where(known, np.take_along_axis(histories.items, place, axis=1), -1)
    times = np.take_along_axis(histories.times, place, axis=1)
    gaps_s = (times[:, :1] - times).astype(np.float32) / np.float32(1000.0)
    likings = np.where(known, np.take_along_axis(histories.likings, place, axis=1), np.float32(0.0))
    return RecentItems(items, gaps_s, likings=likings)


def _rarity(genres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each genre says, float32 (G,): its inverse document frequency."""
    one = np.float32(1.0)
    return np.asarray(one + np.log(np.float32(1.0 + len(genres)) / (one + genres.sum(axis=0))))


def _require_finite(where: str, logits: NDArray[np.float32]) -> None:
    if not np.isfinite(logits.sum()) and not np.isfinite(logits).all():  # one that is not spoils the sum
        raise FloatingPointError(
            f"{where}: finite scores are required, got {int((~np.isfinite(logits)).sum())!r} others "
            f"of {logits.size!r}; roll back to an earlier version"
        )


def _empty_ranked(n_users: int, n: int) -> RankedLists:
    """Return lists without items, to be filled."""
    return RankedLists(np.full((n_users, n), -1, dtype=np.int64), np.zeros((n_users, n), dtype=np.float32))


def _fitting(name: str, mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask.dtype != np.bool_ or mask.shape not in (tuple(shape), (shape[1],)):
        raise ValueError(
            f"Ranker.rank: {name} must be bool of shape {tuple(shape)!r}, got {mask.dtype!r} {mask.shape!r}"
        )
    return mask


def _best(logits: NDArray[np.float32], n: int) -> tuple[NDArray[np.float32], Rows]:
    """Return the n highest logits (B, n) and their columns, best first, ties to the lower column."""
    chosen = np.sort(leading(logits, n), axis=1)
    least = np.take_along_axis(logits, chosen, axis=1).min(axis=1, keepdims=True)  # (B, 1)
    crowded = np.count_nonzero(logits >= least, axis=1) > n  # more items share the last place than fit
    for user in np.flatnonzero(crowded).tolist():
        chosen[user] = np.sort(np.argsort(-logits[user], kind="stable")[:n])
    best = np.take_along_axis(logits, chosen, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(chosen, order, axis=1)
