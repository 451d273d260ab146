"""Long-term taste: low-rank factors of who touched what, by implicit alternating least squares [1]_.

The factors explain a table of users and items that holds 1 where an item was touched and 0 elsewhere. A touched cell
counts 1.3 times, any other 0.3 times. Only the items' factors are kept. A user's vector is solved for when it is asked
for, from the items of the history, so that a new user has one after the first event. The order of a history says
nothing here. Where tastes are steady and events are few, order is noise.

The regularisation decides everything on a small log, and the right one differs fourfold between logs. The log itself
chooses it, by each user's latest event. As in [2]_ it grows with the number of touches, here with its square root.

Rounds leave the factors as they are until the log has grown by half. Then all histories are factorised anew. An item
that came in between has no factors, and nobody a taste for it, until then. The network's logit does not read this part.

References
----------
.. [1] Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
.. [2] Rendle et al., "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.metrics.ranking import full_ranks
from model.network.taste import UNTOUCHED, TasteReader
from model.sequences import Sequences
from model.vocabulary import Rows

__all__ = ["STRENGTHS", "Taste"]

STRENGTHS = (0.8, 0.4, 0.2, 0.1, 0.05)  # of the regularisation, strongest first; MovieLens takes 0.2, sparse logs 0.4
SWEEPS = 6  # over users and items; ten are no better
SWEEPS_TRIED = 4  # with a strength that is compared with others
MAX_TRIED_EVENTS = 100_000  # on which strengths are compared
MAX_TESTED = 1024  # users by whom they are compared
GROWTH = 1.5  # of the log since the last factorisation, from which on another one is due
START_SPREAD = 0.1  # standard deviation of the first factors
FLOATS_PER_SOLVE = 1 << 21  # of vectors that are gathered at once: 8 MiB
WIDEST = 1.5  # times its shortest list may be the longest of those that are solved for together
USERS_PER_TEST = 128  # scored at once: with 100,000 items 50 MiB


class Taste(nn.Module):
    """The items' factors, and what they were made from.

    Parameters
    ----------
    n_items : rows; without events their factors are zero.
    width : of the factors.
    """

    factors: Tensor
    strength: Tensor
    events: Tensor
    waiting: Tensor

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.register_buffer("factors", torch.zeros(n_items, width))
        self.register_buffer("strength", torch.full((), STRENGTHS[0]))  # of the regularisation
        self.register_buffer("events", torch.zeros(()))  # that the factors were made from
        self.register_buffer("waiting", torch.zeros(()))  # learnt since then by the rest of the network

    def grow(self, n_items: int) -> None:
        """Add rows for new items, for which there is no taste yet."""
        self.factors = functional.pad(self.factors, (0, 0, 0, n_items - len(self.factors)))

    def part(self, rows: Rows) -> "Taste":
        """Return a copy that has some items alone.

        rows : int64 (R,).
        """
        part = Taste(0, self.factors.shape[1])
        for name, buffer in self.named_buffers():
            setattr(part, name, buffer[torch.from_numpy(rows)] if name == "factors" else buffer.clone())
        return part

    def wait(self, n: int) -> None:
        """Note that the rest of the network learns from ``n`` new events."""
        self.waiting = self.waiting + n

    def reader(self) -> TasteReader:
        """Return what reads the factors as they are now."""
        return TasteReader(self.factors.cpu().numpy(), float(self.strength))

    @property
    def is_due(self) -> bool:
        """Tell whether the log has grown enough for another factorisation."""
        return bool(self.events + self.waiting >= GROWTH * self.events)

    def fit(self, sequences: Sequences, length: int) -> None:
        """Factorise who touched what.

        A repeated item counts once. The same events give the same factors: the first ones are a fixed draw.

        Parameters
        ----------
        sequences : all events that are to be learnt from.
        length : latest items of a history that are read in serving.
        """
        if not len(sequences):
            return
        n_items, width = self.factors.shape
        events = len(sequences)
        sequences = sequences.without_repeats()
        strength = _best_strength(sequences, (n_items, width), length)
        self.factors = _factorised(sequences, (n_items, width), strength, SWEEPS)
        self.strength = torch.tensor(strength)
        self.events, self.waiting = torch.tensor(float(events)), torch.zeros(())


@dataclass(frozen=True, slots=True)
class _Lists:
    """What each user or item met on the other side.

    Parameters
    ----------
    starts : int64 (R,), where each list begins.
    lengths : int64 (R,), of the lists.
    met : int64 (E,), rows of the other side, list after list.
    """

    starts: Rows
    lengths: Rows
    met: Rows

    @classmethod
    def of(cls, owners: Rows, met: Rows, n: int) -> "_Lists":
        """Return the lists of ``n`` owners, given who met what."""
        lengths = np.bincount(owners, minlength=n)
        if (owners[1:] < owners[:-1]).any():
            met = met[np.argsort(owners, kind="stable")]
        return cls(np.cumsum(lengths) - lengths, lengths, met)

    def solved(self, vectors: Tensor, strength: float) -> Tensor:
        """Return the owners' vectors, float32 (R, D), given those of the other side; zero for an empty list."""
        found = torch.zeros(len(self.lengths), vectors.shape[1])
        gram, others = UNTOUCHED * (vectors.T @ vectors), int(vectors.any(dim=1).sum())
        for owners, met in self._alike(vectors):
            held = _held(strength, torch.from_numpy(self.lengths[owners]), others)
            found[torch.from_numpy(owners)] = _least_squares(met, gram, held)
        return found

    def _alike(self, vectors: Tensor) -> Iterator[tuple[Rows, Tensor]]:
        """Give owners of lists of about one length, int64 (R,), with what they met, float32 (R, M, D).

        Shorter lists are padded with zeros; empty ones are left out.
        """
        order = np.argsort(self.lengths, kind="stable")
        order = order[self.lengths[order] > 0]
        ascending, padded, start = self.lengths[order], functional.pad(vectors, (0, 0, 0, 1)), 0
        while start < len(order):
            widest = WIDEST * ascending[start]
            most = max(1, int(FLOATS_PER_SOLVE / (widest * vectors.shape[1])))
            end = min(start + most, int(np.searchsorted(ascending, widest, side="right")))
            owners, place = order[start:end], np.arange(ascending[end - 1])
            inside = place < self.lengths[owners][:, None]
            at = np.where(inside, self.starts[owners][:, None] + place, 0)
            yield owners, functional.embedding(torch.from_numpy(np.where(inside, self.met[at], len(vectors))), padded)
            start = end


def _factorised(sequences: Sequences, shape: tuple[int, int], strength: float, sweeps: int) -> Tensor:
    """Return the factors of items, float32 of the given shape; zero for those that do not occur."""
    user = _user_numbers(sequences)
    of_users = _Lists.of(user, sequences.items, int(user[-1]) + 1)
    of_items = _Lists.of(sequences.items, user, shape[0])
    occurs = torch.from_numpy(of_items.lengths > 0).unsqueeze(1)
    factors = START_SPREAD * torch.randn(shape, generator=torch.Generator().manual_seed(0)) * occurs
    for _ in range(sweeps):
        factors = of_items.solved(of_users.solved(factors, strength), strength)
    return factors


def _least_squares(met: Tensor, gram: Tensor, held: Tensor) -> Tensor:
    """Return the vectors, float32 (R, D), whose products with what they met are nearest to one, and small otherwise.

    met : float32 (R, M, D).   gram : float32 (D, D), of the whole other side.   held : float32 (R,), regularisation.
    """
    normal = torch.baddbmm(gram + torch.diag_embed(held.unsqueeze(1).expand(-1, len(gram))), met.transpose(1, 2), met)
    return torch.cholesky_solve(met.sum(dim=1).unsqueeze(2), torch.linalg.cholesky(normal)).squeeze(2)


def _held(strength: float, lengths: Tensor, others: int) -> Tensor:
    """Return the regularisation of owners of lists of these lengths, float32 (R,), where so many can be met."""
    return strength * torch.sqrt(UNTOUCHED * others + lengths + 1.0)


def _user_numbers(sequences: Sequences) -> Rows:
    """Return for each event the number of its user among those who have events, int64 (E,)."""
    return np.cumsum(np.diff(sequences.users, prepend=sequences.users[:1]) != 0)


def _best_strength(sequences: Sequences, shape: tuple[int, int], length: int) -> float:
    """Return the strength with which each user's latest event is best told from the earlier ones.

    Strengths are tried from the highest on, until one is worse than the one before. What counts is the mean of
    1 / log2(1 + rank) among all items that a user had not touched.
    """
    some = sequences.taken(_user_numbers(sequences) % -(-len(sequences) // MAX_TRIED_EVENTS) == 0)
    starts, counts = some.bounds()
    latest = (starts + counts - 1)[counts > 1]
    is_kept = np.ones(len(some), dtype=np.bool_)
    is_kept[latest] = False
    before, tested = some.taken(is_kept), latest[:: max(1, -(-len(latest) // MAX_TESTED))]
    best, chosen = 0.0, STRENGTHS[0]
    for strength in STRENGTHS if len(tested) else ():
        reader = TasteReader(_factorised(before, shape, strength, SWEEPS_TRIED).numpy(), strength)
        found = _mean_gain(reader, before, some.users[tested], some.items[tested], length)
        if found < best:
            break
        best, chosen = found, strength
    return chosen


def _mean_gain(reader: TasteReader, before: Sequences, users: Rows, items: Rows, length: int) -> float:
    begins, ends = (np.searchsorted(before.users, users, side=side) for side in ("left", "right"))
    gains = []
    for start in range(0, len(users), USERS_PER_TEST):
        batch = slice(start, start + USERS_PER_TEST)
        at = ends[batch, None] - 1 - np.arange(length)
        histories = np.where(at >= begins[batch, None], before.items[np.maximum(at, 0)], -1)
        scores = reader.scores(histories)
        known = np.zeros(scores.shape, dtype=np.bool_)
        for place, (begin, end) in enumerate(zip(begins[batch], ends[batch], strict=True)):
            known[place, before.items[begin:end]] = True
        gains.append(1.0 / np.log2(1.0 + full_ranks(scores, items[batch], known)))
    return float(np.concatenate(gains).mean())
