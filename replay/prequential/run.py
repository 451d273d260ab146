"""Test, then learn, from the first event after the warm-up to the last: lists, hits, and rounds of learning.

For each event of a user with a past: make the list that a request of that moment would get, look for the event's item
in it, and only then reveal the event. After every so many events a round of learning runs, with the learner, the gate
and the promotion of the trainer. Without rounds the same run shows the frozen model.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.feedback import RatingTallies
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.reranking.diversified import DiversityConfig
from model.training.fit import Progress
from model.training.gate import Decision, GateVerdict, gate
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import Candidate, RoundConfig
from replay.prequential.offline_worker import OfflineWorker, OfflineWorkerConfig
from replay.prequential.stream import Stream
from streams.records.records import Event, Origin, Recommendation, interactions_of

__all__ = ["MODES", "ListTrack", "PrequentialConfig", "PrequentialRun", "RoundMark"]

MODES = ("cold_start", "personalized")


@dataclass(frozen=True, slots=True)
class PrequentialConfig:
    """When to learn, and how.

    Parameters
    ----------
    round_every : events between two rounds of learning; 0 to never learn after the warm-up.
    merge_every : events between two merges of trending.
    seed : of everything random; round n uses (seed, n).
    road : how lists are made, as a worker makes them; reports and checkpoints have it under this name.
    diversity : with weights, each list is made again with them, from the same candidates; with a discount of
        impressions, by what the user was shown of the lists that are made so.
    learner, rounds : as a trainer has them.
    """

    round_every: int = 5000
    merge_every: int = 100
    seed: int = 0
    road: OfflineWorkerConfig = field(default_factory=OfflineWorkerConfig)
    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    rounds: RoundConfig = field(default_factory=RoundConfig)


@dataclass(frozen=True, slots=True)
class RoundMark:
    """One round; one that could not be trained has failed, and has no figures.

    Parameters
    ----------
    events : after how many it ran.
    decision : of the gate.
    candidate : its hit rate.
    rivals : hit rates of the others on the same events: champion, anchor, popularity, counts.
    lost_to : which of them decided against the candidate, or against the champion.
    held_out : events that these rates are of.
    training_s, gate_s : seconds that training and gate took.
    """

    events: int
    decision: Decision | Literal["failed"]
    candidate: float
    rivals: Mapping[str, float]
    lost_to: Sequence[str]
    held_out: int
    training_s: float
    gate_s: float


@dataclass(frozen=True, slots=True)
class ListTrack:
    """What came of each test, in order.

    Parameters
    ----------
    ranks : float64 (T,), the place of the item in the list, infinite where it is not among the first ten.
    modes : int8 (T,), 0 for cold start and 1 for personalised.
    versions : int32 (T,), the number of the version that served, 0 for none; each change has the next one.
    items : int32 (T, k), rows in the catalogue of what was listed, -1 where a list is shorter.
    """

    ranks: NDArray[np.float64]
    modes: NDArray[np.int8]
    versions: NDArray[np.int32]
    items: NDArray[np.int32]

    @classmethod
    def empty(cls, tests: int, k: int) -> "ListTrack":
        """Return a track to be filled, of lists of k items."""
        return cls(
            np.full(tests, np.inf),
            np.zeros(tests, dtype=np.int8),
            np.zeros(tests, dtype=np.int32),
            np.full((tests, k), -1, dtype=np.int32),
        )


class PrequentialRun:
    """One pass over a stream.

    Parameters
    ----------
    stream : what happens.
    config : when to learn, and how.

    Raises
    ------
    ValueError
        If repeats are tested and not learnt, or the other way round.
    """

    def __init__(self, stream: Stream, config: PrequentialConfig) -> None:
        if stream.repeats != config.rounds.network.repeats:
            raise ValueError(
                f"PrequentialRun: repeats must be kept in stream and network alike, got {stream.repeats!r} and "
                f"{config.rounds.network.repeats!r}"
            )
        self.stream = stream
        self.config = config
        self.worker = OfflineWorker(stream.catalogue, config.road, repeats=stream.repeats)
        self.learner = Learner(config.learner, config.rounds)
        self._tallies = RatingTallies()
        self._rows = {item_id: row for row, item_id in enumerate(stream.catalogue.items)}
        self.track = ListTrack.empty(len(stream.tests), config.road.serving.k)
        self.reranked = ListTrack.empty(len(stream.tests), config.road.serving.k) if config.diversity.is_on else None
        self.marks: list[RoundMark] = []
        self.done = 0  # events
        self.promoted = 0  # changes of the version that serves

    def warm_up(self, until: int) -> None:
        """Apply events up to one, without lists."""
        for start in range(self.done, until, self.config.merge_every):
            events = list(self.stream.events(start, min(start + self.config.merge_every, until)))
            self.worker.apply([event for _, event in events])
            self._observe(events)
        self.done = until
        self.worker.merge_trending()

    def use(self, snapshot: Snapshot | None) -> None:
        """Serve a version from here on, or none."""
        self.promoted += 1
        if snapshot is None:
            self.worker.use(None, None)
        else:
            self.worker.use(Ranker(snapshot), str(self.promoted))

    def block(self) -> None:
        """Test and reveal the next events, up to the next merge of trending."""
        stop = min(self.done - self.done % self.config.merge_every + self.config.merge_every, len(self.stream))
        if self.config.round_every:
            stop = min(stop, self.done + self.config.round_every - self.learner.new_events)
        events = list(self.stream.events(self.done, stop))
        first, last = np.searchsorted(self.stream.tests, (self.done, stop)).tolist()
        tested = (self.stream.tests[first:last] - self.done).tolist()
        for place, made in zip(range(first, last), self.worker.ask(events, tested), strict=True):
            self._score(self.track, place, made)
        if self.reranked is not None:
            for place, made in zip(range(first, last), self.worker.ask_again(self.config.diversity), strict=True):
                self._score(self.reranked, place, made)
        self._observe(events)
        self.done = stop
        self.worker.merge_trending()

    def blocks(self) -> Iterator[RoundMark | None]:
        """Go on to the end of the stream; give, after each block, the mark of the round after it, if one was due."""
        while self.done < len(self.stream):
            self.block()
            yield self.round() if self.is_due() else None

    def is_due(self) -> bool:
        """Tell whether a round of learning is due."""
        return bool(self.config.round_every) and self.learner.new_events >= self.config.round_every

    def round(self, progress: Progress | None = None) -> RoundMark:
        """Run a round of learning as the trainer does, and serve what it decides for.

        One that cannot be trained (nobody has two events yet, or the loss diverged) changes nothing.
        """
        generator = np.random.default_rng((self.config.seed, len(self.marks) + 1))
        began = time.perf_counter()
        try:
            candidate = self.learner.fine_tune(self.stream.catalogue, generator=generator, progress=progress)
        except (ValueError, FloatingPointError) as error:
            self.learner.abandon_round(diverged=isinstance(error, FloatingPointError))
            self.marks.append(RoundMark(self.done, "failed", 0.0, {}, (), 0, time.perf_counter() - began, 0.0))
            return self.marks[-1]
        trained = time.perf_counter()
        verdict = gate(candidate, min_events=self.config.learner.least_held_out)
        self.settle(candidate, verdict)
        self.marks.append(_mark(self.done, verdict, trained - began, time.perf_counter() - trained))
        return self.marks[-1]

    def settle(self, candidate: Candidate, verdict: GateVerdict) -> None:
        """End a round as the gate decided, and serve what it decided for."""
        self.learner.settle(candidate, verdict)
        if verdict.decision in ("promote", "return", "withdraw"):
            self.use(self.learner.champion)

    def _observe(self, events: Sequence[tuple[Origin, Event]]) -> None:
        """Let the learner remember events, where there will be rounds."""
        if self.config.round_every:
            self.learner.observe(interactions_of((event for _, event in events), self._tallies))

    def _score(self, track: ListTrack, place: int, made: Recommendation) -> None:
        item_id = self.stream.item_ids[self.stream.tests[place]]
        listed = [item.item_id for item in made.items]
        if item_id in listed and not self.stream.is_novel[place]:
            track.ranks[place] = 1.0 + listed.index(item_id)
        track.modes[place] = MODES.index(made.mode)
        track.versions[place] = int(self.worker.recommender.version or 0)
        track.items[place, : len(listed)] = [self._rows[one] for one in listed]


def _mark(events: int, verdict: GateVerdict, training_s: float, gate_s: float) -> RoundMark:
    rivals = {name: one.hit_rate for name, one in verdict.rivals.items()}
    return RoundMark(
        events,
        verdict.decision,
        verdict.candidate.hit_rate,
        rivals,
        verdict.lost_to,
        verdict.events,
        training_s,
        gate_s,
    )
