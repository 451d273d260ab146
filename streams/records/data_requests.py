"""What people ask of their data, on the compacted topic ``data-requests``: one record a user, its key.

A user may be forgotten, or merged into another one. The latest record of a user says all that was asked, and the
workers' answer: up to which offsets a forgetting holds. A merge needs no answer; see ``merges``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

from streams.records.codec import BadRecord, check_key, read_id, read_object, removed_id
from streams.records.positions import TopicPartition
from streams.records.records import Origin

__all__ = ["DataRequest", "Forgetting", "Forgotten", "decode_data_request", "is_nobodys"]

_NOBODY = re.compile(r"forgotten:[0-9a-f]{32}")  # as ``Forgetting.nobody`` makes it
_MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Forgetting:
    """A forgetting that the workers have carried out.

    Parameters
    ----------
    request_id : what asked for it.
    ts : when that was, milliseconds.
    partition : of the request; who owns it carries it out.
    below : event topic, without the prefix, to an offset for each of its partitions: the user's events before it are
        forgotten, later ones count.
    """

    request_id: str
    ts: int
    partition: int
    below: Mapping[str, tuple[int, ...]]

    def age(self) -> tuple[int, str]:
        """Return what puts the forgettings of a user in order, for all readers alike: a later one reaches further."""
        return sum(map(sum, self.below.values())), self.request_id

    def joined(self, other: "Forgetting") -> "Forgetting":
        """Return this answer to a request with the higher offsets of another, by who did not know of it."""
        topics = self.below.keys() | other.below.keys()
        below = {
            topic: tuple(map(max, *_of_one_length(self.below.get(topic, ()), other.below.get(topic, ()))))
            for topic in sorted(topics)
        }
        return replace(self, below=below)

    def places(self, prefix: str) -> dict[TopicPartition, int]:
        """Return the offsets by topic, with the prefix, and partition; without those before which nothing lies."""
        return {
            (prefix + topic, partition): offset
            for topic, offsets in self.below.items()
            for partition, offset in enumerate(offsets)
            if offset
        }

    @property
    def nobody(self) -> str:
        """The id that stands for the forgotten user where a place must be kept: of the request alone, 42 characters."""
        return f"forgotten:{blake2b(self.request_id.encode(), digest_size=16).hexdigest()}"


def is_nobodys(user_id: str) -> bool:
    """Return whether an id has the form of those that stand for forgotten users; no user is shown under one."""
    return _NOBODY.fullmatch(user_id) is not None


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What a user has asked for.

    Parameters
    ----------
    user_id : who is to be forgotten, or merged.
    request_id : names the request; the same again asks for nothing new.
    ts : when it was asked, milliseconds since the epoch.
    action : what is asked for, ``forget`` or ``merge``.
    forgotten : the forgettings that were carried out, oldest first; one that is asked for is open while its id is not
        among them.
    into : the account that the user is merged into; of a merge alone.
    """

    user_id: str
    request_id: str
    ts: int
    action: Literal["forget", "merge"] = "forget"
    forgotten: tuple[Forgetting, ...] = ()
    into: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is a forgetting that no worker has carried out yet."""
        return self.action == "forget" and all(one.request_id != self.request_id for one in self.forgotten)

    def answered(self, partition: int, below: Mapping[str, tuple[int, ...]]) -> "DataRequest":
        """Return the request as carried out."""
        done = Forgetting(self.request_id, self.ts, partition, dict(below))
        return replace(self, forgotten=(*self.forgotten, done))


class Forgotten:
    """Who was forgotten, and up to where; ``streams.reading.data_requests`` keeps it current."""

    def __init__(self) -> None:
        self._of_user: dict[str, tuple[Forgetting, ...]] = {}
        self._names: set[str] = set()
        self.changes = 0  # how often something new was put here

    def __len__(self) -> int:
        return len(self._of_user)

    def all(self) -> tuple[tuple[str, Forgetting], ...]:
        """Return every forgetting with its user."""
        return tuple((user_id, one) for user_id, found in self._of_user.items() for one in found)

    def put(self, user_id: str, forgettings: Iterable[Forgetting]) -> None:
        """Note what was carried out for a user, in place of what was known."""
        found, before = tuple(forgettings), self._of_user.pop(user_id, ())
        self.changes += found != before
        self._names.update(one.nobody for one in found)
        if found:
            self._of_user[user_id] = found
        if not {one.request_id for one in before} <= {one.request_id for one in found}:
            self._names = {one.nobody for _, one in self.all()}

    def below(self, prefix: str) -> dict[TopicPartition, dict[str, int]]:
        """Return for each topic, with the prefix, and partition the users whose events before an offset are forgotten.

        Of a user who was forgotten several times the latest counts.
        """
        found: dict[TopicPartition, dict[str, int]] = {}
        for user_id, one in self.all():
            for at, offset in one.places(prefix).items():
                users = found.setdefault(at, {})
                users[user_id] = max(offset, users.get(user_id, 0))
        return found

    def is_nobody(self, user_id: str) -> bool:
        """Whether an id stands for somebody who was forgotten."""
        return user_id in self._names

    def of(self, user_id: str) -> tuple[Forgetting, ...]:
        """Return the forgettings of a user, oldest first."""
        return self._of_user.get(user_id, ())

    def find(self, user_id: str, origin: Origin, prefix: str) -> Forgetting | None:
        """Return the forgetting that an event of a user fell under, the first that holds for its offset, or None."""
        for one in self._of_user.get(user_id, ()):
            before = one.below.get(origin.topic.removeprefix(prefix), ())
            if origin.partition < len(before) and origin.offset < before[origin.partition]:
                return one
        return None


def _of_one_length(*offsets: tuple[int, ...]) -> list[tuple[int, ...]]:
    longest = max(map(len, offsets))
    return [one + (0,) * (longest - len(one)) for one in offsets]


def decode_data_request(key: bytes | None, value: bytes | None) -> DataRequest | str:
    """Read a record of ``data-requests``: the request, or the user's id alone where an empty value ends its keeping.

    What is refused is not quoted, as it may name a person.

    Raises
    ------
    BadRecord
        If it breaks the contract.
    """
    try:
        return _request(key, value) if value else removed_id(key, "user_id")
    except BadRecord as error:
        required = error.detail.partition(", got ")[0]
        raise BadRecord(error.cause, f"{required}; what came may name a person and is not shown") from None


def _request(key: bytes | None, value: bytes) -> DataRequest:
    fields = read_object(value)
    user_id = read_id(fields, "user_id")
    check_key(key, "user_id", user_id)
    if (action := fields.get("action")) not in ("forget", "merge", None):
        raise BadRecord("bad_field", f"action must be forget or merge, got {action!r:.80}")
    into = None if action != "merge" and fields.get("into") is None else read_id(fields, "into")
    if action == "merge" and into == user_id:
        raise BadRecord("bad_field", f"into must be another user than user_id, got {into!r:.80}")
    told = fields.get("forgotten")
    told = [] if told is None else told
    if not isinstance(told, list):
        raise BadRecord("bad_field", f"forgotten must be a list, got {told!r:.80}")
    return DataRequest(
        user_id,
        read_id(fields, "request_id"),
        _whole(fields, "ts", -(2**63)),
        action or "forget",
        tuple(map(_forgetting, told)),
        into if action == "merge" else None,
    )


def _forgetting(fields: Any) -> Forgetting:
    if not isinstance(fields, dict) or not isinstance(fields.get("below"), dict):
        raise BadRecord("bad_field", f"forgotten must hold objects with below, got {fields!r:.80}")
    below = {topic: _offsets(topic, offsets) for topic, offsets in fields["below"].items()}
    return Forgetting(
        read_id(fields, "request_id"), _whole(fields, "ts", -(2**63)), _whole(fields, "partition", 0), below
    )


def _offsets(topic: str, found: Any) -> tuple[int, ...]:
    if not isinstance(found, list):
        raise BadRecord("bad_field", f"below.{topic} must be a list of offsets, got {found!r:.80}")
    return tuple(_whole({"below": offset}, "below", 0) for offset in found)


def _whole(fields: Mapping[str, Any], name: str, least: int) -> int:
    value = fields.get(name)
    if type(value) is int and least <= value <= _MAX_OFFSET:
        return value
    cause = "missing_field" if value is None else "bad_field"
    raise BadRecord(cause, f"{name} must be a whole number of at least {least}, in 64 bits, got {value!r:.80}")
