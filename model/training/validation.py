"""Each user's latest event, held out of training: how good a network in the making is, and when to stop.

The protocol is that of the NCF paper [1]_ one event earlier: the held-out item among 99 that its user did not touch.
It never looks at the events on which a finished model is measured.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 4.1.
"""

from dataclasses import dataclass

import numpy as np
import torch

from model.metrics.ranking import half_ranks, hit_rate
from model.network.cooccurrence import recent_at
from model.sampling import NegativeSampler
from model.sequences import Sequences, Spans
from model.trainable.neumf import NeuMF
from model.vocabulary import Rows

__all__ = ["ValidationEvents"]

NEGATIVES = 99
MIN_EVENTS = 3  # of a user whose latest one is held out: one to read, and one more to learn from
MAX_USERS = 4096  # standard error of a hit rate of 0.8: 0.006
EVENTS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class ValidationEvents:
    """Held-out events and their competitors.

    Parameters
    ----------
    before : the events that are left.
    at : int64 (U,), the position in ``before`` of each tested user's latest event.
    rows : int64 (U, 100), the held-out item first.
    """

    before: Sequences
    at: Rows
    rows: Rows

    @classmethod
    def of(cls, sequences: Sequences, generator: np.random.Generator) -> tuple["ValidationEvents", Sequences]:
        """Hold out the latest event of every user who has three or more, and return what is left as well.

        Raises
        ------
        ValueError
            If there is no such user.
        """
        starts, counts = sequences.bounds()
        last = (starts + counts - 1)[counts >= MIN_EVENTS]
        if not len(last):
            raise ValueError(
                f"fit: to stop early a user with three events is required, got {len(sequences)!r} events without one"
            )
        kept = np.ones(len(sequences), dtype=np.bool_)
        kept[last] = False
        before = sequences.taken(kept)
        tested = np.sort(generator.permutation(last)[:MAX_USERS])
        others = NegativeSampler(sequences).draw(sequences.users[tested], NEGATIVES, generator)
        at = np.searchsorted(before.users, sequences.users[tested], side="right") - 1
        return cls(before, at, np.concatenate([sequences.items[tested][:, None], others], axis=1)), before

    @torch.no_grad()
    def hit_rate(self, network: NeuMF) -> float:
        """Return HR@10, half-rank ties."""
        device = network.fuse_bias.device
        reader = network.evidence_reader()
        side = network.item_side()
        starts = np.searchsorted(self.before.users, self.before.users[self.at])
        ranks = []
        for start in range(0, len(self.at), EVENTS_PER_BATCH):
            at, rows = self.at[start : start + EVENTS_PER_BATCH], self.rows[start : start + EVENTS_PER_BATCH]
            begins = np.maximum(at - network.config.history_length + 1, starts[start : start + EVENTS_PER_BATCH])
            read = self.before.windows(Spans(begins, at + 1))
            inputs = (read.users, read.items, read.times, read.weights, read.is_event.sum(axis=1))
            users = network.users_now(*(torch.from_numpy(array).to(device) for array in inputs))
            logits = network.pair_logits(users, side, torch.from_numpy(rows).to(device))
            scores = logits.float().cpu()
            if reader is not None:
                features = reader.of_pairs(
                    recent_at(self.before, at, network.config.history_length, counted=False), rows
                )
                scores += torch.from_numpy(features) @ network.evidence.weights.cpu()
            ranks.append(half_ranks(scores[:, 0].numpy(), scores[:, 1:].numpy()))
        return hit_rate(np.concatenate(ranks))
