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

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.network.cooccurrence import EvidenceReader, RecentItems
from model.vocabulary import Rows

__all__ = ["Approval", "ApprovalConfig"]

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
    """

    def __init__(
        self, weights: Mapping[str, Tensor], evidence: EvidenceReader | None, config: ApprovalConfig | None = None
    ) -> None:
        self._config = config or ApprovalConfig()
        self.of_items = self._config.item * _lift_of_items(weights["evidence.liked"], weights["evidence.touched"])
        self._evidence = evidence
        self._genres = weights["item_genres"]  # (N, G)
        self._shares = self._genres / self._genres.sum(dim=1, keepdim=True).clamp(min=1.0)

    def of_users(self, recent: RecentItems, rows: Rows | None = None) -> Tensor:
        """Return what users' likings add to the logit of each item, float32 (P, N), or of rows: float32 (P, C).

        Parameters
        ----------
        recent : the users' newest items, with their likings.
        rows : int64 (P, C), item rows.
        """
        assert recent.likings is not None, "likings come with every history that is ranked"
        liked, disliked = np.maximum(recent.likings, 0.0), np.maximum(-recent.likings, 0.0)  # (P, J)
        totals = [torch.from_numpy(one.sum(axis=1, keepdims=True)) for one in (liked, disliked)]  # (P, 1)
        share = (totals[0] + USER_PRIOR) / (totals[0] + totals[1] + USER_PRIOR)
        of_genres = self._genres[torch.from_numpy(np.maximum(recent.items, 0))]  # (P, J, G)
        sums = [torch.bmm(torch.from_numpy(one).unsqueeze(1), of_genres).squeeze(1) for one in (liked, disliked)]
        lift = self._config.genre * _lift(sums[0], sums[1], share, GENRE_PRIOR)  # (P, G)
        added = lift @ self._shares.T if rows is None else _picked(lift, self._shares[torch.from_numpy(rows)])
        if self._evidence is not None:
            spoken = [self._evidence.spoken_for(recent, one, rows) for one in (liked, disliked)]
            added += self._config.following * _lift(spoken[0], spoken[1], share, FOLLOWING_PRIOR)
        return added

    def of_users_without_each(self, recent: RecentItems, rows: Rows) -> Tensor:
        """Return :meth:`of_users` of rows with each recent item left out, and last with none: float32 (P, C, J + 1)."""
        assert recent.likings is not None, "likings come with every history that is ranked"
        liked, disliked = np.maximum(recent.likings, 0.0), np.maximum(-recent.likings, 0.0)
        each = [functional.pad(torch.from_numpy(one), (0, 1)) for one in (liked, disliked)]  # (P, J + 1)
        totals = [one.sum(dim=1, keepdim=True) - one for one in each]
        share = ((totals[0] + USER_PRIOR) / (totals[0] + totals[1] + USER_PRIOR)).unsqueeze(2)  # (P, J + 1, 1)
        of_genres = functional.pad(self._genres[torch.from_numpy(np.maximum(recent.items, 0))], (0, 0, 0, 1))
        spread = [one.unsqueeze(2) * of_genres for one in each]
        sums = [one.sum(dim=1, keepdim=True) - one for one in spread]
        lift = self._config.genre * _lift(sums[0], sums[1], share, GENRE_PRIOR)  # (P, J + 1, G)
        added = torch.matmul(self._shares[torch.from_numpy(rows)], lift.mT)
        if self._evidence is not None:
            spoken = [self._evidence.spoken_for_without_each(recent, one, rows) for one in (liked, disliked)]
            added += self._config.following * _lift(spoken[0], spoken[1], share.mT, FOLLOWING_PRIOR)
        return added


def _lift(liked: Tensor, disliked: Tensor, share: Tensor, prior: float) -> Tensor:
    """Return the logarithm of the share of liking, with a prior of so much at ``share``, over ``share``."""
    return torch.log((liked / share + prior) / (liked + disliked + prior))


def _lift_of_items(liked: Tensor, touched: Tensor) -> Tensor:
    """Return the same for the events of items, float32 (N,); zeros where no event is positive."""
    if not liked.any():
        return torch.zeros_like(liked)
    return _lift(liked, touched - liked, liked.sum() / touched.sum(), ITEM_PRIOR)


def _picked(lift: Tensor, shares: Tensor) -> Tensor:
    """Return the sums over genres, float32 (P, C), of lifts (P, G) by shares (P, C, G)."""
    return torch.bmm(shares, lift.unsqueeze(2)).squeeze(2)
