"""Ranking: the best items of a whole catalogue for many users at once, exactly.

A score is the blend of what the network, the counts, long-term taste and what is popular say of an item, by the weights
of the version for the user's mode and number of known items. The item side of every part is computed once per snapshot.
For a batch of users the history tower runs once, and then the two heads are a few dense products over blocks small
enough for a core's cache. Scoring given candidates reads from the same scores, so an evaluation measures what is
served.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.history import Mode, Profile, distinct_items
from model.network.blend import EVIDENCE, FEATURES, STATIC, feature
from model.network.cooccurrence import DEPTH, RecentItems
from model.network.neumf import ItemSide
from model.network.snapshot import Snapshot
from model.ranking.approval import Approval, ApprovalConfig
from model.ranking.leave_one_out import GENRE_DEPTH, GENRE_HALF_LIFE, TASTE_SCALE, LeaveOneOut
from model.ranking.signals import Signals
from model.vocabulary import Rows, Vocabulary

__all__ = ["HistoryBatch", "RankedLists", "Ranker", "history_batch", "recent_of"]

BLOCK_FLOATS = 1 << 19  # of the first MLP layer: 2 MiB, about what a core's cache holds
SCORES_PER_ADDITION = 1 << 17  # that evidence is added to: 512 KiB
MIN_USERS_PER_THREAD = 16  # fewer are not worth waking another one for
USERS_PER_READ = 32  # by the tower: its activations then fit the cache as well
PAIRS_PER_RERANK = 1 << 13  # of user and item: 3 MiB of item vectors
HEADS = feature("heads")


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
    histories = []
    for profile in profiles:
        recent = profile.recent if repeats else distinct_items(profile.recent)
        known = [(row, one.ts, one.weight, one.liking) for one in recent if (row := items.row(one.item_id)) >= 0]
        histories.append(known[:length][::-1])
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
    threads : among which a batch of users is divided. Each takes its users from tower to scores by itself. Torch's own
        threads would wait for each other after every operation, so leave those at one.
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
        self._width = max(1, min(len(snapshot.items), block // snapshot.config.hidden[0]))
        self.items = Vocabulary(snapshot.items)
        self.users = Vocabulary(snapshot.users)
        self._network = snapshot.network()
        self._evidence = self._network.evidence_reader()
        self._taste = self._network.taste_reader()
        self._taste_width = 0 if self._taste is None else snapshot.config.taste_factors
        with torch.no_grad():
            self._approval = Approval(snapshot.weights, self._evidence, approval)
            self._side = self._network.item_side()
            self._hidden_columns = self._side.hidden.T.contiguous()  # (H1, N)
            factors = self._network.item_factors
            self._directions = factors / factors.norm(dim=1, keepdim=True).clamp(min=1.0e-12)
            self._genres = functional.normalize(self._network.item_genres * _rarity(self._network.item_genres))
            counts = self._network.evidence
            self._counts = torch.log1p(torch.stack([counts.touched, counts.newcomers]))  # (2, N)
        self._blend = self._network.blend
        self._leave_one_out = LeaveOneOut(
            self._network, self._side, self._evidence, self._taste, self._genres, self._approval
        )
        self._nothing_trends = Signals.none(len(snapshot.items))
        self._last_static: tuple[Signals | None, Tensor] = (None, self._counts)

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
        return sum(one.item_id in self.items for one in distinct_items(profile.recent))

    def trend_weights(self, histories: HistoryBatch) -> NDArray[np.float32]:
        """Return what trending and newcomers' trending count in cold-start lists: float32 (B, 2)."""
        names = ("trending", "newcomers_trending")
        weights = self._blend.at(histories.lengths(), "cold_start")[:, [feature(name) for name in names]]
        return np.asarray(weights.numpy())

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
        logits: Tensor,
        histories: HistoryBatch,
        n: int,
        *,
        excluded: NDArray[np.bool_] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> RankedLists:
        """Return each user's ``n`` best items by logits that are known, float32 (B, N); these are changed in place.

        The other parameters, and what is returned, are those of :meth:`rank`.
        """
        banned = np.zeros(logits.shape, dtype=np.bool_)
        if not self.snapshot.config.repeats:
            rows, places = np.nonzero(histories.items >= 0)
            banned[rows, histories.items[rows, places]] = True
        if excluded is not None:
            banned |= _fitting("excluded", excluded, logits.shape)
        if allowed is not None:
            banned |= ~_fitting("allowed", allowed, logits.shape)
        logits.masked_fill_(torch.from_numpy(banned), float("-inf"))
        best, chosen = _best(logits, min(n, len(self)))
        gone = torch.isneginf(best)
        result = _empty_ranked(len(histories), n)
        result.rows[:, : best.shape[1]] = chosen.masked_fill_(gone, -1).numpy()
        result.scores[:, : best.shape[1]] = best.sigmoid_().numpy()
        return result

    def score(self, histories: HistoryBatch, rows: Rows) -> NDArray[np.float32]:
        """Return the logits of given items, float32 (B, C), taken from the scores that :meth:`rank` sorts.

        rows : int64 (B, C), item rows.
        """
        return self.logits(histories).gather(1, torch.from_numpy(rows)).numpy()

    @torch.no_grad()
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
        wanted, weights = torch.from_numpy(rows), self._blend.at(histories.lengths(), mode)
        logits = torch.zeros(wanted.shape)  # (B, C)
        if weights[:, HEADS].any():
            logits += self._heads_of_pairs(histories, wanted, texts) * weights[:, HEADS, None]
        if self._evidence is not None:
            found = torch.from_numpy(self._evidence.of_pairs(recent_of(histories), rows))  # (B, C, kernels)
            logits += torch.einsum("pck,pk->pc", found, self._evidence_weights(weights))
        for left, right in self._products(histories, weights, signals):
            logits += torch.einsum("pm,mpc->pc", left, right[:, wanted])
        self._add_approval(logits, histories, rows)
        _require_finite("Ranker.rerank", logits)
        return logits.numpy()

    def _heads_of_pairs(self, histories: HistoryBatch, wanted: Tensor, texts: NDArray[np.float32] | None) -> Tensor:
        """Return what GMF, MLP and biases add to the logits of given items, float32 (B, C)."""
        users = self._user_vectors(histories)
        asked = None if texts is None else torch.from_numpy(texts)
        logits = torch.empty(wanted.shape)
        step = max(1, PAIRS_PER_RERANK // max(1, wanted.shape[1]))
        for start in range(0, len(users), step):
            some = slice(start, start + step)
            side, places = self._side_of(wanted[some])
            logits[some] = self._network.pair_logits(users[some], side, places, None if asked is None else asked[some])
        return logits

    def _side_of(self, rows: Tensor) -> tuple[ItemSide, Tensor]:
        """Return the item side of the given rows alone, and where each of them stands in it."""
        flat = rows.flatten()
        return _taken(self._side, flat), torch.arange(len(flat)).view(rows.shape)

    def logits(
        self,
        histories: HistoryBatch,
        texts: NDArray[np.float32] | None = None,
        signals: Signals | None = None,
        mode: Mode = "personalized",
    ) -> Tensor:
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
        return torch.cat(list(found))

    @torch.no_grad()
    def features(self, histories: HistoryBatch, signals: Signals | None = None) -> Tensor:
        """Return what the blend mixes: float32 (B, N, F), in the order of ``FEATURES``."""
        found = torch.zeros(len(histories), len(self), len(FEATURES))
        found[:, :, HEADS] = self._heads(self._user_vectors(histories))
        if self._evidence is not None:
            weights = self._network.evidence.weights.tolist()
            for name, weight, part in zip(
                EVIDENCE, weights, self._evidence.of_catalogue(recent_of(histories)), strict=True
            ):
                found[:, :, feature(name)] = weight * part
        if self._taste is not None:
            found[:, :, feature("taste")] = TASTE_SCALE * self._taste.scores(histories.items)
        found[:, :, feature("genres")] = self._liked_genres(histories) @ self._genres.T
        for name, row in zip(STATIC, self._static(signals), strict=True):
            found[:, :, feature(name)] = row
        return found

    @torch.no_grad()
    def _logits(
        self, histories: HistoryBatch, texts: NDArray[np.float32] | None, signals: Signals | None, mode: Mode
    ) -> Tensor:
        weights = self._blend.at(histories.lengths(), mode)  # (B, F)
        if weights[:, HEADS].any():
            logits = self._heads(self._user_vectors(histories), texts).mul_(weights[:, HEADS, None])
        else:
            logits = torch.zeros(len(histories), len(self))
        self._add_evidence(logits, histories, weights)
        for left, right in self._products(histories, weights, signals):
            logits.addmm_(left, right)
        self._add_approval(logits, histories)
        _require_finite("Ranker.logits", logits)
        return logits

    def _products(
        self, histories: HistoryBatch, weights: Tensor, signals: Signals | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give both sides of the features that are inner products: askers' float32 (B, M) and items' (M, N).

        The items' sides are views of what is kept, as to copy them would cost more than all else of a few candidates.
        """
        yield self._liked_genres(histories) * weights[:, feature("genres"), None], self._genres.T
        yield weights[:, [feature(name) for name in STATIC]], self._static(signals)
        if self._taste is not None:
            tastes = self._taste.vectors(histories.items) * (TASTE_SCALE * weights[:, feature("taste"), None])
            yield tastes, self._network.taste.factors.T[: self._taste_width]

    def _static(self, signals: Signals | None) -> Tensor:
        """Return the features of items alone, float32 (4, N), which are made once for what trends now."""
        now = signals or self._nothing_trends
        signals_of_last, last = self._last_static
        if signals_of_last is now:
            return last
        made = torch.cat([self._counts, torch.from_numpy(np.stack([now.trending, now.newcomers]))])
        self._last_static = now, made
        return made

    def _liked_genres(self, histories: HistoryBatch) -> Tensor:
        """Return the direction of the genres that each user likes, float32 (B, G).

        Newer items count more, and disliked ones not at all: what they cost an item is approval's to say.
        """
        recent = recent_of(histories, GENRE_DEPTH)
        assert recent.likings is not None, "likings come with every history that is ranked"
        items, liked = torch.from_numpy(recent.items), torch.from_numpy(recent.likings > 0.0)
        shares = torch.exp2(-torch.arange(items.shape[1]) / GENRE_HALF_LIFE) * liked
        return functional.normalize(torch.einsum("bj,bjg->bg", shares, self._genres[items.clamp(min=0)]))

    def _evidence_weights(self, weights: Tensor) -> Tensor:
        """Return what the features of the evidence are multiplied by, float32 (B, kernels)."""
        return weights[:, [feature(name) for name in EVIDENCE]] * self._network.evidence.weights.detach()

    @property
    def has_counts(self) -> bool:
        """Tell whether the version keeps co-occurrence counts."""
        return self._evidence is not None

    def counts(self, histories: HistoryBatch) -> Tensor:
        """Return what the co-occurrence counts alone say of every item for every user: float32 (B, N).

        Raises
        ------
        ValueError
            If the version keeps no counts.
        """
        if self._evidence is None:
            raise ValueError("Ranker.counts: a version with co-occurrence counts is required, got one without")
        scores = torch.zeros(len(histories), len(self))
        for part in self._evidence.of_catalogue(recent_of(histories)):
            scores += part
        return scores

    def alike(self, rows: Rows) -> NDArray[np.float32]:
        """Return the mean cosine of every item's vector with those of some items, float32 (N,).

        rows : int64 (R,), item rows, at least one.
        """
        return np.asarray((self._directions @ self._directions[torch.from_numpy(rows)].mean(dim=0)).numpy())

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
        found = self._leave_one_out.lost(histories, recent, np.maximum(rows, 0), self._static(signals), mode)
        lost = found.numpy()
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
            cosines = (self._directions @ self._directions[row]).numpy()
            rows = np.argsort(-cosines, kind="stable")
            scores = cosines[rows]
        is_other = (rows != row) & (scores > 0.0)
        rows, scores = rows[is_other], scores[is_other]
        return rows, scores / scores.max(initial=np.float32(1e-30))

    @torch.no_grad()
    def are_popular(
        self, histories: HistoryBatch, rows: Rows, n: int, signals: Signals | None = None
    ) -> NDArray[np.bool_]:
        """Return whether the items of cold-start lists would be there by popularity and trending alone: bool (B, n).

        rows : int64 (B, n), item rows, -1 for none.   n : items of such a list.
        """
        weights = self._blend.at(histories.lengths(), "cold_start")[:, [feature(name) for name in STATIC]]  # (B, 4)
        static = self._static(signals)
        pool = torch.unique(static.topk(min(n + histories.items.shape[1], len(self)), dim=1).indices)
        least = (weights @ static[:, pool]).topk(min(n, len(pool)), dim=1).values[:, -1:]
        found = torch.einsum("bs,sbn->bn", weights, static[:, torch.from_numpy(np.maximum(rows, 0))])
        return np.asarray((found >= least).numpy())

    def _heads(
        self, users: Tensor, texts: NDArray[np.float32] | None = None, rows: NDArray[np.int64] | None = None
    ) -> Tensor:
        """Return what GMF, MLP and biases add to the logits of user vectors (B, D): float32 (B, N), or (B, R) of rows.

        With relu(x + u) = max(x, -u) + u a layer needs one pass over the pairs instead of two, and what the users
        add to the layer above is computed once a user.
        """
        side, hidden_columns, network = self._side, self._hidden_columns, self._network
        if rows is not None:
            side = _taken(side, torch.from_numpy(rows))
            hidden_columns = side.hidden.T.contiguous()
        weight, fuse = network.second.weight, network.fuse_mlp
        asked = None if texts is None else torch.from_numpy(texts)
        users, first = network.asking(users, asked)  # (B, H1), what users put into the first layer
        second = network.second(first)  # (B, H2), and through it into the second
        logits = torch.addmm(side.bias, users, side.factors.T)  # (B, N): GMF and biases
        logits += (second @ fuse).unsqueeze(1)
        below, above = -first.T.unsqueeze(2), -second.T.unsqueeze(2)  # (H, B, 1)
        together = max(1, self._block // len(hidden_columns) // self._width)
        lower = torch.empty(len(below) * together * self._width)
        upper = torch.empty(len(above) * together * self._width)
        for start in range(0, len(side.bias), self._width):
            columns = hidden_columns[:, start : start + self._width].unsqueeze(1)  # (H1, 1, n)
            for user in range(0, len(users), together):
                some = slice(user, user + together)
                part = logits[some, start : start + self._width]  # (b, n)
                hidden = lower[: len(below) * part.numel()].view(-1, *part.shape)  # (H1, b, n)
                deeper = upper[: len(above) * part.numel()].view(-1, *part.shape)  # (H2, b, n)
                torch.maximum(columns, below[:, some], out=hidden)
                torch.mm(weight, hidden.flatten(1), out=deeper.flatten(1))
                torch.maximum(deeper, above[:, some], out=deeper)
                part += (fuse @ deeper.flatten(1)).view_as(part)
        return logits

    def _add_evidence(self, logits: Tensor, histories: HistoryBatch, weights: Tensor) -> None:
        if self._evidence is None:
            return
        recent, shares = recent_of(histories), self._evidence_weights(weights)
        together = max(1, min(USERS_PER_READ, SCORES_PER_ADDITION // len(self)))
        for start in range(0, len(histories), together):
            chosen = slice(start, start + together)
            for number, part in enumerate(self._evidence.of_catalogue(recent.taken(chosen))):
                logits[chosen].addcmul_(part, shares[chosen, number, None])

    def _add_approval(self, logits: Tensor, histories: HistoryBatch, rows: Rows | None = None) -> None:
        """Add what it is worth that users will like an item to the logits of all items, or of rows: int64 (B, C)."""
        of_items = self._approval.of_items
        logits += of_items if rows is None else of_items[torch.from_numpy(rows)]
        for start in range(0, len(histories), USERS_PER_READ):
            some = slice(start, start + USERS_PER_READ)
            part = histories.taken(some)
            if (part.likings < 0.0).any():  # without a dislike nothing is added
                logits[some] += self._approval.of_users(recent_of(part), None if rows is None else rows[some])

    def _user_vectors(self, histories: HistoryBatch) -> Tensor:
        """Return float32 (B, D)."""
        starts = range(0, len(histories), USERS_PER_READ)
        parts = [self._read(histories.taken(slice(start, start + USERS_PER_READ))) for start in starts]
        return torch.cat(parts) if parts else torch.empty(0, self.snapshot.config.factors)

    def _read(self, histories: HistoryBatch) -> Tensor:
        items = torch.from_numpy(histories.items)
        return self._network.users_now(
            torch.from_numpy(histories.users),
            items.clamp(min=0),
            torch.from_numpy(histories.times),
            torch.from_numpy(histories.weights),
            (items >= 0).sum(dim=1),
        )


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


def _rarity(genres: Tensor) -> Tensor:
    """Return how much each genre says, float32 (G,): its inverse document frequency."""
    return 1.0 + torch.log((1.0 + len(genres)) / (1.0 + genres.sum(dim=0)))


def _taken(side: ItemSide, rows: Tensor) -> ItemSide:
    """Return the side of some rows, int64 (R,)."""
    return ItemSide(side.factors[rows], side.hidden[rows], side.bias[rows])


def _require_finite(where: str, logits: Tensor) -> None:
    if not torch.isfinite(logits.sum()) and not torch.isfinite(logits).all():  # one that is not spoils the sum
        raise FloatingPointError(
            f"{where}: finite scores are required, got {int((~logits.isfinite()).sum())!r} others "
            f"of {logits.numel()!r}; roll back to an earlier version"
        )


def _empty_ranked(n_users: int, n: int) -> RankedLists:
    """Return lists without items, to be filled."""
    return RankedLists(np.full((n_users, n), -1, dtype=np.int64), np.zeros((n_users, n), dtype=np.float32))


def _fitting(name: str, mask: NDArray[np.bool_], shape: torch.Size) -> NDArray[np.bool_]:
    if mask.dtype != np.bool_ or mask.shape not in (tuple(shape), (shape[1],)):
        raise ValueError(
            f"Ranker.rank: {name} must be bool of shape {tuple(shape)!r}, got {mask.dtype!r} {mask.shape!r}"
        )
    return mask


def _best(logits: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the n highest logits (B, n) and their columns, best first, ties to the lower column."""
    best, chosen = logits.topk(n, dim=1)
    crowded = (logits >= best[:, -1:]).sum(dim=1) > n  # more items share the last place than fit
    for user in torch.nonzero(crowded).flatten().tolist():
        order = torch.argsort(logits[user], descending=True, stable=True)[:n]
        best[user], chosen[user] = logits[user, order], order
    chosen, order = chosen.sort(dim=1)
    best = best.gather(1, order)
    order = torch.argsort(best, dim=1, descending=True, stable=True)
    return best.gather(1, order), chosen.gather(1, order)
