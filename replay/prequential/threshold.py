"""From how many past events on the personalised list is the better one: measured, with its uncertainty.

One stream is tested twice. In one pass every list is cold start, in the other every list is personalised that can be;
the rounds of learning go on as ever. A threshold t takes cold lists below t past events and personalised ones from
there on. So the hits of the two passes give the hit rate of every threshold, and the best one can be picked. The tests
of one user are not independent, so the uncertainty comes from drawing users anew (cluster bootstrap [1]_).

References
----------
.. [1] Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference with clustered errors", The Review of
   Economics and Statistics 2008.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.ranking.modes import ModeConfig
from replay.prequential.run import PrequentialConfig
from replay.prequential.stream import Stream

__all__ = ["ModeHitRates", "Proposal", "always_cold", "always_personalised", "low_history", "mode_hit_rates", "propose"]

DRAWS = 1000
Hits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ModeHitRates:
    """Tests of users with n past events, and the share of hits of each kind of list."""

    past_events: int
    tests: int
    cold: float
    personalised: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A threshold.

    Parameters
    ----------
    threshold : past events from which personalised lists hit more often in total; the lowest of equals.
    low, high : the middle 95 % of the thresholds that other draws of users lead to.
    hit_rate : over all tests with that threshold.
    gain, gain_low, gain_high : over the present threshold, and the middle 95 % of it.
    """

    threshold: int
    low: int
    high: int
    hit_rate: float
    gain: float
    gain_low: float
    gain_high: float


def low_history(stream: Stream, most: int) -> Stream:
    """Return a stream that tests users with at most so many past events; others are learnt from only."""
    return stream.tested(stream.history <= most)


def always_cold(config: PrequentialConfig) -> PrequentialConfig:
    """Return a configuration that never learns, so that every list is cold start."""
    return replace(config, round_every=0)


def always_personalised(config: PrequentialConfig) -> PrequentialConfig:
    """Return a configuration in which one known item makes a user personalised."""
    return replace(config, road=replace(config.road, modes=ModeConfig.fixed(1)))


def mode_hit_rates(stream: Stream, cold: Hits, personalised: Hits) -> tuple[ModeHitRates, ...]:
    """Return the hit rates by number of past events; the hits are bool (T,)."""
    return tuple(
        ModeHitRates(int(past), int(here.sum()), float(cold[here].mean()), float(personalised[here].mean()))
        for past in np.unique(stream.history)
        for here in [stream.history == past]
    )


def propose(stream: Stream, cold: Hits, personalised: Hits, present: int, generator: np.random.Generator) -> Proposal:
    """Return the threshold with most hits, and how sure it is.

    Parameters
    ----------
    stream : what was tested.
    cold, personalised : bool (T,), hits of each kind of list on the same tests.
    present : the threshold in use, which the gain is measured against.
    generator : of the draws of users.
    """
    hits, tests = _by_user(stream, cold, personalised)
    total, least = hits.sum(axis=0), int(stream.history.min())
    best = least + int(total[least:].argmax())
    now = min(present, hits.shape[1] - 1)
    drawn = generator.multinomial(len(hits), np.full(len(hits), 1.0 / len(hits)), size=DRAWS).astype(np.float64)
    totals = drawn @ hits  # (DRAWS, thresholds)
    gains = (totals[:, best] - totals[:, now]) / (drawn @ tests)
    low, high = np.percentile(least + totals[:, least:].argmax(axis=1), (2.5, 97.5))
    gain_low, gain_high = np.percentile(gains, (2.5, 97.5))
    return Proposal(
        best,
        round(low),
        round(high),
        float(total[best] / tests.sum()),
        float((total[best] - total[now]) / tests.sum()),
        float(gain_low),
        float(gain_high),
    )


def _by_user(stream: Stream, cold: Hits, personalised: Hits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each user's hits under each threshold 0 .. most + 1, float64 (U, most + 2), and tests, float64 (U,)."""
    users, row = np.unique(stream.users[stream.tests], return_inverse=True)
    width = int(stream.history.max()) + 2
    change = np.zeros((len(users), width + 1))  # raising the threshold past n turns the tests of n past events cold
    np.add.at(change, (row, np.zeros_like(row)), personalised)
    np.add.at(change, (row, stream.history + 1), cold.astype(np.float64) - personalised)
    return np.cumsum(change, axis=1)[:, :width], np.bincount(row).astype(np.float64)
