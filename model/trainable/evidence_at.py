"""The evidence of many events of a log at once, on the device that trains: what a training reads in every step.

It gives what :class:`model.network.cooccurrence.EvidenceReader` gives for ``recent_at``, but as tensors, and it looks
each pair up by its later item: the recent items of one asker then lie in one row of the table, which is read from the
cache. Of a large catalogue hardly any pair has a count; a table of marks says so at once, and the few others are
searched for. Where few neighbours of each item are kept, these are joined with the sampled items instead
(``model.trainable.followers``).
"""

import numpy as np
import torch
from torch import Tensor

from model.network.cooccurrence import DEPTH, KERNELS, MAX_DENSE_ITEMS, WINDOW_EVENTS, pair_weight
from model.sequences import Sequences
from model.trainable.evidence import Evidence
from model.trainable.followers import MAX_WIDTH, Followers

__all__ = ["EventEvidence", "PairTable"]

MARKS_PER_PAIR = 16  # one look-up in 16 finds the mark of another pair, and is searched for in vain
MAX_MARKS = 1 << 26  # 64 MiB, as much as the dense table takes
SPREADING = 0x1E3779B97F4A7C15  # an odd number whose product spreads keys over the upper bits (Knuth, TAOCP 6.4)


class PairTable:
    """Normalised counts by first and second item.

    Parameters
    ----------
    evidence : read once; later changes are not seen.
    device : where the tables are.
    dense : whether to hold all pairs; as the number of items suggests if None.
    """

    def __init__(self, evidence: Evidence, device: str = "cpu", *, dense: bool | None = None) -> None:
        of_first, of_second = evidence.as_counts().normalisers()
        self._n = n = len(of_first)
        neighbours, counts = evidence.neighbours.cpu().numpy(), evidence.counts.cpu().numpy()
        first, place = np.nonzero(neighbours >= 0)
        second = neighbours[first, place].astype(np.int64)
        values = counts[first, place] * (of_first[first] * of_second[second])
        self._dense: Tensor | None = None
        if n <= MAX_DENSE_ITEMS if dense is None else dense:
            table = np.zeros((n, n), dtype=np.float32)
            table[second, first] = values
            self._dense = torch.from_numpy(table).to(device).view(-1)
            return
        keys = second * n + first
        order = np.argsort(keys)
        self._keys, self._values = (torch.from_numpy(one[order]).to(device) for one in (keys, values))
        bits = max(1, min(MAX_MARKS, MARKS_PER_PAIR * len(keys)) - 1).bit_length()
        self._shift = 64 - bits
        self._marks = torch.zeros(1 << bits, dtype=torch.bool, device=device)
        self._marks[self._marked(self._keys)] = True

    def look_up(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Return the normalised counts of int64 (P, J) by (P, C) items: float32 (P, C, J)."""
        shape = (*later.shape, earlier.shape[1])
        if self._dense is not None:  # of so few items that 32 bits are enough
            keys = (later * self._n).to(torch.int32).unsqueeze(2) + earlier.to(torch.int32).unsqueeze(1)
            return self._dense.index_select(0, keys.view(-1)).view(shape)
        flat = ((later * self._n).unsqueeze(2) + earlier.unsqueeze(1)).view(-1)
        found = torch.zeros(len(flat), device=flat.device)
        if len(self._keys):
            asked = self._marks.index_select(0, self._marked(flat)).nonzero().squeeze(1)
            wanted = flat[asked]
            place = torch.searchsorted(self._keys, wanted).clamp_(max=len(self._keys) - 1)
            found[asked] = self._values[place] * (self._keys[place] == wanted)
        return found.view(shape)

    def _marked(self, keys: Tensor) -> Tensor:
        return ((keys * SPREADING) >> self._shift) & (len(self._marks) - 1)


class EventEvidence:
    """Features of events that the evidence was counted with, each without what it has added itself.

    Parameters
    ----------
    evidence : read once.
    depth, repeats : as for :func:`model.network.cooccurrence.recent_at`.
    device : where the features are made.
    joined : whether sampled items are joined with kept neighbours; as the size of the catalogue suggests if None.
    """

    def __init__(
        self,
        evidence: Evidence,
        depth: int,
        device: str = "cpu",
        *,
        repeats: bool = False,
        joined: bool | None = None,
    ) -> None:
        self._device, self._repeats = device, repeats
        self._table = PairTable(evidence, device)
        if joined is None:
            n, width = evidence.counts.shape
            joined = device == "cpu" and n > MAX_DENSE_ITEMS and width <= MAX_WIDTH
        self._followers = Followers(evidence) if joined else None
        self._of_first, self._of_second = (self._there(one) for one in evidence.as_counts().normalisers())
        self._least = self._there(evidence.as_counts().least_kept())
        scale = evidence.scale.to(device)
        self._rescale = torch.where(scale > 0.0, 1.0 / scale.clamp(min=1.0e-30), 1.0)
        self._back = torch.arange(min(depth, DEPTH), device=device)
        self._weights = self._there(pair_weight(np.arange(WINDOW_EVENTS + 2)))  # the last one is zero, as the first is
        steps = self._back.float()
        self._by_steps = [
            torch.exp(-steps / kernel.scale) * (steps < kernel.depth) if kernel.fading == "steps" else None
            for kernel in KERNELS
        ]

    def read(self, sequences: Sequences) -> None:
        """Take the events that positions speak of from now on."""
        starts, counts = sequences.bounds()
        self._items, self._times, self._places = map(self._there, (sequences.items, sequences.times, sequences.places))
        self._begins = self._there(np.repeat(starts, counts))
        if self._followers is not None:
            self._followers.read(sequences)

    def features(self, at: Tensor, rows: Tensor) -> Tensor:
        """Return the features of the events after some positions with items, float32 (P, C, F).

        Parameters
        ----------
        at : int64 (P,), positions of events that another one of the same user follows.
        rows : int64 (P, C), item rows, the one that really came first.
        """
        place = at.unsqueeze(1) - self._back  # (P, J)
        known = place >= self._begins[at].unsqueeze(1)
        place.clamp_(min=0)
        items, times = (self._taken(column, place) for column in (self._items, self._times))
        decays = self._decays(times, known)
        said = self._table.look_up(items, rows if self._followers is None else rows[:, :1])
        own = self._own(at, place, items, times, known) * self._of_first[items] * self._of_second[rows[:, :1]]
        without = said[:, 0] - own
        said[:, 0] = torch.where(without < self._least[items], 0.0, without.clamp_(min=0.0))
        sums = torch.bmm(said, decays)
        if self._followers is not None:
            others = self._followers.sums(at.numpy(), rows[:, 1:].numpy(), decays.numpy())
            sums = torch.cat([sums, torch.from_numpy(others)], dim=1)
        return (sums * self._rescale).sqrt_()

    def _own(self, at: Tensor, place: Tensor, items: Tensor, times: Tensor, known: Tensor) -> Tensor:
        """Return what each event has itself added to the count of its item after each recent one, float32 (P, J)."""
        lags = self._places[at + 1].unsqueeze(1) - self._taken(self._places, place)
        is_tied = self._times[at + 1].unsqueeze(1) == times
        lags = torch.where(is_tied, lags.abs_(), lags).clamp_(min=0, max=WINDOW_EVENTS + 1)
        own = self._taken(self._weights, lags) * torch.where(is_tied, 0.5, 1.0) * known
        if not self._repeats:
            return own
        is_itself = is_tied & (items == self._items[at + 1].unsqueeze(1))  # counted in both orders
        own = torch.where(is_itself, own * 2.0, own)
        is_same = (items.unsqueeze(2) == items.unsqueeze(1)).to(own.dtype)  # (P, J, J)
        return torch.bmm(is_same, own.unsqueeze(2)).squeeze(2)

    def _decays(self, times: Tensor, known: Tensor) -> Tensor:
        """Return per kernel the weight of each recent item, float32 (P, J, F)."""
        gaps = (times[:, :1] - times).to(torch.float32).div_(1000.0).clamp_(min=0.0)
        by = [
            torch.exp(-gaps / kernel.scale) * (self._back < kernel.depth) if steps is None else steps.expand_as(gaps)
            for kernel, steps in zip(KERNELS, self._by_steps, strict=True)
        ]
        return torch.stack(by, dim=2) * known.unsqueeze(2)

    def _taken(self, column: Tensor, places: Tensor) -> Tensor:
        return column.index_select(0, places.view(-1)).view(places.shape)

    def _there(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)
