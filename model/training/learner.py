"""What the trainer process holds between two versions: users' latest events, what is new, the champion.

A round goes ``observe`` (many times), ``fine_tune``, :func:`model.training.gate.gate`, ``settle``. Observing and
training may happen in two threads: :meth:`Learner.material` copies what a round needs, and
:func:`model.training.rounds.run_round` works on that copy alone.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

import numpy as np

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS
from model.history import Interaction, Profile, distinct_items
from model.kinds import DEFAULT_KINDS, KindTable, source_of
from model.network.snapshot import Snapshot
from model.training.fit import Progress, TrainingHooks
from model.training.gate import GateVerdict
from model.training.heat import Heat, HeatConfig
from model.training.held_out import HeldOutEvent
from model.training.rounds import Candidate, Material, RoundConfig, run_round
from model.training.standing import Standing
from model.training.update_scale import UpdateScale

__all__ = ["Learner", "LearnerConfig"]

MAX_UNHEATED = 100_000  # events that a blend may still be learnt from, while no candidate is promoted


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """How much to keep.

    Parameters
    ----------
    max_events : events kept after a promotion. Beyond it the learner forgets users, and those who stay are a uniform
        sample of all there ever were. Users whose events the champion has not learnt from yet may double the number.
    max_events_per_user : latest events kept of one user. A user who has more new ones between two versions is learnt
        from these alone.
    held_out_share : newest part of the new events that is kept for the gate.
    max_held_out : its bound, in events.
    least_held_out : events below which the gate holds a candidate for a champion's place.
    """

    max_events: int = 1_000_000
    max_events_per_user: int = 200
    held_out_share: float = 0.1
    max_held_out: int = 2_000
    least_held_out: int = 30

    def __post_init__(self) -> None:
        if min(self.max_events, self.max_events_per_user) < 1 or self.max_held_out < 0:
            raise ValueError(f"LearnerConfig: bounds of at least 1 are required, got {self!r}")
        if not 0.0 <= self.held_out_share < 1.0:
            raise ValueError(f"LearnerConfig: held_out_share must be in [0, 1), got {self.held_out_share!r}")


class Learner:
    """The trainer's memory.

    Parameters
    ----------
    config : bounds.
    rounds : how a round trains.
    champion : the version that serves, if there is one.
    kinds : of events that there are; they say how much an event counts for what trends.

    Attributes
    ----------
    anchor : the version that the champion is measured by; None where the champion is its own.
    standing : what the rounds since then say of it.
    """

    def __init__(
        self,
        config: LearnerConfig | None = None,
        rounds: RoundConfig | None = None,
        champion: Snapshot | None = None,
        kinds: KindTable = DEFAULT_KINDS,
    ) -> None:
        self.config = config or LearnerConfig()
        self.rounds = rounds or RoundConfig()
        self.champion = champion
        self.anchor: Snapshot | None = None
        self.standing = Standing()
        self._judged_to = 0  # number of the last event that was there when a round judged
        self._judged: set[int] = set()  # numbers of later ones by which a round has judged all the same
        self._anchor_learnt = 0  # number of the last event that the anchor has learnt from
        self._events: dict[str, list[tuple[int, Interaction]]] = {}
        self._n_of_source: dict[str, Counter[str]] = {}  # of each user, also events that were left out since
        self._heat = Heat(HeatConfig(kinds=kinds))
        self._unheated: deque[tuple[int, Interaction, int]] = deque()  # events that trending has not taken yet
        self._reservoir: list[tuple[int, str]] = []  # a heap of all users by their draw, lowest first
        self._size = 0
        self._observed = 0
        self._learnt = 0
        self._rounds_end = 0
        self._promotions: list[tuple[int, int]] = []
        self.update_scale = UpdateScale()

    @property
    def keeps_repeats(self) -> bool:
        """Return whether an item that its user touched before is learnt from and tested; a champion decides it."""
        return (self.rounds.network if self.champion is None else self.champion.config).repeats

    @property
    def new_events(self) -> int:
        """Return how many events were observed since the last settled round began."""
        return self._observed - self._rounds_end

    @property
    def observed(self) -> int:
        """Return the number of the latest event, counted from 1; a round names events by these numbers."""
        return self._observed

    def __len__(self) -> int:
        return self._size

    def observe(self, interactions: Iterable[tuple[str, Interaction]]) -> None:
        """Remember events, given as (user id, interaction) in order of arrival."""
        for user_id, interaction in interactions:
            self._observed += 1
            events = self._events.get(user_id)
            if events is None:
                events = self._events[user_id] = []
                self._n_of_source[user_id] = Counter()
                heappush(self._reservoir, (_draw(user_id), user_id))
            source = source_of(interaction.kind)
            self._unheated.append((self._observed, interaction, self._n_of_source[user_id][source]))
            self._n_of_source[user_id][source] += 1
            events.append((self._observed, interaction))
            self._size += 1
            if len(self._unheated) > MAX_UNHEATED:
                self._heat_up(self._observed - MAX_UNHEATED // 2)
            if len(events) > self.config.max_events_per_user:
                del events[0]
                self._size -= 1
            if self._size > 2 * self.config.max_events:
                self._forget()

    def _forget(self) -> None:
        """Forget users, lowest draws first, until the rest fits; those with new events only beyond twice the bound.

        A user's draw is a hash of the id. Keeping the highest ones keeps a uniform sample without replacement
        (bottom-k sampling), and the same one after a restart.
        """
        spared = []
        while self._size > self.config.max_events and self._reservoir:
            draw, user_id = heappop(self._reservoir)
            if self._events[user_id][-1][0] > self._learnt:
                spared.append((draw, user_id))
            else:
                self._drop(user_id)
        most = 1.5 if self._size > 2 * self.config.max_events else 2.0  # so that the next event is not too many again
        for draw, user_id in spared:
            if self._size > most * self.config.max_events:
                self._drop(user_id)
            else:
                heappush(self._reservoir, (draw, user_id))

    def _drop(self, user_id: str) -> None:
        self._size -= len(self._events.pop(user_id))
        del self._n_of_source[user_id]

    def preload(self, interactions: Iterable[tuple[str, Interaction]]) -> None:
        """Remember events that the champion has already learnt from; call it before anything is observed.

        Raises
        ------
        ValueError
            If there are new events: they would count as learnt.
        """
        if self._observed > self._learnt:
            raise ValueError(f"Learner.preload: no new events are required, got {self._observed - self._learnt!r}")
        self.observe(interactions)
        self._learnt = self._rounds_end = self._observed
        self._forget()

    def note_judged(self) -> None:
        """Note that a round, before this learner began, has judged by the event that was observed last."""
        self._judged.add(self._observed)

    def position(self) -> dict[str, Any]:
        """Return what :meth:`resume` needs: where the last round ended, the update scale, and all promotions.

        A promotion, or a return to the anchor, is two event numbers: of the last event observed by then, and of the
        last one that the version which serves from then on had learnt from.
        """
        promotions = [list(one) for one in self._promotions]
        scale = {"rate": self.update_scale.rate, "work": self.update_scale.work}
        judged = {
            "standing": self.standing.describe(),
            "judged_to": self._judged_to,
            "anchor_learnt": self._anchor_learnt,
        }
        return {"rounds_end": self._rounds_end, "promotions": promotions, **scale, **judged}

    def resume(self, champion: Snapshot | None, position: Mapping[str, Any], anchor: Snapshot | None = None) -> None:
        """Continue from a position, with the champion and the anchor of then.

        Before, the same events must be observed again, with :meth:`learnt_to` at each promotion.

        Raises
        ------
        ValueError
            If fewer events were observed than the position speaks of.
        """
        if position["rounds_end"] > self._observed:
            raise ValueError(
                f"Learner.resume: events up to {position['rounds_end']!r} are required, got {self._observed!r}"
            )
        self.champion, self._rounds_end = champion, int(position["rounds_end"])
        self._promotions = [(int(observed), int(learnt)) for observed, learnt in position["promotions"]]
        self._heat_up(self._learnt)
        self.update_scale = UpdateScale(position["rate"], position["work"])
        self.anchor, self._anchor_learnt = anchor, int(position["anchor_learnt"])
        self.standing, self._judged_to = Standing.restore(position["standing"]), int(position["judged_to"])

    def beginnings(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give the users of whom no event was left out, with the items of their first ten events."""
        for user_id, events in self._events.items():
            if len(events) < self.config.max_events_per_user:
                yield user_id, tuple(one.item_id for _, one in events[:NEWCOMER_EVENTS])

    def material(self, catalogue: Catalogue) -> Material:
        """Copy what the next round reads, with the newest of the new events kept back for the gate."""
        share = int((self._observed - self._learnt) * self.config.held_out_share)
        trained_to = self._observed - min(share, self.config.max_held_out)
        histories: dict[str, tuple[Interaction, ...]] = {}
        fresh: dict[str, int] = {}
        held_out: list[HeldOutEvent] = []
        unseen: list[HeldOutEvent] = []
        heated_to = max(self._learnt, self._unheated[0][0] - 1 if self._unheated else self._observed)
        for user_id, events in self._events.items():
            kept = [one for number, one in events if number <= trained_to]
            if kept:
                histories[user_id] = tuple(kept)
                fresh[user_id] = sum(self._learnt < number <= trained_to for number, _ in events)
            held_out += self._held_out(user_id, events, len(kept))
            if self.champion is not None and kept and events[len(kept) - 1][0] > heated_to:
                known = sum(number <= heated_to for number, _ in events[: len(kept)])
                unseen += self._held_out(user_id, events[: len(kept)], known)
        counts = Counter(one.item_id for history in histories.values() for one in history)
        return Material(
            self.champion,
            catalogue,
            histories,
            fresh,
            tuple(held_out),
            counts,
            self._heat_at(trained_to).lists(),
            tuple(unseen),
            self._heat.lists(),
            trained_to,
            self._observed,
            self.config.held_out_share > 0.0 and share < self.config.max_held_out,
            self.anchor,
            self.standing,
        )

    def _heat_at(self, number: int) -> Heat:
        """Return what trends after the events up to a number."""
        heat = deepcopy(self._heat)
        for at, interaction, ordinal in self._unheated:
            if at > number:
                break
            heat.add(interaction, ordinal)
        return heat

    def _heat_up(self, number: int) -> None:
        """Let the events up to a number count as trending from now on."""
        self._heat = self._heat_at(number)
        while self._unheated and self._unheated[0][0] <= number:
            self._unheated.popleft()

    def fine_tune(
        self,
        catalogue: Catalogue,
        *,
        generator: np.random.Generator,
        progress: Progress | None = None,
        hooks: TrainingHooks | None = None,
    ) -> Candidate:
        """Run one round on what was observed so far; the learner changes only when it is settled.

        ``hooks`` are for a first training: checkpoints to keep or to continue from.

        Raises
        ------
        ValueError
            If no user has two events yet.
        FloatingPointError
            If training diverges.
        """
        return run_round(self.material(catalogue), self.scaled_rounds(), generator, progress, hooks)

    def scaled_rounds(self) -> RoundConfig:
        """Return how the next round trains, as the verdicts so far suggest."""
        return self.update_scale.applied(self.rounds)

    def settle(self, candidate: Candidate, verdict: GateVerdict) -> None:
        """End a round.

        A promoted candidate becomes the champion and what it was trained on becomes old. Held-out events stay new, as
        training material of the next round. After a rejection, or where the candidate is held, all of the round's
        events stay new, for the champion has still not learnt from them. Where the anchor serves again, all that it has
        not learnt from is new once more, and everything is where nothing serves.
        """
        material = candidate.material
        self._rounds_end = material.observed_to
        if material.champion is not None:  # a first training says nothing about fine-tuning
            self.update_scale = self.update_scale.after(verdict)
        if verdict.decision == "hold":
            return
        self.standing, self._judged_to = verdict.standing, material.observed_to
        self._judged.clear()
        if verdict.decision in ("return", "withdraw"):
            self.standing = Standing()
            is_back = verdict.decision == "return"
            self._serve(self.anchor if is_back else None, self._anchor_learnt if is_back else 0)
        if verdict.is_anchored:
            self.anchor = None
        if verdict.promote:
            if self.anchor is None:
                self.anchor, self._anchor_learnt = self.champion, self._learnt
            self._heat_up(material.trained_to)
            self._serve(candidate.snapshot, material.trained_to)

    def abandon_round(self, *, diverged: bool = False) -> None:
        """End a round that led to no candidate: its events stay new, and the next round waits for as many again.

        After one that ``diverged`` the next one is more cautious.
        """
        self._rounds_end = self._observed
        if diverged:
            self.update_scale = self.update_scale.halved()

    def learnt_to(self, number: int) -> None:
        """Note that the champion has learnt from the events up to a number, and forget what does not fit."""
        self._learnt = number
        self._forget()

    def _serve(self, champion: Snapshot | None, learnt: int) -> None:
        self.champion = champion
        self._promotions.append((self._observed, learnt))
        self.learnt_to(learnt)

    def _held_out(self, user_id: str, events: Sequence[tuple[int, Interaction]], kept: int) -> list[HeldOutEvent]:
        """Return the events from place ``kept`` that came after another and, without repeats, with a new item."""
        found = []
        for place in range(max(1, kept), len(events)):
            number, event = events[place]
            before = tuple(one for _, one in reversed(events[:place]))
            if self.keeps_repeats or all(one.item_id != event.item_id for one in before):
                profile = Profile(user_id, recent=before, seen=len(distinct_items(before)))
                is_new = number > self._judged_to and number not in self._judged
                found.append(HeldOutEvent(profile, event.item_id, is_new, event.is_positive))
        return found


def _draw(user_id: str) -> int:
    """Return a number that is uniform over ids."""
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest())
