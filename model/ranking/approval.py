"""Approval: how likely a user is to like an item, beside how likely they are to touch it next.

The network tells what comes next, and people do touch what they then rate low. Three terms are added to its logits
where lists are made, and nowhere in training. Each is the logarithm of a smoothed share over the share to be expected,
and zero where nothing is known or nothing was disliked.

- Of an item: the share of its events that are positive, over that of all events.
- Of a user and a genre: the share of liking among the user's items of that genre, over that among all the user's
  items. An item gets the mean over its genres.
- Of a user and an item: the share of liking among the user's items that the item followed in the stream, each counted
  as much as it speaks for the item, over the same.

Liking is what :attr:`model.history.Interaction.liking` says, so half a star weighs more than a rating just below the
user's middle. ``benchmarks/learning/quality.md`` has what each term is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network.cooccurrence import EvidenceReader, RecentItems
from model.vocabulary import Rows

__all__ = ["Approval", "ApprovalConfig", "approval_shares"]

Array = NDArray[np.float32]
ITEM_PRIOR = 20.0  # events like those of all items, which each item is given
USER_PRIOR = 2.0  # items fully liked, which each user is given
GENRE_PRIOR = 2.0  # items liked as the user's others are, which each genre is given
FOLLOWING_PRIOR = 0.2  # of what speaks for an item that really comes next


@dataclass(frozen=True, slots=True)
class ApprovalConfig:
    """How much each term counts beside a logit; ``benchmarks/learning/approval.py`` chose the defaults.

    Parameters
    ----------
    item, genre, following : weights of the three terms, 0 or more; 0 leaves one out.
    """

    item: float = 0.25
    genre: float = 0.5
    following: float = 1.5

    def __post_init__(self) -> None:
        if not all(0.0 <= weight < inf for weight in (self.item, self.genre, self.following)):
            raise ValueError(f"ApprovalConfig: finite weights of 0 or more are required, got {self!r}")


class Approval:
    """The terms over the items of one version.

    Parameters
    ----------
    weights : of the version.
    evidence : reads its counts; None for a version without them.
    config : how much each term counts.

    Attributes
    ----------
    of_items : float32 (N,), what the share of its positive events adds to an item's logit.
    genre_shares : float32 (N, G), how much of an item each of its genres is.
    """

    def __init__(
        self, weights: Mapping[str, NDArray[Any]], evidence: EvidenceReader | None, config: ApprovalConfig | None = None
    ) -> None:
        self._config = config or ApprovalConfig()
        self.of_items = self._config.item * _lift_of_items(weights["evidence.liked"], weights["evidence.touched"])
        self._evidence = evidence
        self._genres = weights["item_genres"]  # (N, G)
        self.genre_shares = self._genres / np.maximum(self._genres.sum(axis=1, keepdims=True), np.float32(1.0))

    def of_users(self, recent: RecentItems, spoken: Array | None) -> Array:
        """Return what users' likings add to the logit of each item, float32 (P, N).

        Parameters
        ----------
        recent : the users' newest items, with their likings.
        spoken : float32 (P, 2, N), the slowest kernel's sums over what was liked and what was not, scaled to a mean of
            one for what really came next; None for a version without counts.
        """
        lift, share = self.of_genres(recent)
        added = lift @ self.genre_shares.T
        return np.asarray(added if spoken is None else added + self.following(spoken[:, 0], spoken[:, 1], share))

    def of_pairs(self, recent: RecentItems, rows: Rows) -> Array:
        """Return :meth:`of_users` of given items, int64 (P, C), alone: float32 (P, C)."""
        lift, share = self.of_genres(recent)
        added = np.matmul(self.genre_shares[rows], lift[:, :, None])[:, :, 0]
        if self._evidence is None:
            return np.asarray(added)
        liked, disliked = (self._evidence.spoken_for(recent, one, rows) for one in _sides(recent))
        return np.asarray(added + self.following(liked, disliked, share))

    def of_users_without_each(self, recent: RecentItems, rows: Rows) -> Array:
        """Return :meth:`of_pairs` with each recent item left out, and last with none: float32 (P, C, J + 1)."""
        each = [_and_none(one) for one in _sides(recent)]  # (P, J + 1)
        totals = [one.sum(axis=1, keepdims=True) - one for one in each]
        share = ((totals[0] + USER_PRIOR) / (totals[0] + totals[1] + USER_PRIOR))[:, :, None]  # (P, J + 1, 1)
        of_genres = _and_none(self._genres[np.maximum(recent.items, 0)])  # (P, J + 1, G)
        spread = [one[:, :, None] * of_genres for one in each]
        sums = [one.sum(axis=1, keepdims=True) - one for one in spread]
        lift = self._config.genre * _lift(sums[0], sums[1], share, GENRE_PRIOR)  # (P, J + 1, G)
        added = np.matmul(self.genre_shares[rows], lift.swapaxes(1, 2))
        if self._evidence is not None:
            liked, disliked = (self._evidence.spoken_for_without_each(recent, one, rows) for one in _sides(recent))
            added += self.following(liked, disliked, share.swapaxes(1, 2))
        return np.asarray(added)

    def of_genres(self, recent: RecentItems) -> tuple[Array, Array]:
        """Return the weighted lifts of genres, float32 (P, G), and users' shares of liking, (P, 1)."""
        liked, disliked = _sides(recent)
        totals = [one.sum(axis=1, keepdims=True) for one in (liked, disliked)]  # (P, 1)
        share = (totals[0] + USER_PRIOR) / (totals[0] + totals[1] + USER_PRIOR)
        of_genres = self._genres[np.maximum(recent.items, 0)]  # (P, J, G)
        sums = np.matmul(np.stack([liked, disliked], axis=1), of_genres)  # (P, 2, G)
        return self._config.genre * _lift(sums[:, 0], sums[:, 1], share, GENRE_PRIOR), share

    def following(self, liked: Array, disliked: Array, share: Array) -> Array:
        """Return what is added for the items that followed what was liked and what was not, of the shape of these.

        Parameters
        ----------
        liked, disliked : float32, as ``spoken`` in :meth:`of_users`.
        share : of liking, as from :meth:`of_genres`.
        """
        return self._config.following * _lift(liked, disliked, share, FOLLOWING_PRIOR)


def approval_shares(likings: Array) -> Array:
    """Return how much of what a recent item says counts as liked and as disliked: float32 (P, 2, J)."""
    return np.stack([np.maximum(likings, 0.0), np.maximum(-likings, 0.0)], axis=1)


def _and_none(of_items: Array) -> Array:
    """Return what recent items say, (P, J, ...), with zeros behind them; ``np.pad`` takes ten times as long."""
    return np.concatenate([of_items, np.zeros_like(of_items, shape=(len(of_items), 1, *of_items.shape[2:]))], axis=1)


def _sides(recent: RecentItems) -> tuple[Array, Array]:
    """Return how much of each recent item was liked and how much was not, two float32 (P, J)."""
    assert recent.likings is not None, "likings come with every history that is ranked"
    liked, disliked = approval_shares(recent.likings).swapaxes(0, 1)
    return liked, disliked


def _lift(liked: Array, disliked: Array, share: Array, prior: float) -> Array:
    """Return the logarithm of the share of liking, with a prior of so much at ``share``, over ``share``."""
    expected, found = liked + disliked, liked / share
    expected += np.float32(prior)
    found += np.float32(prior)
    found /= expected
    return np.asarray(np.log(found, out=found))


def _lift_of_items(liked: Array, touched: Array) -> Array:
    """Return the same for the events of items, float32 (N,); zeros where no event is positive."""
    if not liked.any():
        return np.zeros_like(liked)
    return _lift(liked, touched - liked, np.asarray(liked.sum() / touched.sum()), ITEM_PRIOR)
