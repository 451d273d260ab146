"""Learning the blend: which features of a user and an item tell what is touched next, by how much is known of the user.

Test, then learn: each event is one that neither the version nor the counts have seen, and one that was liked: to learn
from the others would bring back what users have just turned away from. The event's item must stand out among all items
that its user does not know: a softmax regression over the catalogue. Newton's method finds the weights
under a Gaussian prior, which is what earlier rounds have left; the precision of the result is the prior of the next
round. Older rounds fade, so that the weights follow a stream that changes.

Of a catalogue the items that lead are taken, and a random choice of the others, which stand for the rest: each counts
as often as there are others for one that was drawn [1]_.

References
----------
.. [1] Bengio and Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic language
   model", IEEE Transactions on Neural Networks 2008 (a softmax estimated from a sample).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.history import Mode
from model.network.blend import (
    COLD_FEATURES,
    FEATURES,
    KNOTS,
    LENGTHS,
    MODES,
    Blend,
    feature,
    first_precision,
    knot_shares,
)
from model.ranking.exact import Ranker
from model.ranking.signals import Signals
from model.training.held_out import HeldOutEvent, Questions
from model.vocabulary import Rows

__all__ = ["SHORT", "learnt_blend"]

MAX_TESTS = 1200  # of a round; as many again change the weights by less than their standard errors
MAX_SHORT = 400  # of them, of users with fewer known items than SHORT: they are few, and a random choice has hardly any
SHORT = 10
LEADING, OTHERS = 100, 160  # items of each mode that lead, and random others
NEWTON_STEPS = 6
MAX_STEP = 2.0  # of a weight, in one step
MIN_USERS = 10  # fewer are no sample of those who come
MAX_SHARE = 0.1  # of the events, that one user may speak for
FADING = 0.95  # of what was learnt before, in a round
SCORES_AT_ONCE = 1 << 23  # of users and items: 32 MiB
TESTED_PAIRS = 1 << 26  # of events and items in a round: a large catalogue is asked about fewer events


@dataclass(frozen=True, slots=True)
class _Tests:
    """What Newton's method reads of T events with C items each, the one that came first.

    Parameters
    ----------
    features : float32 (T, C, F).
    standing : float32 (T, C), logarithm of how many items each stands for, minus infinity for none.
    lengths : int64 (T,), known items.
    weights : float64 (T,), how much each event counts.
    """

    features: Tensor
    standing: Tensor
    lengths: Rows
    weights: Tensor


def learnt_blend(
    ranker: Ranker, signals: Signals, tests: Sequence[HeldOutEvent], generator: np.random.Generator
) -> Blend:
    """Return the blend of a version after some events, which it has not learnt from.

    Parameters
    ----------
    ranker : of the version.
    signals : what trended before the events.
    tests : the events; a random choice is taken of many. Those with an item that the version does not know say nothing,
        and those that are not positive nothing either. Nothing is learnt from fewer than ten users.
    generator : of the choices.
    """
    before = ranker.snapshot.blend()
    chosen = _chosen(ranker, tests, generator)
    if len({test.before.user_id for test in chosen}) < MIN_USERS:
        return before
    read = _read(ranker, signals, chosen, generator)
    after = Blend()
    for number, mode in enumerate(MODES):
        names = COLD_FEATURES if mode == "cold_start" else FEATURES
        after.weights[number], after.precision[number] = _newton(before, number, names, read)
    hits = torch.stack([_hits(after, mode, read) for mode in MODES])  # (2, T)
    place = torch.from_numpy(np.minimum(read.lengths, LENGTHS))
    old_hits, old_tests = (torch.from_numpy(FADING * one) for one in (before.hits, before.tests))
    after.hits = old_hits.index_add_(1, place, (hits * read.weights).float()).numpy()
    after.tests = old_tests.index_add_(0, place, read.weights.float()).numpy()
    return after


def _chosen(ranker: Ranker, tests: Sequence[HeldOutEvent], generator: np.random.Generator) -> list[HeldOutEvent]:
    known = [test for test in tests if test.is_positive and test.item_id in ranker.items]
    known = [known[place] for place in generator.permutation(len(known))]
    most = max(1, min(MAX_TESTS, TESTED_PAIRS // len(ranker)))
    short = [test for test in known if len(test.before.recent) < SHORT][: min(MAX_SHORT, most // 2)]
    taken = set(map(id, short))
    return short + [test for test in known if id(test) not in taken][: most - len(short)]


def _read(ranker: Ranker, signals: Signals, tests: Sequence[HeldOutEvent], generator: np.random.Generator) -> _Tests:
    parts, lengths, asked = [], [], Questions.of(ranker, tests)
    together, among = max(1, SCORES_AT_ONCE // len(ranker)), ranker.linear_items(signals, LEADING)
    for start in range(0, len(tests), together):
        some = asked.taken(np.arange(start, min(start + together, len(tests))))
        histories = some.histories
        lengths.append(histories.lengths())
        known = np.zeros((len(some), len(ranker)), dtype=np.bool_)
        known[some.owners, some.known] = True
        leading = [ranker.foremost(histories, LEADING, known, signals, mode, among) for mode in MODES]
        rows, standing = _drawn(np.concatenate(leading, axis=1), known, some.targets, generator)
        parts.append((torch.from_numpy(ranker.features(histories, rows, signals)), torch.from_numpy(standing)))
    features, standing_of = (torch.cat(column) for column in zip(*parts, strict=True))
    return _Tests(features, standing_of, np.concatenate(lengths), torch.from_numpy(_weights(tests)))


def _weights(tests: Sequence[HeldOutEvent]) -> NDArray[np.float64]:
    """Return how much each event counts, 0..1: all events of one user together as much as a tenth of the events."""
    _, owner, counts = np.unique([test.before.user_id for test in tests], return_inverse=True, return_counts=True)
    return np.minimum(1.0, MAX_SHARE * len(tests) / counts[owner])


def _drawn(
    leading: Rows, known: NDArray[np.bool_], targets: Rows, generator: np.random.Generator
) -> tuple[Rows, NDArray[np.float32]]:
    """Return items for each event, its own first, int64 (B, C), and the logarithm of how many each stands for.

    Others are drawn with replacement. One that leads, is known or was drawn before stands for none.

    leading : int64 (B, M), some of them twice.   known : bool (B, N).   targets : int64 (B,).
    """
    n_users, n_items = known.shape
    others = (
        np.broadcast_to(np.arange(n_items), known.shape)
        if n_items <= leading.shape[1] + OTHERS
        else generator.integers(0, n_items, (n_users, OTHERS))
    )
    rows = np.concatenate([targets[:, None], leading, others], axis=1)
    order = np.argsort(rows, axis=1, kind="stable")
    counts = ~np.take_along_axis(known, rows, axis=1)
    is_second = np.diff(np.take_along_axis(rows, order, axis=1), prepend=-1, axis=1) == 0
    np.put_along_axis(counts, order, np.take_along_axis(counts, order, axis=1) & ~is_second, axis=1)
    counts[:, 0] = True
    is_other = np.arange(rows.shape[1]) > leading.shape[1]
    drawn, chosen = counts[:, is_other].sum(axis=1), counts[:, ~is_other].sum(axis=1)
    known[np.arange(n_users), targets] = False  # it is among the chosen
    left = n_items - known.sum(axis=1) - chosen
    share = np.log(np.maximum(left, 1) / np.maximum(drawn, 1))[:, None]
    standing = np.where(counts, np.where(is_other, share, 0.0), -np.inf)
    return rows, standing.astype(np.float32)


def _newton(
    before: Blend, number: int, names: Sequence[str], read: _Tests
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weights of a mode, float32 (K, F), and their precision, float32 (K * F, K * F), after some events."""
    columns = [feature(name) for name in names]
    free = np.array([knot * len(FEATURES) + column for knot in range(len(KNOTS)) for column in columns])
    first, held = (torch.from_numpy(one).double() for one in (first_precision(), before.precision[number].copy()))
    first = first[free][:, free]
    prior = first + FADING * (held[free][:, free] - first)
    start = torch.from_numpy(before.weights[number][:, columns]).double()  # (K, f)
    shares = torch.from_numpy(knot_shares(read.lengths)).double()  # (T, K)
    features, weights = read.features[:, :, columns], start.clone()
    precision = prior
    for _ in range(NEWTON_STEPS):
        gradient, information = _derivatives(features, read, shares, weights)
        precision = prior + information
        step = torch.linalg.solve(precision, gradient - prior @ (weights - start).reshape(-1))
        longest = float(step.abs().max())
        weights = weights + (step * min(1.0, MAX_STEP / max(longest, 1.0e-12))).view_as(weights)
        if longest < 0.01:  # noqa: PLR2004 - far below a standard error
            break
    found, kept = before.weights[number].copy(), before.precision[number].copy()
    found[:, columns] = weights.float().numpy()
    kept[np.ix_(free, free)] = precision.float().numpy()
    return found, kept


def _derivatives(features: Tensor, read: _Tests, shares: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of the log likelihood (K * f,) and its negative Hessian (K * f, K * f)."""
    mixed = shares @ weights  # (T, f)
    chance = torch.softmax(torch.einsum("tcf,tf->tc", features, mixed.float()) + read.standing, dim=1)
    mean = torch.einsum("tc,tcf->tf", chance, features)
    spread = torch.einsum("tc,tcf,tcg->tfg", chance, features, features) - mean[:, :, None] * mean[:, None, :]
    counted = shares * read.weights[:, None]  # (T, K)
    gradient = counted.T @ (features[:, 0] - mean).double()  # (K, f)
    information = torch.einsum("tk,tl,tfg->kflg", counted, shares, spread.double())
    n = gradient.numel()
    return gradient.reshape(-1), information.reshape(n, n)


def _hits(blend: Blend, mode: Mode, read: _Tests) -> Tensor:
    """Return bool (T,), whether the item that came is among the ten best."""
    weights = torch.from_numpy(blend.at(read.lengths, mode))
    scores = torch.einsum("tcf,tf->tc", read.features, weights)
    ahead = (scores[:, 1:] > scores[:, :1]) & torch.isfinite(read.standing[:, 1:])
    return ahead.sum(dim=1) < LIST_LENGTH


LIST_LENGTH = 10  # of the lists that a hand-over is chosen for
