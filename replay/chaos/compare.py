"""The table of differences: what must be there against what is there.

A pure function of two values, which ``expected`` and ``observed`` make.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replay.chaos.expected import Expected, Source, UserState
from replay.chaos.observed import Observed, ObservedUser
from replay.chaos.people.looking import NOBODYS, UserKeysFound
from replay.chaos.people.outcome import Ends

__all__ = ["DifferenceRow", "compare", "compare_people"]

MAX_EXAMPLES = 5  # of each row
RELATIVE = 1e-6  # of weights that decay: the order of additions changes their last digits
NOTHING = 1e-12  # a weight below this is as good as none
COUNTERS = ("watches", "ratings", "rating_sum", "actions")
TIMES = ("first_ts", "last_ts")


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One line of the table.

    Parameters
    ----------
    what : what was compared.
    compared, different : how many were, and of these how many differ.
    examples : the first that differ, with both values.
    is_info : whether a difference is allowed: at-least-once delivery repeats.
    """

    what: str
    compared: int
    different: int
    examples: tuple[str, ...] = ()
    is_info: bool = False


def compare(
    expected: Expected,
    state: Observed,
    topics: Observed,
    ghosts: frozenset[str] = frozenset(),
    sent: Mapping[str, Ends] | None = None,
) -> list[DifferenceRow]:
    """Return the table; all is right if only rows of mere information have differences.

    Parameters
    ----------
    expected : what must be there.
    state : what Redis holds.
    topics : what the output topics hold.
    ghosts : films that must be nowhere: those of transactions that were not committed.
    sent : by request to forget, how far the topics reached when it was sent.
    """
    return [
        _row(
            "users",
            dict.fromkeys(expected.users, "a user"),
            dict.fromkeys(state.users.keys() - expected.maybe, "a user"),
        ),
        *_user_rows(expected, state.users),
        *_forgetting_rows(expected, sent or {}),
        *compare_people(expected, state.keys),
        *(_row(f"items: {name}", expected.items[name], state.items.get(name, {}), _is_close) for name in COUNTERS),
        _row("items: trending weights", _flat(expected.trending), _flat(state.trending), _is_close),
        _row("items: newcomers' trending weights", _flat(expected.newcomers), _flat(state.newcomers), _is_close),
        _row("items: clocks of trending", expected.clocks, state.clocks),
        *_dead_letter_rows(expected, topics),
        _list_row(expected, topics),
        _row(
            "requests without a list",
            dict.fromkeys(expected.requests, "a list"),
            dict.fromkeys(topics.answered - expected.people.asked, "a list"),  # an account's may come of a merge
        ),
        _ghost_row(ghosts, state, topics),
    ]


def _list_row(expected: Expected, topics: Observed) -> DifferenceRow:
    """Compare the list that saw most, or any of them where the lists of a forgotten user may have seen more."""
    wanted = expected.listed
    last = {
        user: wanted[user] if expected.has_begun_anew(user) and wanted[user] in found else max(found)
        for user, found in topics.sequences.items()
        if user in wanted
    }
    return _row("lists: last on the topic saw all events", wanted, last)


def _forgetting_rows(expected: Expected, sent: Mapping[str, Ends]) -> Iterable[DifferenceRow]:
    """Hold the workers' answers against what was sent before the requests and after the answers."""
    people = expected.people
    n = sum(map(len, people.forgotten.values()))
    open_ = [f"{user!r} by {request}" for request, user in people.unanswered.items()]
    broken = people.broken_promises(sent)
    yield DifferenceRow("forgetting: not answered", n + len(open_), len(open_), tuple(open_[:MAX_EXAMPLES]))
    yield DifferenceRow("forgetting: earlier events that stay", n, len(broken), tuple(broken[:MAX_EXAMPLES]))
    yield DifferenceRow("forgetting: later events that go", n, len(expected.late), expected.late[:MAX_EXAMPLES])


def compare_people(expected: Expected, keys: UserKeysFound) -> list[DifferenceRow]:
    """Compare of whom nothing may be left, and who is whose guest."""
    people = expected.people
    gone = (people.forgotten.keys() | {user for user in keys.of_user if user.startswith(NOBODYS)}) - expected.maybe
    left = {user: keys.of_user.get(user, frozenset()) - {":merged"} for user in gone - expected.users.keys()}
    return [
        _row("forgetting: keys of users without an event", dict.fromkeys(left, frozenset[str]()), left),
        _row("merging: accounts of guests", people.account_of, keys.account_of),
        _row("merging: guests of accounts", people.guests_of, keys.guests_of),
    ]


def _ghost_row(ghosts: frozenset[str], state: Observed, topics: Observed) -> DifferenceRow:
    shown = {film: place for films in (topics.films, state.films) for film, place in films.items() if film in ghosts}
    examples = [f"{film!r} in {place}" for film, place in sorted(shown.items())[:MAX_EXAMPLES]]
    return DifferenceRow("items of aborted transactions shown", len(ghosts), len(shown), tuple(examples))


def _user_rows(expected: Expected, found: Mapping[str, ObservedUser]) -> Iterable[DifferenceRow]:
    """Compare users that are on both sides; a missing one is a difference of its own row."""
    both = {user: (one, found[user]) for user, one in expected.users.items() if user in found}

    def row(
        what: str,
        wanted: Callable[[UserState], Any],
        got: Callable[[ObservedUser], Any],
        same: Callable[[Any, Any], bool] = lambda left, right: bool(left == right),
    ) -> DifferenceRow:
        return _row(
            what,
            {user: wanted(pair[0]) for user, pair in both.items()},
            {user: got(pair[1]) for user, pair in both.items()},
            same,
        )

    yield row(
        "users: counters",
        lambda one: {name: float(getattr(one, name)) for name in COUNTERS},
        lambda one: {name: one.counters.get(name, 0.0) for name in COUNTERS},
        lambda left, right: all(_is_close(left[name], right[name]) for name in COUNTERS),
    )
    yield row(
        "users: times",
        lambda one: tuple(getattr(one, name) for name in TIMES),
        lambda one: tuple(one.counters.get(name, 0) for name in TIMES),
    )
    yield row("users: taken back", lambda one: one.withdrawn, lambda one: one.counters.get("withdrawn", 0))
    yield _row(
        "users: recents",
        {user: list(one.recent[: one.recent_for_certain]) for user, (one, _) in both.items()},
        {user: list(other.recent[: one.recent_for_certain]) for user, (one, other) in both.items()},
        _is_same_recent,
    )
    yield row("users: seen", lambda one: one.seen, lambda one: one.seen)
    yield row("users: hidden", lambda one: one.hidden, lambda one: one.hidden)
    yield row("users: how many are hidden", lambda one: len(one.hidden), lambda one: one.counters.get("hidden", 0))
    yield row("users: genres", lambda one: dict(one.genres), lambda one: dict(one.genres), _is_same_weights)
    listed = expected.listed
    yield _row(
        "users: stored list saw all events",
        {user: (n, n) for user, n in listed.items() if user in found},
        {user: (found[user].list_sequence, found[user].recs_sequence) for user in listed if user in found},
    )
    guests = expected.people.account_of.keys() & found.keys()
    yield _row(
        "users: lists of guests",
        dict.fromkeys(guests, -1),
        {user: found[user].recs_sequence for user in guests},
    )
    hidden = {user: one.hidden for user, one in expected.users.items()} | dict(expected.hidden)
    yield _row(
        "users: hidden items in the stored list",
        {user: frozenset[str]() for user in listed if user in found},
        {user: hidden.get(user, frozenset()) & frozenset(found[user].listed) for user in listed if user in found},
    )
    seen = {
        account: frozenset[str]().union(*(expected.users[part].seen for part in parts if part in expected.users))
        for account in expected.people.guests_of
        if (parts := expected.people.parts_of(account)) and account in listed and account in found
    }
    yield _row(
        "users: items of all parts in an account's list",
        dict.fromkeys(seen, frozenset[str]()),
        {account: items & frozenset(found[account].listed) for account, items in seen.items()},
    )


def _dead_letter_rows(expected: Expected, topics: Observed) -> Iterable[DifferenceRow]:
    wanted = set(expected.dead.items())
    got = set(topics.dead)
    missing, unexpected = sorted(wanted - got), sorted(got - wanted)
    repeated = sorted((letter, n) for letter, n in topics.dead.items() if n > 1)
    yield DifferenceRow("dead letters: missing", len(wanted), len(missing), _shown(missing))
    yield DifferenceRow("dead letters: unexpected", len(got), len(unexpected), _shown(unexpected))
    yield DifferenceRow("dead letters: repeated", len(got), len(repeated), _shown(repeated), is_info=True)


def _row(
    what: str,
    wanted: Mapping[Any, Any],
    got: Mapping[Any, Any],
    same: Callable[[Any, Any], bool] = lambda left, right: bool(left == right),
) -> DifferenceRow:
    """Compare two mappings; what one side lacks is different, unless it is a weight of nothing."""
    different = []
    for key, value in wanted.items():
        if key not in got:
            if not _is_nothing(value):
                different.append(f"{key!r}: expected {_short(value)}, got none")
        elif not same(value, got[key]):
            different.append(f"{key!r}: expected {_differing(value, got[key])}")
    different += [
        f"{key!r}: expected none, got {_short(value)}"
        for key, value in got.items()
        if key not in wanted and not _is_nothing(value)
    ]
    return DifferenceRow(what, len(wanted.keys() | got.keys()), len(different), tuple(different[:MAX_EXAMPLES]))


def _is_close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=RELATIVE, abs_tol=NOTHING)


def _is_nothing(value: Any) -> bool:
    return isinstance(value, float) and abs(value) < NOTHING


def _is_same_weights(left: Mapping[str, float], right: Mapping[str, float]) -> bool:
    return all(_is_close(left.get(name, 0.0), right.get(name, 0.0)) for name in left.keys() | right.keys())


def _is_same_recent(left: list[Any], right: list[Any]) -> bool:
    """Compare entries in order; only their weights have last digits."""
    return len(left) == len(right) and all(
        one[:3] == other[:3] and one[4] == other[4] and _is_close(one[3], other[3])
        for one, other in zip(left, right, strict=True)
    )


def _flat(trending: Mapping[Source, Mapping[str, float]]) -> dict[tuple[Source, str], float]:
    return {(source, item): weight for source, items in trending.items() for item, weight in items.items()}


def _differing(wanted: Any, got: Any) -> str:
    """Show both values; of long lists, from the first entry that differs."""
    if isinstance(wanted, list) and isinstance(got, list):
        at = next((n for n, (one, other) in enumerate(zip(wanted, got, strict=False)) if one != other), None)
        at = min(len(wanted), len(got)) if at is None else at
        sizes = f"{len(wanted)} and {len(got)} entries, from entry {at}"
        return f"{_short(wanted[at : at + 3])}, got {_short(got[at : at + 3])} ({sizes})"
    if isinstance(wanted, frozenset) and isinstance(got, frozenset):
        return f"also {_short(sorted(wanted - got))}, and not {_short(sorted(got - wanted))}"
    return f"{_short(wanted)}, got {_short(got)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 240 else text[:237] + "..."  # noqa: PLR2004 - a few lines of a terminal


def _shown(found: Iterable[Any]) -> tuple[str, ...]:
    return tuple(_short(one) for one, _ in zip(found, range(MAX_EXAMPLES), strict=False))
