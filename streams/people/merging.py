"""Merging guests into accounts in Redis: who is whose, and who gets no list any more.

No event moves. A guest's events stay under the guest's id, judged by the guest's own past, and whoever reads an account
joins what lies under the ids of its guests (``model.joined_history``). So a merge holds for events before it and after
it alike, a record that comes twice changes nothing, and a rebuild ends the same. What a worker writes are two keys that
say it to readers: ``user:{<account>}:guests`` and ``user:{<guest>}:merged``.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from streams.errors import StreamError
from streams.records.data_requests import DataRequest
from streams.records.merges import Merges
from streams.records.records import EventRecord, Origin
from streams.state.store import AppliedBatch, State

__all__ = ["GuestMerger"]

_TOGETHER = 500  # guests of one round trip
logger = logging.getLogger(__name__)


class GuestMerger:
    """Keeps one Redis to what was merged; all but ``joined`` only in turn with whatever else applies events.

    Parameters
    ----------
    merges : that hold now.
    state : Redis.

    Attributes
    ----------
    unlisted : accounts that got a guest, and the request; each is to get a list. Whoever made it takes it out.
    """

    def __init__(self, merges: Merges, state: State) -> None:
        self._merges = merges
        self._state = state
        self.unlisted: dict[str, DataRequest] = {}
        self._parted: dict[str, int] = {}  # guests who are nobody's any more in partitions of others

    @property
    def has_open(self) -> bool:
        """Whether a merge waits to be carried out."""
        return bool(self._merges.changed or self.unlisted)

    async def joined(self, applied: AppliedBatch) -> AppliedBatch:
        """Return what a batch did with accounts in the place of their guests: they get the lists."""
        merges = self._merges
        if not len(merges):
            return applied
        touched = {
            user: merges.resolved(user)
            for user in applied.profiles
            if merges.account_of(user) or merges.guests_of(user)
        }  # as it holds now: others are merged while profiles are read
        if not touched:
            return applied
        profiles = {user: one for user, one in applied.profiles.items() if user not in touched}
        profiles |= await self._state.profiles(touched.values())
        latest: dict[str, tuple[Origin, EventRecord]] = {}
        for user, found in applied.latest.items():
            account = touched.get(user, user)
            if account not in latest or latest[account][0].timestamp <= found[0].timestamp:
                latest[account] = found
        return replace(applied, profiles=profiles, latest=latest)

    async def link(self, partitions: Collection[int]) -> None:
        """Let Redis say what holds in these partitions, as it is new here or was emptied; leave others to others.

        An account that was to get a list, of whoever had the partition before, is to get it here.
        """
        guests = [*self._merges.of_partitions(partitions)]
        parted = [guest for guest, partition in self._parted.items() if partition in partitions]
        await self._link([*guests, *parted])
        for guest in parted:
            del self._parted[guest]
        asked = {self._merges.resolved(guest): self._merges.request_of(guest) for guest in guests}
        for some in _chunks([*asked]):
            for account in await self._state.unlisted(some):
                self._note_unlisted(account, asked[account])
        await self.carry_out(lambda: partitions)

    async def carry_out(self, owned: Callable[[], Collection[int]]) -> Mapping[str, DataRequest]:
        """Carry out what has changed in our partitions, and return the accounts that wait for a list.

        Parameters
        ----------
        owned : returns the partitions that are ours now.
        """
        changed = dict(self._merges.changed)
        self._merges.changed.clear()  # what changes meanwhile is for the next call
        ours = [guest for guest, partition in changed.items() if partition in owned()]
        try:
            await self._link(ours)
        except StreamError:
            for guest, partition in changed.items():
                self._merges.changed.setdefault(guest, partition)
            raise
        for guest in changed.keys() - set(ours):
            if self._merges.account_of(guest) is None:  # ``link`` finds the others by what holds
                self._parted[guest] = changed[guest]
        return dict(self.unlisted)

    async def _link(self, guests: Sequence[str]) -> None:
        for some in _chunks(guests):
            found = zip(some, await self._state.linked_accounts(some), strict=True)
            links = [(guest, before, self._merges.account_of(guest)) for guest, before in found]
            asked = {guest: self._merges.request_of(guest) for guest in some}
            await self._state.link_guests([link for link in links if link[1:] != (None, None)])
            for guest, before, account in links:
                if account is not None and account != before:
                    self._note_unlisted(account, asked[guest])

    def _note_unlisted(self, account: str, request: DataRequest | None) -> None:
        if request is not None:
            self.unlisted[account] = request
            logger.info("merge.done request %s", request.request_id)


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[first : first + _TOGETHER] for first in range(0, len(values), _TOGETHER))
