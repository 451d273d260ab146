"""What a step of training reads: windows, negatives, made-up queries and evidence, ready on the device that trains.

All chance of a step that is no dropout is drawn here, in the order of the steps. So batches can be made in a thread of
their own while the network learns from the one before, and the result is the same.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.sampling import NegativeSampler
from model.sequences import Sequences, Windows
from model.trainable.evidence_at import EventEvidence
from model.trainable.neumf import NeuMF
from model.vocabulary import Rows

__all__ = ["Batch", "Batches", "ahead"]

KEPT_WORDS = 0.5  # share of an item's text that a made-up query keeps
MIN_MEAN_WANTED = 0.1  # mean of a step that is scaled up to one; a step of dislikes alone teaches little
STRANGERS = 0.5  # share of the made-up queries whose user is hidden


@dataclass(frozen=True, slots=True)
class Batch:
    """The windows of a step, (B, L), and the P events to learn from in them.

    Parameters
    ----------
    users, items, times, weights : of the windows, as the network reads them.
    owner, place : int64 (P,), in which window, and where there, each event is told from.
    rows : int64 (P, 1 + negatives), the item that came, and others.
    met : int64 (R,), the items that the step reads, where there are many others: ``items`` and ``rows`` are places in
        it, so that nothing is computed of the others. None where they are rows themselves.
    bias : float32 of that shape, what the way of drawing takes off the logits.
    wanted : float32 (P,), how much each event counts, one on average.
    features : float32 (P, 1 + negatives, F), evidence, if the network reads any.
    texts : float32 (P, T), made-up queries, zeros where nothing is asked; None where items have no texts.
    known : float32 (P, 1), 0 where the user is hidden behind a query; None where there are none.
    about : user rows of the windows, to name in an error.
    """

    users: Tensor
    items: Tensor
    times: Tensor
    weights: Tensor
    owner: Tensor
    place: Tensor
    rows: Tensor
    met: Tensor | None
    bias: Tensor
    wanted: Tensor
    features: Tensor | None
    texts: Tensor | None
    known: Tensor | None
    about: Rows

    @property
    def at(self) -> Tensor:
        """Return where each event stands among the B * L places of the windows, int64 (P,)."""
        return self.owner * self.items.shape[1] + self.place

    def part(self, number: int, of: int) -> "Batch":
        """Return one of so many parts of the windows, with the events in them.

        Where there are too few windows it is a part that another has too, in which no event counts: a network reads no
        batch without events.
        """
        if number >= len(self.users):
            twice = self.part(0, of)
            return replace(twice, wanted=torch.zeros_like(twice.wanted))
        mine = torch.arange(number, len(self.users), of, device=self.users.device)
        is_mine = self.owner % of == number

        def some(events: Tensor | None) -> Tensor | None:
            return None if events is None else events[is_mine]

        return replace(
            self,
            users=self.users[mine],
            items=self.items[mine],
            times=self.times[mine],
            weights=self.weights[mine],
            owner=self.owner[is_mine] // of,
            place=self.place[is_mine],
            rows=self.rows[is_mine],
            bias=self.bias[is_mine],
            wanted=self.wanted[is_mine],
            features=some(self.features),
            texts=some(self.texts),
            known=some(self.known),
            about=self.about[mine.cpu().numpy()],
        )


class Batches:
    """Makes the batches of one training.

    Parameters
    ----------
    network : its evidence is read once.
    touched : what users touched; negatives are never among it.
    negatives, popular, queries : as in :class:`model.training.fit.TrainingConfig`.
    generator : of negatives and queries.
    texts : float32 (N, T), of the items, if there are any.
    pool : int64, the items that negatives are drawn from; all that were touched if None.
    device : where the batches are.
    """

    def __init__(
        self,
        network: NeuMF,
        touched: Sequences,
        *,
        negatives: int,
        popular: float,
        queries: float,
        generator: np.random.Generator,
        texts: NDArray[np.float32] | None,
        pool: Rows | None,
        device: str,
    ) -> None:
        shape = network.config
        self._negatives, self._queries, self._generator = negatives, queries, generator
        self._repeats, self._device = shape.repeats, device
        self._sampler = NegativeSampler(touched, popular, pool)
        self._n_items = network.n_items
        self._texts = texts if "intent" in shape.parts else None
        self._evidence = (
            EventEvidence(network.evidence, shape.history_length, device, repeats=shape.repeats)
            if "evidence" in shape.parts
            else None
        )

    def begin(self, sequences: Sequences) -> None:
        """Take the events that windows are cut from until the next call."""
        if self._evidence is not None:
            self._evidence.read(sequences)

    @torch.no_grad()
    def of(self, windows: Windows) -> Batch:
        """Return the batch of some windows."""
        owner, place = np.nonzero(windows.is_event)
        targets = windows.targets[owner, place]  # (P,)
        if self._repeats:
            others = self._sampler.draw_others(targets, self._negatives, self._generator)
        else:
            others = self._sampler.draw(windows.users[owner], self._negatives, self._generator)
        rows = np.concatenate([targets[:, None], others], axis=1)
        texts, known = self._made_up(targets)
        wanted = windows.wanted[owner, place]
        read, there = self._there(rows), self._there
        features = None
        if self._evidence is not None:
            features = self._evidence.features(there(windows.at[owner, place]), read)
            features = features if known is None else features * known.unsqueeze(2)
        met, items, places = self._met(windows.items, rows)
        return Batch(
            there(windows.users),
            there(items),
            there(windows.times),
            there(windows.weights),
            there(owner),
            there(place),
            read if met is None else there(places),
            None if met is None else there(met),
            there(self._sampler.bias(rows)),
            there(wanted / max(float(wanted.mean()), MIN_MEAN_WANTED)),
            features,
            texts,
            known,
            windows.users,
        )

    def _met(self, items: Rows, rows: Rows) -> tuple[Rows | None, Rows, Rows]:
        """Return the items that a step reads, where most others are left, and where those given stand among them."""
        if self._n_items <= items.size + rows.size:
            return None, items, rows
        place = np.zeros(self._n_items, dtype=np.int64)
        place[items], place[rows] = 1, 1
        met = np.flatnonzero(place)
        place[met] = np.arange(len(met))
        return met, place[items], place[rows]

    def _made_up(self, targets: Rows) -> tuple[Tensor | None, Tensor | None]:
        """Return made-up queries for some of the items that come next, and which users may be read.

        The queries are text vectors (P, T) of the items with half of the words left out, zeros where nothing is asked.
        For half of the queries the user is hidden, so that the text alone must do: 0 in float32 (P, 1), elsewhere 1.
        """
        if self._texts is None:
            return None, None
        asked = self._generator.random(len(targets)) < self._queries
        known = ~(asked & (self._generator.random(len(targets)) < STRANGERS))
        texts = np.zeros((len(targets), self._texts.shape[1]), dtype=np.float32)
        said = self._generator.random((np.count_nonzero(asked), texts.shape[1]), dtype=np.float32) < KEPT_WORDS
        texts[asked] = self._texts[targets[asked]] * said
        return self._there(texts), self._there(known[:, None].astype(np.float32))

    def _there(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device, non_blocking=True)


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Give the same batches, while a thread makes the next one; what it raises is raised here."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
