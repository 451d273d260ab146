"""What must come of the records of ``data-requests``: who was forgotten up to where, and whose guest is whose.

Written from docs/reference/records.md, docs/how-to/forget.md and docs/how-to/merge.md. Offsets are the workers' own
answer, and nobody else can know them; ``Outcome.broken_promises`` holds them against what the senders saw.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Ends", "Forgetting", "Outcome", "PeopleLog", "judge_request", "nobody_of"]

Ends = Mapping[tuple[str, int], int]  # topic and partition to the offset after the last record that stands
NOBODY = "forgotten "  # of whoever was forgotten; no id of the stream has a space there
Fields = Mapping[str, Any]


class Forgetting(NamedTuple):
    """Up to where a user is forgotten; ``answered_ms`` is when a worker said so first."""

    request_id: str
    below: Mapping[str, tuple[int, ...]]
    answered_ms: int

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether an event that stands there is forgotten."""
        offsets = self.below.get(topic, ())
        return partition < len(offsets) and offset < offsets[partition]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What holds after the last record.

    Parameters
    ----------
    forgotten : of each user, the oldest first.
    account_of : each guest's account, the last one of a chain.
    guests_of : the guests of each account, also by way of others; a guest has none.
    parted : users who had guests, or guests of guests, that are not theirs any more.
    unanswered : the latest requests to forget, with their users, that no worker has answered.
    requests : how many records of users there are, without the workers' own.
    asked : the requests that they name.
    """

    forgotten: Mapping[str, tuple[Forgetting, ...]] = field(default_factory=dict)
    account_of: Mapping[str, str] = field(default_factory=dict)
    guests_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parted: frozenset[str] = frozenset()
    unanswered: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    asked: frozenset[str] = frozenset()

    def parts_of(self, user: str) -> tuple[str, ...]:
        """Return whose events a user's history is."""
        return (user, *sorted(self.guests_of.get(user, ())))

    def forgetting_of(self, user: str, topic: str, partition: int, offset: int) -> Forgetting | None:
        """Return the first forgetting that an event of a user falls under, or None."""
        return next((one for one in self.forgotten.get(user, ()) if one.holds(topic, partition, offset)), None)

    def broken_promises(self, sent: Mapping[str, Ends]) -> list[str]:
        """Say of which forgettings earlier events are not forgotten.

        Parameters
        ----------
        sent : by request, how far the topics reached when its record was sent.
        """
        return [
            f"{user!r} by {one.request_id}: {topic} {partition} reached {end} when it was sent, {below} is forgotten"
            for user, forgettings in self.forgotten.items()
            for one in forgettings
            for (topic, partition), end in sent.get(one.request_id, {}).items()
            if (below := one.below[topic][partition]) < end
        ]


def nobody_of(forgetting: Forgetting) -> str:
    """Return whom the forgotten events of a user count for; each forgetting has its own, whom nobody is to see."""
    return f"{NOBODY}{forgetting.request_id}"


class PeopleLog:
    """Takes the good records of the topic, in order within each partition, and says what holds after the last."""

    def __init__(self) -> None:
        self._merges: dict[str, tuple[int, str, str]] = {}  # by guest: when, request and account
        self._every_merge: set[tuple[str, str]] = set()
        self._forgettings: dict[str, dict[str, Forgetting]] = {}
        self._asked: dict[str, dict[str, None]] = {}  # requests to forget, by user, in the order of asking
        self._requests = 0
        self._named: set[str] = set()

    def add(self, fields: Fields, recorded: int) -> None:
        """Take a record; of a user the latest counts, but one that was there before asks for no forgetting again."""
        user, request = str(fields["user_id"]), str(fields["request_id"])
        told = fields.get("forgotten") or ()
        self._requests += not told
        self._named.add(request)
        known = self._forgettings.setdefault(user, {})
        for one in told:
            below = {topic: tuple(offsets) for topic, offsets in one["below"].items()}
            before = known.get(one["request_id"])
            if before is not None:  # two workers may answer; up to the higher offsets both hold
                below = {topic: tuple(map(max, offsets, before.below[topic])) for topic, offsets in below.items()}
            if before is None or before.below != below:
                known[one["request_id"]] = Forgetting(one["request_id"], below, recorded)
        if fields.get("action") == "merge":
            self._merges[user] = int(fields["ts"]), request, str(fields["into"])
            self._every_merge.add((user, str(fields["into"])))
            return
        asked = self._asked.setdefault(user, {})
        if request not in asked:
            self._merges.pop(user, None)
            asked[request] = None

    def outcome(self) -> Outcome:
        """Return what holds now."""
        into = _without_circles(self._merges)
        account_of = {guest: _end(guest, into) for guest in into}
        guests_of: dict[str, set[str]] = {}
        for guest, account in account_of.items():
            guests_of.setdefault(account, set()).add(guest)
        return Outcome(
            {user: tuple(found.values()) for user, found in self._forgettings.items() if found},
            account_of,
            {account: frozenset(guests) for account, guests in guests_of.items()},
            self._parted(account_of),
            {
                latest: user
                for user, requests in self._asked.items()
                if (latest := next(reversed(requests))) not in self._forgettings[user]  # it covers those before it
            },
            self._requests,
            frozenset(self._named),
        )

    def _parted(self, account_of: Mapping[str, str]) -> frozenset[str]:
        """Return whoever may have had a guest who is another's now, by any merge that was asked for at any time."""
        further: dict[str, set[str]] = {}
        for guest, account in self._every_merge:
            further.setdefault(guest, set()).add(account)
        found: set[str] = set()
        for guest in further:
            reached, looking = set[str](), [guest]
            while looking:
                new = further.get(looking.pop(), set()) - reached
                reached |= new
                looking += new
            found |= reached - {account_of.get(guest, guest)}
        return frozenset(found)


def _without_circles(merges: Mapping[str, tuple[int, str, str]]) -> dict[str, str]:
    """Return the merges that hold: taken by time, and then by id, those that would not lead back to their guest."""
    into: dict[str, str] = {}
    for guest, (_, _, account) in sorted(merges.items(), key=lambda one: one[1][:2]):
        if _end(account, into) != guest:
            into[guest] = account
    return into


def _end(user: str, into: Mapping[str, str]) -> str:
    while user in into:
        user = into[user]
    return user


def judge_request(fields: Fields, is_id: Callable[[str, Any], bool]) -> str | None:
    """Return the cause for which a record of ``data-requests`` becomes a dead letter, or None.

    Parameters
    ----------
    fields : of the record.
    is_id : whether a field of a name may have a value.
    """
    for name in ("user_id", "request_id", "ts", *(("into",) if fields.get("action") == "merge" else ())):
        if fields.get(name) is None:
            return "missing_field"
        if not is_id("item_id" if name == "into" else name, fields[name]):
            return "bad_field"
    told = fields.get("forgotten")
    is_right = (
        fields.get("action") in ("forget", "merge", None)
        and (fields.get("action") != "merge" or str(fields["into"]) != str(fields["user_id"]))
        and (told is None or isinstance(told, list))
    )
    return None if is_right else "bad_field"
