"""What the trainer process holds between two versions: users' latest events, what is new, the champion.

A round goes ``observe`` (many times), ``fine_tune``, :func:`model.training.gate.gate`, ``settle``. Observing and
training may happen in two threads: :meth:`Learner.material` copies what a round needs, and
:func:`model.training.rounds.run_round` works on that copy alone.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np

from model.catalogue import Catalogue
from model.columns.events import EventColumns
from model.feedback import NEWCOMER_EVENTS
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, KindTable, source_of
from model.network.snapshot import Snapshot
from model.training.fit import Progress, TrainingHooks
from model.training.gate import GateVerdict
from model.training.heat import Heat, HeatConfig
from model.training.held_out import HeldOutEvent, held_out_of
from model.training.rounds import Candidate, Material, RoundConfig, run_round
from model.training.standing import Standing
from model.training.update_scale import UpdateScale
from model.training.whole_log import first_material

__all__ = ["Learner", "LearnerConfig"]

_Remembered = tuple[int, Interaction, int, int]  # number of an event, ordinal of its user and source, name or 0
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
    accounts : returns guests with the accounts that their events count for; none by default. It is asked anew for each
        round, as a merge may come long after the events, and end again.

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
        accounts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._accounts = accounts
        self.config = config or LearnerConfig()
        self.rounds = rounds or RoundConfig()
        self.champion = champion
        self.anchor: Snapshot | None = None
        self.standing = Standing()
        self._judged_to = 0  # number of the last event that was there when a round judged
        self._judged: set[int] = set()  # numbers of later ones by which a round has judged all the same
        self._anchor_learnt = 0  # number of the last event that the anchor has learnt from
        self._columns: EventColumns | None = None  # all that there is, while nothing asks for single events
        self._events: dict[str, list[_Remembered]] = {}
        self._left: set[str] = set()  # of whom nothing is left, but a place in the reservoir
        self._n_of_source: dict[str, dict[str, int]] = {}  # of each user, also events that were left out since
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

    def observe_columns(self, events: EventColumns) -> None:
        """Remember events, given as columns in order of arrival, as :meth:`observe` does.

        The first ones stay columns, if all of them are kept, until something is asked that concerns single events: a
        first training is not. So a log of 32 million events takes 1 GB here.
        """
        is_first = not self._observed and self.champion is None
        if is_first and len(events) <= 2 * self.config.max_events and self._leaves_none_out(events):
            self._columns = events
            self._observed = self._size = len(events)
        else:
            self.observe(zip(events.users, events.interactions(), strict=True))

    def _leaves_none_out(self, events: EventColumns) -> bool:
        return int(events.users.counts().max(initial=0)) <= self.config.max_events_per_user

    def _as_objects(self) -> None:
        """Hold each event as an object from now on."""
        if self._columns is not None:
            columns, self._columns = self._columns, None
            self._observed = self._size = 0
            self.observe(zip(columns.users, columns.interactions(), strict=True))

    def observe(self, interactions: Iterable[tuple[str, Interaction]]) -> None:
        """Remember events, given as (user id, interaction) in order of arrival."""
        self._as_objects()
        for user_id, interaction in interactions:
            self._observed += 1
            events = self._events.get(user_id)
            if events is None:
                events = self._events[user_id] = []
                self._n_of_source[user_id] = {}
                if user_id in self._left:
                    self._left.remove(user_id)
                else:
                    heappush(self._reservoir, (_draw(user_id), user_id))
            of_source, source = self._n_of_source[user_id], source_of(interaction.kind)
            ordinal = of_source.get(source, 0)
            of_source[source] = ordinal + 1
            self._unheated.append((self._observed, interaction, ordinal))
            events.append((self._observed, interaction, ordinal, 0))
            self._size += 1
            if len(self._unheated) > MAX_UNHEATED:
                self._heat_up(self._observed - MAX_UNHEATED // 2)
            if len(events) > self.config.max_events_per_user:
                del events[0]
                self._size -= 1
            if self._size > 2 * self.config.max_events:
                self._forget()

    def name_latest(self, user_id: str, name: int) -> None:
        """Remember a name, above 0, of the event of a user that was observed last."""
        self._as_objects()
        events = self._events.get(user_id)
        if events and events[-1][0] == self._observed:
            events[-1] = (*events[-1][:3], name)

    def number_of(self, user_id: str, name: int) -> int:
        """Return the number of a user's latest event of a name, 0 where none is remembered."""
        self._as_objects()
        return next((number for number, *_, own in reversed(self._events.get(user_id, ())) if own == name), 0)

    def take_back(self, user_id: str, number: int) -> Interaction | None:
        """Forget one event of a user, by its number, and return it; None where it is not remembered any more.

        The champion has learnt from it all the same; the next version has not.
        """
        self._as_objects()
        events = self._events.get(user_id, [])
        place = next((at for at, event in enumerate(events) if event[0] == number), None)
        if place is None:
            return None
        _, interaction, ordinal, _ = events[place]
        self._n_of_source[user_id][source_of(interaction.kind)] -= 1
        del events[place]
        self._size -= 1
        if not events:
            self._drop(user_id)
            self._left.add(user_id)
        if self._unheated and number >= self._unheated[0][0]:  # its number stays, as they follow each other
            at = number - self._unheated[0][0]
            self._unheated[at] = number, replace(interaction, is_positive=False), self._unheated[at][2]
        else:
            self._heat.take_back(interaction, ordinal)
        return interaction

    def _forget(self) -> None:
        """Forget users, lowest draws first, until the rest fits; those with new events only beyond twice the bound.

        A user's draw is a hash of the id. Keeping the highest ones keeps a uniform sample without replacement
        (bottom-k sampling), and the same one after a restart.
        """
        self._as_objects()
        spared = []
        while self._size > self.config.max_events and self._reservoir:
            draw, user_id = heappop(self._reservoir)
            if user_id in self._left:
                self._left.remove(user_id)
            elif self._events[user_id][-1][0] > self._learnt:
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

    def forget_users(self, names: Mapping[str, str]) -> None:
        """Forget all that is remembered of some users; champion and anchor keep a row of zeros in their places.

        Parameters
        ----------
        names : of the users, and what stands in their places.
        """
        self._as_objects()
        for user_id in names:
            if user_id in self._events:
                self._drop(user_id)
        self._left -= names.keys()
        self._reservoir = [(draw, user_id) for draw, user_id in self._reservoir if user_id not in names]
        heapify(self._reservoir)
        self.champion = None if self.champion is None else self.champion.without_users(names)
        self.anchor = None if self.anchor is None else self.anchor.without_users(names)

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
        self._as_objects()
        for user_id, events in self._events.items():
            if len(events) < self.config.max_events_per_user:
                yield user_id, tuple(one.item_id for _, one, *_ in events[:NEWCOMER_EVENTS])

    def material(self, catalogue: Catalogue) -> Material:
        """Copy what the next round reads, with the newest of the new events kept back for the gate."""
        is_first = self.champion is None and not (self._judged or self._learnt or self._judged_to or self._accounts())
        if self._columns is not None and is_first:
            return first_material(
                self._columns,
                catalogue,
                Heat(self._heat.config),
                held_out_share=self.config.held_out_share,
                max_held_out=self.config.max_held_out,
                max_unheated=MAX_UNHEATED,
                repeats=self.keeps_repeats,
            )
        self._as_objects()
        share = int((self._observed - self._learnt) * self.config.held_out_share)
        trained_to = self._observed - min(share, self.config.max_held_out)
        histories: dict[str, tuple[Interaction, ...]] = {}
        fresh: dict[str, int] = {}
        held_out: list[HeldOutEvent] = []
        unseen: list[HeldOutEvent] = []
        heated_to = max(self._learnt, self._unheated[0][0] - 1 if self._unheated else self._observed)
        for user_id, events in self._joined(self._learnt, heated_to, trained_to):
            n = _up_to(events, trained_to)
            if n:
                histories[user_id] = tuple([one for _, one, _, _ in events[:n]])
                fresh[user_id] = n - _up_to(events, self._learnt, n)
            if n < len(events):
                held_out += self._held_out(user_id, events, n)
            if self.champion is not None and n and events[n - 1][0] > heated_to:
                unseen += self._held_out(user_id, events[:n], _up_to(events, heated_to, n))
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

    def _joined(self, *bounds: int) -> Iterator[tuple[str, Sequence[_Remembered]]]:
        """Give each user's events, an account's with those of its guests.

        Of several users they are in order of time, but what is up to one of some numbers comes before what is beyond
        it, as the events of one user do; and of an account no more than of anybody else.
        """
        accounts = {guest: account for guest, account in self._accounts().items() if guest in self._events}
        parts: dict[str, list[str]] = {account: [account] for account in accounts.values()}
        for guest, account in accounts.items():
            parts[account].append(guest)
        for user_id, events in self._events.items():
            if user_id not in accounts and user_id not in parts:
                yield user_id, events
        for account, users in parts.items():
            mine = [one for user_id in users for one in self._events.get(user_id, ())]
            mine.sort(key=lambda one: (*(one[0] > bound for bound in bounds), one[1].ts, one[0]))
            yield account, mine[-self.config.max_events_per_user :]

    def _heat_at(self, number: int) -> Heat:
        """Return what trends after the events up to a number."""
        heat = self._heat.copy()
        heat.add_all(self._unheated_to(number))
        return heat

    def _unheated_to(self, number: int) -> list[tuple[Interaction, int]]:
        """Return the events up to a number that trending has not taken, each with its ordinal."""
        n = max(0, number - self._unheated[0][0] + 1) if self._unheated else 0  # their numbers follow each other
        return [(interaction, ordinal) for _, interaction, ordinal in islice(self._unheated, n)]

    def _heat_up(self, number: int) -> None:
        """Let the events up to a number count as trending from now on."""
        self._as_objects()
        self._heat.add_all(self._unheated_to(number))
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

    def _held_out(self, user_id: str, events: Sequence[_Remembered], kept: int) -> list[HeldOutEvent]:
        """Return the events from place ``kept`` that came after another and, without repeats, with a new item."""
        if max(1, kept) >= len(events):
            return []
        are_new = [number > self._judged_to and number not in self._judged for number, *_ in events[kept:]]
        return held_out_of(user_id, [one for _, one, *_ in events], kept, repeats=self.keeps_repeats, are_new=are_new)


def _up_to(events: Sequence[_Remembered], number: int, n: int | None = None) -> int:
    """Return how many of a user's events, or of their first ``n``, were observed up to a number."""
    n = len(events) if n is None else n
    if not n or events[n - 1][0] <= number:
        return n
    return bisect_right(events, number, hi=n, key=itemgetter(0))


def _draw(user_id: str) -> int:
    """Return a number that is uniform over ids."""
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest())
