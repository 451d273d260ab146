"""Forgetting a user in Redis, so that the sums stay exact, Redis may be lost meanwhile, and a rebuild ends the same.

What is kept under the user's id goes: profile, lists, what was seen, the mode chosen by hand. Counters and trending
hold no ids, and keep what the user once added. So a forgetting changes no sum, and the state stays a function of the
events: who reads the user's earlier events again counts them for ``nobody``, a user without a name that is deleted at
the end (``Forgetting.nobody``). A worker carries an open forgetting out when it has applied every event that Kafka held
when the request was seen, and says on the topic at which offsets that was.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from streams.kafka import topics
from streams.people.waits import EarlierEvents
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.range_reader import READ_UNCOMMITTED, range_reader
from streams.records.data_requests import DataRequest, Forgetting, Forgotten
from streams.records.positions import TopicPartition
from streams.settings import Settings
from streams.state.store import AppliedBatch, SourcedEvent, State

__all__ = ["StateForgetter"]

_TOGETHER = 500  # users of one round trip
logger = logging.getLogger(__name__)


class StateForgetter:
    """Keeps forgotten users out of one Redis; all but ``relabelled`` only in turn with whatever else applies events.

    Parameters
    ----------
    settings : where the topics are.
    state : Redis.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state
        self._earlier: dict[str, EarlierEvents] = {}  # by request
        self._undeleted: dict[str, tuple[int, DataRequest]] = {}  # by user: answered, and not known to be deleted
        self._unsaid: set[str] = set()  # of these, users of whom it is not known whether the topic has the answer
        self._settled: set[str] = set()  # nobodies of whom nothing lies in these partitions, until an event comes
        self._settled_in: frozenset[int] = frozenset()
        self._all_cleared: tuple[Forgotten, int, frozenset[int]] | None = None  # of what, when nobody waited
        self.feed = DataRequestsFeed(settings)

    def relabelled(self, events: Sequence[SourcedEvent]) -> Sequence[SourcedEvent]:
        """Return events in which those before a forgetting are of nobody."""
        forgotten = self.feed.forgotten
        if not len(forgotten):
            return events
        prefix = self._settings.prefix
        found = []
        for origin, event, genres in events:
            one = forgotten.find(event.user_id, origin, prefix) if forgotten.of(event.user_id) else None
            if one is not None:
                self._settled.discard(one.nobody)
                self._all_cleared = None
                event = replace(event, user_id=one.nobody)  # noqa: PLW2901 - the same event
            found.append((origin, event, genres))
        return found

    async def uncounted(self, events: Sequence[SourcedEvent]) -> Sequence[SourcedEvent]:
        """Return events without those of nobodies that the sums hold already.

        A nobody is for events that are still to be counted. Of others, which are read once more, nothing would be left
        but the nobody, and of a partition that another worker has by now nobody would delete it.
        """
        is_nobody = self.feed.forgotten.is_nobody
        places = {(origin.topic, origin.partition) for origin, event, _ in events if is_nobody(event.user_id)}
        if not places:
            return events
        stand = await self._state.positions(places)
        return [
            one
            for one in events
            if not is_nobody(one[1].user_id) or one[0].offset > stand[one[0].topic, one[0].partition].applied
        ]

    def without_nobodies(self, applied: AppliedBatch) -> AppliedBatch:
        """Return what a batch did without users that are nobody: they get no lists."""
        if not len(self.feed.forgotten):
            return applied
        is_nobody = self.feed.forgotten.is_nobody
        return replace(
            applied,
            profiles={user: profile for user, profile in applied.profiles.items() if not is_nobody(user)},
            latest={user: latest for user, latest in applied.latest.items() if not is_nobody(user)},
        )

    async def set_apart(self, partitions: Collection[int]) -> None:
        """Give what Redis still holds of users from before their forgetting to nobody, as in one that came back.

        A user is whoever's partition the user's events lie in, which need not be that of the request: keys are written
        in several forms, and each leads to a partition of its own.

        Call it before events are applied to a Redis or to partitions that are new here. A user of before is known by
        the positions: they stand before the offsets of the forgetting.
        """
        wanted = self._touching(partitions)
        self._settled.difference_update(one.nobody for _, one in wanted)
        self._all_cleared = None
        gone: set[str] = set()  # a user of several forgettings is the nobody of the first that holds
        for some in _chunks(wanted):
            below = [self._places(one, partitions) for _, one in some]
            asked = [(user_id, tuple(places)) for (user_id, _), places in zip(some, below, strict=True)]
            stands = await self._state.user_positions(asked)
            for (user_id, one), places, stand in zip(some, below, stands, strict=True):
                is_before = any(0 <= at < offset for at, offset in zip(stand, places.values(), strict=True))
                if is_before and user_id not in gone:
                    gone.add(user_id)
                    await self._state.rename_user(user_id, one.nobody)
                    await self._state.remove_choices([user_id])
                    logger.info("forget.set_apart request %s", one.request_id)

    async def clear(self, partitions: Collection[int], ends: Mapping[TopicPartition, int]) -> None:
        """Delete the nobodies of these partitions, once their every event is applied.

        Parameters
        ----------
        ends : the offsets before which everything is applied, of all partitions.
        """
        for some in _chunks(self._uncleared(partitions)):
            await self._delete_nobodies(one for _, one in some if self._is_within(one, ends))

    async def clear_handled(self, partitions: Collection[int], handled: Mapping[TopicPartition, int]) -> None:
        """Delete the nobodies with events in our partitions, once every event of before is applied, of any partition.

        Where Redis went back, a nobody may lack events of a partition that its owner is still about to recover.

        Parameters
        ----------
        handled : the offset after the last record that was handled, of partitions that are recovered.
        """
        looked_at = self._looked_at(partitions)
        if self._all_cleared == looked_at:
            return
        waiting = self._uncleared(partitions)
        if not waiting:
            self._all_cleared = looked_at
            return
        reached = await self._reached(handled)
        everywhere = range(self._settings.partitions)
        for some in _chunks(waiting):
            places = [tuple(self._places(one, everywhere)) for _, one in some]
            asked = [(one.nobody, at) for (_, one), at in zip(some, places, strict=True)]
            stands = await self._state.user_positions(asked)
            done = []
            for (_, one), own, found in zip(some, places, stands, strict=True):
                numbers = {at[1] for at, applied in zip(own, found, strict=True) if applied >= 0}
                if numbers.isdisjoint(partitions):  # there is none, or it is others'
                    self._settled.add(one.nobody)
                elif self._is_within(one, reached):
                    done.append(one)
            await self._delete_nobodies(done)

    def is_clearing(self, partitions: Collection[int]) -> bool:
        """Whether ``clear_handled`` may have something to do."""
        return self._all_cleared != self._looked_at(partitions) and bool(self._uncleared(partitions))

    def _looked_at(self, partitions: Collection[int]) -> tuple[Forgotten, int, frozenset[int]]:
        return self.feed.forgotten, self.feed.forgotten.changes, frozenset(partitions)

    def _uncleared(self, partitions: Collection[int]) -> Sequence[tuple[str, Forgetting]]:
        if (own := frozenset(partitions)) != self._settled_in:
            self._settled.clear()
            self._settled_in = own
        return [(user_id, one) for user_id, one in self._touching(partitions) if one.nobody not in self._settled]

    def _touching(self, partitions: Collection[int]) -> Sequence[tuple[str, Forgetting]]:
        """Return the forgettings before which something lies in these partitions, with their users."""
        return [one for one in self.feed.forgotten.all() if self._places(one[1], partitions)]

    def _places(self, one: Forgetting, numbers: Collection[int]) -> dict[TopicPartition, int]:
        return {at: offset for at, offset in one.places(self._settings.prefix).items() if at[1] in numbers}

    async def _delete_nobodies(self, done: Iterable[Forgetting]) -> None:
        names = [one.nobody for one in done]
        if names:
            await self._state.remove_users(names)
            self._settled.update(names)

    def has_open(self, partitions: Collection[int]) -> bool:
        """Whether anybody of these partitions waits to be forgotten or deleted, or a record is to be said anew."""
        waiting = (self.feed.open, self.feed.untold, self._undeleted)
        return any(partition in partitions for one in waiting for partition, _ in one.values())

    async def carry_out(
        self,
        owned: Callable[[], Collection[int]],
        handled: Mapping[TopicPartition, int],
        publish: Callable[[DataRequest, int], Awaitable[None]],
    ) -> tuple[str, ...]:
        """Carry out the open forgettings of our partitions of which every earlier event is handled.

        Steps: 1 find out how far the event topics reach; 2 wait for a later call until that is handled; 3 say on the
        topic up to where it holds; 4 delete. Where Redis is away at step 4 the next call begins with it. Who dies
        before it, or loses the partition, has said enough: ``set_apart`` and ``clear`` of whoever comes next delete it.

        Parameters
        ----------
        owned : returns the partitions that are ours now.
        handled : the offset before which all is handled, also the ends of transactions; of partitions that are
            recovered.
        publish : says on the topic what became of a request in a partition.

        Returns
        -------
        The users that are forgotten now.
        """
        done = await self._delete_answered(owned())
        # Step 1
        waiting = [(user_id, *one) for user_id, one in self.feed.open.items() if one[0] in owned()]
        befores = [await self._before(request) for _, _, request in waiting]
        reached: Mapping[TopicPartition, int] | None = None
        for (user_id, partition, request), earlier in zip(waiting, befores, strict=True):
            if partition not in owned():
                continue
            # Step 2
            if reached is None:
                reached = await self._reached(handled)
            if not earlier.are_applied(reached):
                continue
            # Step 3
            below = {
                topic: tuple(
                    max(reached[at], earlier.ends[at])
                    for at in ((self._settings.prefix + topic, number) for number in range(self._settings.partitions))
                )
                for topic in topics.EVENTS
            }
            now = self.feed.open.get(user_id)
            if now is None or now[1].request_id != request.request_id:  # another was asked for meanwhile
                continue
            if partition not in owned():  # who has it now may have answered
                continue
            answered = self.feed.answered(user_id, below)  # with a merge that was asked for meanwhile
            self._undeleted[user_id] = partition, answered
            self._unsaid.add(user_id)
            await publish(answered, partition)
            self._unsaid.discard(user_id)
            self.feed.note(partition, answered)
            reached = None  # meanwhile others have come further
            # Step 4
            done += await self._delete_answered(owned())
        for partition, request in tuple(self.feed.untold.values()):
            if partition in owned():
                await publish(request, partition)
                if self.feed.untold.get(request.user_id) == (partition, request):
                    self.feed.note(partition, request)
        return tuple(done)

    async def _delete_answered(self, partitions: Collection[int]) -> list[str]:
        """Delete the users of whom it was said in these partitions that they are forgotten; leave others to others."""
        done = []
        for user_id, (partition, answered) in tuple(self._undeleted.items()):
            if partition in partitions:
                if user_id in self._unsaid and user_id in self.feed.open:  # it is said anew
                    continue
                await self._state.remove_users([user_id])
                await self._state.remove_choices([user_id])
                if self.feed.merges.request_of(user_id) is not None:  # later events are the account's
                    self.feed.merges.changed[user_id] = partition
                logger.info("forget.done request %s", answered.forgotten[-1].request_id)
                done.append(user_id)
            del self._undeleted[user_id]
            self._unsaid.discard(user_id)
            self._earlier.pop(answered.forgotten[-1].request_id, None)
        return done

    async def _before(self, request: DataRequest) -> EarlierEvents:
        """Return what lay on the event topics when the request was first seen here.

        Records of transactions that were open then lay there too, and were sent before.
        """
        if request.request_id not in self._earlier:
            prefix, numbers = self._settings.prefix, range(self._settings.partitions)
            names = [(prefix + topic, number) for topic in topics.EVENTS for number in numbers]
            async with range_reader(self._settings, isolation_level=READ_UNCOMMITTED) as reader:
                ends = {at: await reader.end(at) for at in names}
            self._earlier[request.request_id] = EarlierEvents(request.request_id, ends)
        return self._earlier[request.request_id]

    async def _reached(self, handled: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the offsets before which everything is applied: here, or in other partitions by whoever owns them.

        A user's events lie in the partition of the request, unless a producer has chosen partitions in another way. Bad
        records move no position; their owners tell Redis how far they are, so that goes back where Redis does.
        """
        prefix, everywhere = self._settings.prefix, range(self._settings.partitions)
        places = [(prefix + topic, number) for topic in topics.EVENTS for number in everywhere]
        stand = await self._state.positions(places)
        return {at: max(stand[at].applied + 1, stand[at].handled, handled.get(at, 0)) for at in places}

    def _is_within(self, one: Forgetting, ends: Mapping[TopicPartition, int]) -> bool:
        everywhere = range(self._settings.partitions)
        return all(ends.get(at, 0) >= offset for at, offset in self._places(one, everywhere).items())


def _chunks(values: Sequence[tuple[str, Forgetting]]) -> Iterable[Sequence[tuple[str, Forgetting]]]:
    return (values[first : first + _TOGETHER] for first in range(0, len(values), _TOGETHER))
