"""Which guests are whose: the merges that hold, of all that were asked for.

A merge lets a guest's history count as an account's. Nothing that events made is moved: an account has parts, itself
and its guests, and whoever reads it joins them. So it is the same whichever came first, the merge or any event.
"""

from collections.abc import Collection, Iterable

from streams.records.data_requests import DataRequest

__all__ = ["Merges"]


class Merges:
    """Who was merged into whom; of a guest the latest record counts, and ``streams.reading.data_requests`` keeps it.

    An account may be merged into another one, and all its guests with it. Of merges that lead round in a circle the
    latest, by time and then by its id, does not hold; which one that is does not depend on the order of the records.
    """

    def __init__(self) -> None:
        self._asked: dict[str, tuple[int, DataRequest]] = {}  # by guest, with the partition of the record
        self._into: dict[str, str] = {}  # those that hold
        self._guests: dict[str, set[str]] = {}
        self._void: set[str] = set()
        self._changed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._into)

    @property
    def changed(self) -> dict[str, int]:
        """The partition of each guest whose account is another one since this was emptied."""
        return self._changed

    def put(self, partition: int, user_id: str, request: DataRequest | None) -> None:
        """Note what was asked for a user, in place of what was known; None where it is no merge."""
        before = self._asked.get(user_id)
        if request is None and before is None:
            return
        if before is not None and request is not None and before[1].into == request.into and not self._void:
            self._asked[user_id] = partition, request
            return  # with a circle somewhere, another of its merges may be the latest now
        if user_id in self._into:
            self._cut(user_id)
        self._void.discard(user_id)
        if request is None:
            del self._asked[user_id]
        else:
            self._asked[user_id] = partition, request
            self._join(user_id)
        for other in sorted(self._void - {user_id}):
            self._join(other)
        self._note_changed(user_id, partition)

    def clear(self) -> None:
        """Forget all; each guest has changed."""
        for user_id in tuple(self._asked):
            self.put(self._asked[user_id][0], user_id, None)

    def asked_of(self, guest: str) -> DataRequest | None:
        """Return the merge that was asked for a guest, whether it holds or not."""
        asked = self._asked.get(guest)
        return None if asked is None else asked[1]

    def request_of(self, guest: str) -> DataRequest | None:
        """Return the merge of a guest, if it holds."""
        return self._asked[guest][1] if guest in self._into else None

    def account_of(self, user_id: str) -> str | None:
        """Return the account that a user was merged into, the last one of a chain; None where it was not."""
        account = self._into.get(user_id)
        while account in self._into:
            account = self._into[account]
        return account

    def resolved(self, user_id: str) -> str:
        """Return who a user's events count for: the account, or the user."""
        return self.account_of(user_id) or user_id

    def accounts(self) -> dict[str, str]:
        """Return every guest with the account that the guest was merged into, the last one of a chain.

        Another thread may ask: it is of one moment.
        """
        into = dict(self._into)
        found = {}
        for guest, account in into.items():
            while account in into:
                account = into[account]  # noqa: PLW2901 - further along the chain
            found[guest] = account
        return found

    def guests_of(self, account: str) -> tuple[str, ...]:
        """Return who was merged into an account, also by way of others, sorted."""
        found, looking = set[str](), list(self._guests.get(account, ()))
        while looking:
            guest = looking.pop()
            found.add(guest)
            looking += self._guests.get(guest, ())
        return tuple(sorted(found))

    def of_partitions(self, partitions: Collection[int]) -> Iterable[str]:
        """Return the guests whose merges stand in these partitions and hold."""
        return [guest for guest, (at, _) in self._asked.items() if at in partitions and guest in self._into]

    def _join(self, guest: str) -> None:
        """Let a merge hold; where it would close a circle, all but the latest merge of that."""
        circle = self._circle(guest)
        latest = max(circle, key=self._when) if circle else None
        if latest == guest:
            self._void.add(guest)
            return
        if latest is not None:
            self._cut(latest)
            self._void.add(latest)
            self._note_changed(latest, self._asked[latest][0])
        account = self._asked[guest][1].into
        assert account is not None
        self._void.discard(guest)
        self._into[guest] = account
        self._guests.setdefault(account, set()).add(guest)
        self._note_changed(guest, self._asked[guest][0])

    def _circle(self, guest: str) -> list[str]:
        """Return the merges that lead from the guest's account back to the guest, with its own; none where none do."""
        circle, at = [guest], self._asked[guest][1].into
        while at != guest:
            if at not in self._into:
                return []
            circle.append(at)
            at = self._into[at]
        return circle

    def _cut(self, guest: str) -> None:
        account = self._into.pop(guest)
        self._guests[account].discard(guest)
        if not self._guests[account]:
            del self._guests[account]

    def _when(self, guest: str) -> tuple[int, str]:
        request = self._asked[guest][1]
        return request.ts, request.request_id

    def _note_changed(self, user_id: str, partition: int) -> None:
        self._changed[user_id] = partition
        for guest in self.guests_of(user_id):
            self._changed[guest] = self._asked[guest][0]
