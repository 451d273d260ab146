"""The blend: how much each thing that speaks for an item counts, by how much is known of the user.

A network trained on long histories says little to somebody with two events, and on a small log it may say less than the
counts beside it. So a version does not trust its own last layer for everybody: features of a user and an item are mixed
by weights that depend on the number of known items, piecewise linear in its logarithm between a few knots. There are
two rows of weights, one for each mode: a cold-start list is mixed without the network.

Weights are learnt from events that the version had not learnt from (``model.training.blending``), one round after the
other. What was learnt before is the prior of the next round: its precision is kept beside the weights [1]_.

References
----------
.. [1] Opper, "A Bayesian approach to on-line learning", in On-line Learning in Neural Networks, 1998 (assumed density:
   a Gaussian whose precision grows with each event).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.history import Mode
from model.network.cooccurrence import KERNELS
from model.vocabulary import Rows

__all__ = [
    "COLD_FEATURES",
    "EVIDENCE",
    "FEATURES",
    "KNOTS",
    "LENGTHS",
    "MODES",
    "STATIC",
    "Blend",
    "feature",
    "first_precision",
    "knot_shares",
]

EVIDENCE = tuple(f"evidence_{number}" for number in range(len(KERNELS)))
STATIC = ("popularity", "newcomers", "trending", "newcomers_trending")  # of an item, whoever asks
FEATURES: Final = ("heads", *EVIDENCE, "taste", "genres", *STATIC)
COLD_FEATURES: Final = (*EVIDENCE, "genres", *STATIC)
KNOTS = (0, 1, 3, 8, 20, 50)  # known items
LENGTHS = 20  # up to here hits are counted for each number of known items, beyond it together
MODES: tuple[Mode, ...] = ("cold_start", "personalized")
PULL = 1.0  # towards the first weights: as much as one event says of a feature that is one or zero
SMOOTHNESS = 4.0  # pull of two neighbouring knots towards each other
MIN_TESTS = 200.0  # from which hits say where to hand over


def feature(name: str) -> int:
    """Return the column of a feature."""
    return FEATURES.index(name)


def _first_weights() -> NDArray[np.float32]:
    weights = np.zeros((len(MODES), len(KNOTS), len(FEATURES)), dtype=np.float32)
    weights[0, :, feature("newcomers")] = 1.0  # the logarithm of a count: as often as newcomers touch it
    weights[1][:, [feature(name) for name in ("heads", *EVIDENCE)]] = 1.0
    return weights


def _first_hits() -> NDArray[np.float32]:
    return np.zeros((len(MODES), LENGTHS + 1), dtype=np.float32)


@dataclass(slots=True)
class Blend:
    """The weights, how sure they are, and what came of them.

    Before anything is learnt a personalised list is the network's own and a cold-start list is what newcomers touch.

    Parameters
    ----------
    weights : float32 (2, K, F), of each mode at each knot.
    precision : float32 (2, K * F, K * F), of the Gaussian that they are the mean of.
    hits : float32 (2, L + 1), decayed hits of both modes by number of known items, on the same events.
    tests : float32 (L + 1,), decayed number of these events.
    """

    weights: NDArray[np.float32] = field(default_factory=_first_weights)
    precision: NDArray[np.float32] = field(default_factory=lambda: np.stack([first_precision()] * len(MODES)))
    hits: NDArray[np.float32] = field(default_factory=_first_hits)
    tests: NDArray[np.float32] = field(default_factory=lambda: np.zeros(LENGTHS + 1, dtype=np.float32))

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]]) -> "Blend":
        """Return the blend among the weights of a version, which are not to be changed."""
        return cls(**{name: weights[f"blend.{name}"] for name in cls.__slots__})

    def named(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays by their names among the weights of a version."""
        return {f"blend.{name}": getattr(self, name) for name in self.__slots__}

    @property
    def is_learnt(self) -> bool:
        """Return whether the weights have seen events."""
        return bool(self.tests.any())

    def at(self, known: Rows, mode: Mode) -> NDArray[np.float32]:
        """Return the weights for users with so many known items, int64 (B,): float32 (B, F)."""
        return np.asarray(knot_shares(known) @ self.weights[MODES.index(mode)])

    def handover(self) -> int | None:
        """Return from how many known items on personalised lists are expected to hit more, 1 to L + 1.

        The number with most hits in total, cold start below it and personalised from it on; the lowest of equals. It is
        1 where cold start leads below that number by no more than chance would let it. None while too few events were
        tested.
        """
        if float(self.tests.sum()) < MIN_TESTS:
            return None
        cold, personal = np.cumsum(self.hits[:, 1:].astype(np.float64), axis=1)
        lead = np.concatenate([[0.0], cold - personal])  # of cold start, over all tests below each number
        best = int(lead.argmax())
        return 1 if best and lead[best] <= (cold[best - 1] + personal[best - 1]) ** 0.5 else 1 + best


def knot_shares(known: Rows) -> NDArray[np.float32]:
    """Return how much each knot counts for so many known items, float32 (B, K), rows that sum to one."""
    places, at = np.log1p(np.asarray(KNOTS, dtype=np.float64)), np.log1p(np.minimum(known, KNOTS[-1]))
    right = np.clip(np.searchsorted(places, at, side="right"), 1, len(KNOTS) - 1)
    share = (at - places[right - 1]) / (places[right] - places[right - 1])
    shares = np.zeros((len(known), len(KNOTS)), dtype=np.float32)
    row = np.arange(len(known))
    shares[row, right - 1], shares[row, right] = 1.0 - share, share
    return shares


def first_precision() -> NDArray[np.float32]:
    """Return the precision of weights that have seen nothing, float32 (K * F, K * F), knots first."""
    chain = np.zeros((len(KNOTS), len(KNOTS)))
    for knot in range(len(KNOTS) - 1):
        pair = np.zeros(len(KNOTS))
        pair[knot], pair[knot + 1] = 1.0, -1.0
        chain += np.outer(pair, pair)
    between = PULL * np.eye(len(KNOTS)) + SMOOTHNESS * chain
    return np.kron(between, np.eye(len(FEATURES))).astype(np.float32)
