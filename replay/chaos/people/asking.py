"""Records of ``data-requests`` for the stream: users are forgotten, and guests become accounts, in every order.

Both users of a merge are drawn evenly, so some guests are merged before their first event and others after their last;
accounts become guests of others, and guests have guests. Beside that come the same record twice, a second account, a
circle, a guest or an account who is forgotten later, and records that break their contract.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DATA_REQUESTS", "Asked", "ask"]

DATA_REQUESTS = "data-requests"
LATER, MUCH_LATER = 60, 1500  # records after which something follows, at most
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A record, and after how many others it is sent.

    ``user`` is whom it is about, whose key it has.
    """

    after: int
    user: int
    value: bytes


def ask(
    what: str, user: int, number: int, ts: int, users: int, id_of: Callable[[int], str | int], rng: np.random.Generator
) -> Iterator[Asked]:
    """Give what is asked at one event of the stream, and what follows from it.

    Parameters
    ----------
    what : ``forget`` or ``merge``.
    user : who did the event, by number.
    number : of the event; it names the requests.
    ts : when it is asked, milliseconds.
    users : how many there are.
    id_of : returns a user's id.
    rng : of everything random.
    """
    luck = rng.random(4)
    if luck[0] < 0.1:  # noqa: PLR2004 - one in ten comes before it, broken
        yield Asked(0, user, _broken(id_of(user), f"b{number}", ts, int(rng.integers(len(_BREAKS)))))
    if what == "forget":
        yield from _forget(user, number, ts, id_of, rng)
        return
    guest, account, other = (int(one) for one in rng.choice(users, 3, replace=False))
    merging = {"user_id": id_of(guest), "request_id": f"m{number}", "ts": ts, "action": "merge", "into": id_of(account)}
    merge = Asked(0, guest, _json(merging))
    yield merge
    if luck[1] < 0.3:  # noqa: PLR2004 - the same bytes again
        yield Asked(_soon(rng, MUCH_LATER), guest, merge.value)
    if luck[2] < 0.1:  # noqa: PLR2004 - round in a circle; one in two of them at the same time
        back = ts - int(rng.integers(-1, 1))
        around = {"user_id": id_of(account), "request_id": f"c{number}", "ts": back, "action": "merge"}
        yield Asked(_soon(rng, LATER), account, _json(around | {"into": id_of(guest)}))
    elif luck[2] < 0.2:  # noqa: PLR2004 - into somebody else
        yield Asked(_soon(rng, MUCH_LATER), guest, _json(merging | {"request_id": f"n{number}", "into": id_of(other)}))
    if luck[3] < 0.3:  # noqa: PLR2004 - one of both is forgotten, or both
        gone = (guest,) if luck[3] < 0.15 else (account,) if luck[3] < 0.25 else (account, guest)  # noqa: PLR2004
        after = _soon(rng, LATER if luck[3] < 0.1 else MUCH_LATER)  # noqa: PLR2004 - at once, or after a while
        for one in gone:
            for asked in _forget(one, number, ts, id_of, rng):
                yield Asked(after + asked.after, asked.user, asked.value)


def _forget(
    user: int, number: int, ts: int, id_of: Callable[[int], str | int], rng: np.random.Generator
) -> Iterator[Asked]:
    """Give the record, some of them twice, and some with another one of its own later."""
    forgetting = {"user_id": id_of(user), "request_id": f"f{number}-{user}", "ts": ts, "action": "forget"}
    if user % 2:  # without it that is what is asked for
        del forgetting["action"]
    yield Asked(0, user, _json(forgetting))
    luck = rng.random()
    if luck < 0.3:  # noqa: PLR2004 - the same bytes again
        yield Asked(_soon(rng, MUCH_LATER), user, _json(forgetting))
    elif luck < 0.5:  # noqa: PLR2004 - once more
        yield Asked(_soon(rng, MUCH_LATER), user, _json(forgetting | {"request_id": f"g{number}-{user}"}))


_BREAKS: tuple[Callable[[Fields], Fields], ...] = (
    lambda fields: fields | {"into": fields["user_id"]},
    lambda fields: {name: value for name, value in fields.items() if name != "into"},
    lambda fields: fields | {"into": "two\nlines"},
    lambda fields: fields | {"action": "erase"},
    lambda fields: fields | {"ts": "yesterday"},
    lambda fields: {name: value for name, value in fields.items() if name != "request_id"},
    lambda fields: fields | {"action": "forget", "forgotten": {}},
)


def _broken(user_id: str | int, request_id: str, ts: int, how: int) -> bytes:
    merging = {"user_id": user_id, "request_id": request_id, "ts": ts, "action": "merge", "into": "nobody-at-all"}
    return _json(_BREAKS[how](merging))


def _soon(rng: np.random.Generator, most: int) -> int:
    return int(rng.integers(1, most + 1))


def _json(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()
