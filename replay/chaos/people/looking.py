"""What Redis holds of people: every key of every user, and who is whose guest; read by the documented names alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NOBODYS", "UserKeysFound", "read_user_keys", "tag_of", "user_id_of"]

KEYS_PER_READ = 1000  # in one round trip
NOBODYS = "forgotten:"  # what the ids begin with that stand for whoever was forgotten


@dataclass(frozen=True, slots=True)
class UserKeysFound:
    """The keys of users.

    Parameters
    ----------
    of_user : the ends of each user's keys; the end of the profile's is empty.
    account_of : guest to account, as the guests' own keys have it.
    guests_of : account to guests, as the accounts' keys have it.
    """

    of_user: Mapping[str, frozenset[str]] = field(default_factory=dict)
    account_of: Mapping[str, str] = field(default_factory=dict)
    guests_of: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_user_keys(client: Any) -> UserKeysFound:
    """Read the names of all keys of users, and what those of guests and accounts hold."""
    found: dict[str, set[str]] = {}
    for key in client.scan_iter("user:{*", count=5000):
        tag, _, end = key.removeprefix("user:{").rpartition("}")
        found.setdefault(user_id_of(tag), set()).add(end)
    guests = [user for user, ends in found.items() if ":merged" in ends]
    accounts = [user for user, ends in found.items() if ":guests" in ends]
    return UserKeysFound(
        {user: frozenset(ends) for user, ends in found.items()},
        dict(_read(client, "GET", guests, ":merged")),
        {account: frozenset(members) for account, members in _read(client, "SMEMBERS", accounts, ":guests")},
    )


def _read(client: Any, command: str, users: Sequence[str], end: str) -> Iterable[tuple[str, Any]]:
    for first in range(0, len(users), KEYS_PER_READ):
        some = users[first : first + KEYS_PER_READ]
        pipeline = client.pipeline(transaction=False)
        for user in some:
            pipeline.execute_command(command, f"user:{{{tag_of(user)}}}{end}")
        yield from ((user, value) for user, value in zip(some, pipeline.execute(), strict=True) if value)


def user_id_of(tag: str) -> str:
    """Return the user id that stands in a key as ``tag``."""
    return tag.replace("%7B", "{").replace("%7D", "}").replace("%25", "%")


def tag_of(user: str) -> str:
    """Return how a user id stands in a key."""
    return user.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
