"""What is learnt of events: each once, judged by its user's ratings before it, and forgotten when it is taken back.

A learner keeps a hash of an event's id with the event, so a withdrawal finds its event for as long as the learner holds
it. Ids of the latest events are remembered by themselves, for what is sent twice, or is taken back before it comes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

from model.feedback import RatingTallies
from model.history import Interaction
from model.kinds import RATE, KindTable
from model.renames import NO_RENAMES, Renames
from model.training.learner import Learner
from streams.records.duplicates import RememberedEvents
from streams.records.records import MAX_STARS, EventIdentity, EventRecord, Origin, Withdrawal, identity_of, judged

__all__ = ["EventIntake"]


class EventIntake:
    """Turns events into what a learner observes.

    Parameters
    ----------
    most : ids that are remembered by themselves.
    kinds : of events that there are.
    renames : returns the ids that items had; an event that names one is learnt under the first.
    """

    def __init__(self, most: int, kinds: KindTable, renames: Callable[[], Renames] = lambda: NO_RENAMES) -> None:
        self._kinds = kinds
        self._renames = renames
        self._remembered = RememberedEvents(most)
        self.tallies = RatingTallies()

    def learnt(
        self, learner: Learner, events: Iterable[tuple[Origin, EventRecord]]
    ) -> Iterator[tuple[str, Interaction]]:
        """Give the interactions of events with their users, to be observed at once, and take back what they take back.

        An event whose withdrawal came first is known by then, as one that was sent twice is.
        """
        for origin, event in events:
            identity = identity_of(origin, event)
            if self._remembered.is_repeat(identity):
                continue
            if isinstance(event, Withdrawal):
                self._take_back(learner, origin, event)
                continue
            interaction = judged(event, self.tallies, self._kinds)
            if interaction is not None:
                first_id = self._renames().first.get(interaction.item_id)
                yield event.user_id, interaction if first_id is None else replace(interaction, item_id=first_id)
                learner.name_latest(event.user_id, _name_of(identity))

    def forget(self, user_ids: Collection[str]) -> None:
        """Forget what is remembered of some users; should one come back, the same ids are new events."""
        self._remembered.forget(user_ids)
        for user_id in user_ids:
            self.tallies.forget(user_id)

    def count_earlier(self, ratings: Iterable[tuple[Origin, EventRecord]]) -> None:
        """Count ratings that are not learnt for their users' own middles, without those that were taken back."""
        known = [event for _, event in ratings]
        taken = {(event.user_id, event.withdraws) for event in known if isinstance(event, Withdrawal)}
        for event in known:
            if not isinstance(event, Withdrawal) and (event.user_id, event.event_id) not in taken:
                judged(event, self.tallies, self._kinds)

    def _take_back(self, learner: Learner, origin: Origin, withdrawal: Withdrawal) -> None:
        identity = origin.topic, withdrawal.user_id, withdrawal.withdraws
        self._remembered.is_repeat(identity)  # from now on it is one, should it still come
        number = learner.number_of(withdrawal.user_id, _name_of(identity))
        gone = learner.take_back(withdrawal.user_id, number) if number else None
        weight = self._kinds.of_kind(RATE).weight
        if gone is not None and gone.kind == RATE and weight:
            self.tallies.take_back(withdrawal.user_id, gone.weight * MAX_STARS / weight)


def _name_of(identity: EventIdentity) -> int:
    """Return a number above 0 that tells a user's events apart."""
    topic, _, event_id = identity
    return 1 + int.from_bytes(blake2b(f"{topic} {event_id}".encode(), digest_size=7).digest())
