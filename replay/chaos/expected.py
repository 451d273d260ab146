"""The final state, computed from the records of the topics alone, independently of the worker.

Written from docs/reference/records.md and docs/reference/redis.md; it shares nothing with the worker. ``json`` reads
the JSON, the rules for what a record must hold stand here a second time, and a few operations on a table replace what
the worker adds up event by event. So the two agree only if both are right, or wrong in the same way.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from replay.chaos.own_kinds import HIDE, OWN_KINDS, UNHIDE
from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.people.outcome import Outcome, PeopleLog, judge_request, nobody_of

__all__ = [
    "DAY_MS",
    "NEWCOMERS_HALF_LIFE_MS",
    "SOURCES",
    "TRENDING_HALF_LIFE_MS",
    "Entry",
    "Expected",
    "Record",
    "RecordAddress",
    "Source",
    "UserState",
    "expect",
    "expect_of_people",
    "judge",
]

DAY_MS = 24 * 60 * 60 * 1000
GENRE_HALF_LIFE_MS = 30 * DAY_MS
TRENDING_HALF_LIFE_MS, NEWCOMERS_HALF_LIFE_MS = 7 * DAY_MS, 14 * DAY_MS
FAR_MS, OLDEST_MS = 3 * TRENDING_HALF_LIFE_MS, 10 * TRENDING_HALF_LIFE_MS
NEWCOMER_EVENTS, MIN_OWN_RATINGS, SCALE_MIDDLE, ROUNDING, MIN_PROGRESS = 10, 5, 3.0, 1e-6, 0.1
MAX_RECENT, MAX_REMEMBERED_IDS = 200, 512
STANDS = -1  # in the place of a row that takes an event back
MAX_BYTES, MAX_ID_LENGTH, MIN_EVENT_MS, MAX_EVENT_MS = 64 * 1024, 64, 315_532_800_000, 4_102_444_800_000
WATCHES, RATES, ACTIONS, REQUESTS = "watch-events", "rate-events", "action-events", "recommendation-requests"
SOURCES = {WATCHES: "watch", RATES: "rate", ACTIONS: "action"}  # of two events at one time, the later of these is newer
Entry = tuple[str, int, str, float, bool]  # item, ts, kind, weight, whether it is positive
Source = tuple[str, int]  # "watch", "rate" or "action", and the partition
Table = Any  # a DataFrame or a Series: the types of their columns are known to nobody but the reader


class RecordAddress(NamedTuple):
    """Where a record stands, which is its identity."""

    topic: str
    partition: int
    offset: int


class Record(NamedTuple):
    """A record as it was read back; ``timestamp`` is Kafka's, milliseconds."""

    address: RecordAddress
    timestamp: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class UserState:
    """One user: counters, times, and what is kept beside them."""

    watches: int
    ratings: int
    rating_sum: float
    first_ts: int
    last_ts: int
    recent: Sequence[Entry]
    seen: frozenset[str]
    genres: Mapping[str, float]
    actions: int = 0
    hidden: frozenset[str] = frozenset()
    withdrawn: int = 0

    @property
    def sequence(self) -> int:
        """How many events counted, and how many of them were taken back: what the last list has seen."""
        return self.watches + self.ratings + self.actions + 2 * self.withdrawn

    @property
    def recent_for_certain(self) -> int:
        """How many of the latest are there for certain: what had left the list does not come back."""
        return max(0, MAX_RECENT - self.withdrawn)


NOTHING = UserState(0, 0, 0.0, 0, 0, [], frozenset(), {})


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there when everything has been applied.

    Parameters
    ----------
    users : by user id.
    items : ``watches``, ``ratings``, ``rating_sum`` and ``actions``, each by item, over all partitions.
    trending, newcomers : (topic, partition) -> item -> heat as of own time, of all users and of newcomers.
    clocks : (topic, partition) -> newest event time and own time.
    dead : cause of each record that breaks its contract, by where it stands.
    requests : ids of the requests that must be answered.
    positions : last offset of a record that does not break it, by event topic and partition.
    events, duplicates : records that count, and that repeat one that did.
    withdrawals, withdrawn : records that take events back, and events that counted until then.
    people : who was forgotten, and who is whose guest.
    maybe : accounts that have a profile only if they have a list, and need none.
    late : events that are forgotten though they came after the answer that forgot them.
    hidden : what each account hides that has guests, by the decisions of all.
    """

    users: Mapping[str, UserState]
    items: Mapping[str, Mapping[str, float]]
    trending: Mapping[Source, Mapping[str, float]]
    newcomers: Mapping[Source, Mapping[str, float]]
    clocks: Mapping[Source, tuple[int, int]]
    dead: Mapping[RecordAddress, str]
    requests: frozenset[str]
    positions: Mapping[tuple[str, int], int]
    events: int
    duplicates: int
    withdrawals: int = 0
    withdrawn: int = 0
    people: Outcome = field(default_factory=Outcome)
    maybe: frozenset[str] = frozenset()
    late: tuple[str, ...] = ()
    hidden: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def listed(self) -> dict[str, int]:
        """What the last list of each user must have seen who must have one: the events of the user and all guests."""
        parts = {user: self.people.parts_of(user) for user in self.people.guests_of}
        return {
            user: sum(self.users[part].sequence for part in parts.get(user, (user,)) if part in self.users)
            for user in self.users
            if user not in self.people.account_of and not self.may_be_unlisted(user)
        }

    def may_be_unlisted(self, user: str) -> bool:
        """Whether a user's history became another one without an event, so that the last list says nothing of it."""
        people = self.people
        return user in people.parted or (user in people.forgotten and user in people.guests_of)

    def has_begun_anew(self, user: str) -> bool:
        """Whether earlier lists of a user may have seen more than the last one."""
        return any(part in self.people.forgotten for part in self.people.parts_of(user))


def expect(records: Iterable[Record], genres: Mapping[str, Sequence[str]]) -> Expected:
    """Compute the final state.

    Parameters
    ----------
    records : of the event topics and of the requests, in order of offset within each partition.
    genres : of each item of the catalogue.
    """
    sorting = _SortedRecords()
    for record in records:
        sorting.add(record)
    people = sorting.people.outcome()
    table, late = _without_forgotten(sorting.table(), people)
    counts, taken_by = _fates(table)
    counted = table.assign(taken_by=taken_by)[counts]
    before, stars_before = _before(counted)
    likes = _is_liked(counted, before, stars_before)
    aged, clocks = _aged(counted.assign(likes=likes, is_newcomers=before < NEWCOMER_EVENTS))
    left = aged[aged["taken_by"] == STANDS]
    half_lives = left.assign(last_ts=left.groupby("user")["ts"].transform("max"))
    withdrawals = int((table["withdraws"] != "").sum())
    nobodies = {nobody_of(one) for forgettings in people.forgotten.values() for one in forgettings}
    users = {user: one for user, one in _users(table, counted, half_lives, genres).items() if user not in nobodies}
    of_guests = {
        account: sum(users[guest].sequence for guest in guests if guest in users)
        for account, guests in people.guests_of.items()
        if account not in users
    }
    maybe = {
        account for account, n in of_guests.items() if not n or account in people.parted or account in people.forgotten
    }
    users |= dict.fromkeys(of_guests.keys() - maybe, NOTHING)
    return Expected(
        users,
        _items(left),
        _heat(left, TRENDING_HALF_LIFE_MS),
        _heat(left[left["is_newcomers"]], NEWCOMERS_HALF_LIFE_MS),
        clocks,
        sorting.dead,
        frozenset(sorting.requests),
        {
            (topic, int(partition)): int(offset)
            for (topic, partition), offset in table.groupby(["topic", "partition"])["offset"].max().items()
        },
        len(counted),
        len(table) - len(counted) - withdrawals,
        withdrawals,
        len(counted) - len(left),
        people,
        frozenset(maybe),
        late,
        _hidden_from_accounts(left, people),
    )


def expect_of_people(records: Iterable[Record]) -> Outcome:
    """Compute who is forgotten and who is whose guest, of the records of ``data-requests`` alone."""
    sorting = _SortedRecords()
    for record in records:
        sorting.add(record)
    return sorting.people.outcome()


def _without_forgotten(table: Table, people: Outcome) -> tuple[Table, tuple[str, ...]]:
    """Return the records with those of before a forgetting as nobody's, and those that came after its answer."""
    late = []
    rows = table.index[table["user"].isin(people.forgotten.keys())]
    users = table["user"].copy()
    for row, user, topic, partition, offset, recorded in zip(
        rows, *(table.loc[rows, name] for name in ("user", "topic", "partition", "offset", "recorded")), strict=True
    ):
        forgetting = people.forgetting_of(user, topic, partition, offset)
        if forgetting is None:
            continue
        users.loc[row] = nobody_of(forgetting)
        if recorded > forgetting.answered_ms:
            late.append(f"{user!r} by {forgetting.request_id}: {topic} {partition} at {offset}")
    return table.assign(user=users), tuple(late)


@dataclass(slots=True)
class _SortedRecords:
    """Records set apart as they come: the columns of the events, and what is no event."""

    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: []
            for name in (
                "topic",
                "partition",
                "offset",
                "id",
                "user",
                "item",
                "ts",
                "source",
                "kind",
                "stars",
                "weight",
                "withdraws",
                "recorded",
            )
        }
    )
    people: PeopleLog = field(default_factory=PeopleLog)
    dead: dict[RecordAddress, str] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)

    def add(self, record: Record) -> None:
        topic = record.address.topic
        cause, fields = judge(topic, record.value, record.timestamp)
        if cause is not None:
            self.dead[record.address] = cause
        elif topic == DATA_REQUESTS:
            self.people.add(fields, record.timestamp)
        elif topic == REQUESTS:
            self.requests.add(str(fields["request_id"]))
        else:
            self._add_event(record, fields)

    def _add_event(self, record: Record, fields: Mapping[str, Any]) -> None:
        source = SOURCES[record.address.topic]
        withdraws = fields.get("withdraws")
        if withdraws is not None:
            fields = {**fields, "item_id": "", "rating": 0.0, "kind": "", "progress": 0.0}
        stars = float(fields["rating"]) if source == "rate" else 0.0
        own = OWN_KINDS.get(fields["kind"]) if source == "action" else None
        weight = float(fields["progress"]) if source == "watch" else own.weight if own else stars / 5
        row = (
            *record.address,
            str(fields["event_id"]),
            str(fields["user_id"]),
            str(fields["item_id"]),
            max(0, min(fields["ts"], _latest(record.timestamp))),
            source,
            fields["kind"] if source == "action" else source,
            stars,
            weight,
            "" if withdraws is None else str(withdraws),
            record.timestamp,
        )
        for column, value in zip(self.columns.values(), row, strict=True):
            column.append(value)

    def table(self) -> Table:
        """Return the events, one a row, in order of topic, partition and offset."""
        made: Table = pd.DataFrame(self.columns).astype(
            dict.fromkeys(("partition", "offset", "ts", "recorded"), "int64")
            | {"stars": "float64", "weight": "float64"}
        )
        return made.sort_values(["topic", "partition", "offset"], ignore_index=True)


def judge(  # noqa: PLR0911 - one for each cause
    topic: str, value: bytes | None, recorded: int
) -> tuple[str | None, dict[str, Any]]:
    """Return the cause for which a record becomes a dead letter, or None, and its fields where it has any."""
    if not value:
        return "empty", {}
    if len(value) > MAX_BYTES:
        return "too_large", {}
    try:
        fields = json.loads(value.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "not_json", {}
    if not isinstance(fields, dict):
        return "not_an_object", {}
    if topic == DATA_REQUESTS:
        return judge_request(fields, _is_good), fields
    required = {
        WATCHES: ("event_id", "user_id", "item_id", "ts", "progress"),
        RATES: ("event_id", "user_id", "item_id", "ts", "rating"),
        ACTIONS: ("event_id", "user_id", "item_id", "ts", "kind"),
        REQUESTS: ("request_id", "user_id"),
    }[topic]
    if topic != REQUESTS and fields.get("withdraws") is not None:
        required = ("event_id", "withdraws", "user_id", "ts")
    for name in required:
        if fields.get(name) is None:
            return "missing_field", fields
        if not _is_good(name, fields[name]):
            return "bad_field", fields
    return _cause_of_fields(topic, fields, recorded), fields


def _cause_of_fields(topic: str, fields: Mapping[str, Any], recorded: int) -> str | None:
    """Return why fields that are good in themselves make a dead letter, or None."""
    if topic == REQUESTS:
        return None  # whoever can be answered is told what is wrong
    withdraws = fields.get("withdraws")
    if withdraws is not None and str(withdraws) == str(fields["event_id"]):
        return "bad_field"
    if topic == ACTIONS and withdraws is None and fields["kind"] not in {*OWN_KINDS, HIDE, UNHIDE}:
        return "unknown_kind"
    return "wrong_unit" if _is_in_other_unit(fields["ts"], recorded) else None


def _latest(recorded: int) -> int:
    """Return what no event of a record is later than."""
    return recorded if MIN_EVENT_MS <= recorded <= MAX_EVENT_MS else MAX_EVENT_MS


def _is_in_other_unit(ts: int, recorded: int) -> bool:
    """Return whether a time is outside 1980 to a day after the record, and another reading of it inside."""
    until = min(_latest(recorded) + DAY_MS, MAX_EVENT_MS)
    if MIN_EVENT_MS <= ts <= until:
        return False
    meant = [ts * 1000, ts // 1000, ts // 10**6, ts // 10**4 - 62_135_596_800_000]  # ms from the year 1 to 1970
    for form, digits in (("%Y%m%d", 8), ("%Y%m%d%H%M%S", 14), ("%Y%m%d%H%M%S%f", 17)):
        with suppress(ValueError):
            if len(str(ts)) == digits:
                moment = datetime.strptime(str(ts), form).replace(tzinfo=UTC)
                meant.append(int(moment.timestamp() * 1000))
    return any(MIN_EVENT_MS <= one <= until for one in meant)


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _is_good(name: str, value: Any) -> bool:
    if name.endswith("_id") or name == "withdraws":
        text = str(value) if type(value) is int else value
        return isinstance(text, str) and 1 <= len(text) <= MAX_ID_LENGTH and text.isprintable() and text.strip() == text
    if name == "kind":
        return isinstance(value, str)
    if name == "ts":
        return type(value) is int and -(2**63) <= value < 2**63
    low, high = (0.0, 1.0) if name == "progress" else (0.5, 5.0)
    return type(value) in (int, float) and low <= value <= high


def _fates(table: Table) -> tuple[Table, Table]:
    """Return which records are events that count when they come, and the row of what takes each back, or STANDS.

    Where a user has at most 512 ids on a topic, and takes nothing back, none is ever forgotten, and the first of each
    counts. The others, few users with many events, are gone through one by one.
    """
    repeated = table.duplicated(["user", "source", "id"])
    n_ids = (~repeated).groupby([table["user"], table["source"]]).transform("sum")
    takes_back = (table["withdraws"] != "").groupby([table["user"], table["source"]]).transform("any")
    counts: Table = ~repeated
    taken_by: Table = pd.Series(STANDS, index=table.index, dtype="int64")
    for _, records in table[(n_ids > MAX_REMEMBERED_IDS) | takes_back].groupby(["user", "source"]):
        found, taken = _gone_through(records)
        counts.loc[records.index] = [row in found for row in records.index]
        for row, by in taken.items():
            taken_by.loc[row] = by
    return counts, taken_by


def _gone_through(records: Table) -> tuple[set[int], dict[int, int]]:
    """Return the rows of one user's events on a topic that count, and by which rows some of them are taken back."""
    remembered: dict[str, int | None] = {}  # the last 512 ids: the row of an event that stands, or None
    counting: set[int] = set()
    taken: dict[int, int] = {}

    def remember(event_id: str, row: int | None) -> None:
        remembered[event_id] = row
        if len(remembered) > MAX_REMEMBERED_IDS:
            del remembered[next(iter(remembered))]

    for row, event_id, withdraws in zip(records.index, records["id"], records["withdraws"], strict=True):
        if event_id in remembered:
            continue
        if withdraws == "":
            counting.add(row)
            remember(event_id, row)
            continue
        if withdraws not in remembered:
            remember(withdraws, None)
        elif (event := remembered[withdraws]) is not None:
            taken[event] = row
            remembered[withdraws] = None
        remember(event_id, None)
    return counting, taken


def _before(counted: Table) -> tuple[Table, Table]:
    """Return how many events of its user and topic stand before each, and the sum of their stars."""
    groups = counted.groupby(["user", "source"])
    before = groups.cumcount()
    stars = groups["stars"].cumsum() - counted["stars"]
    places = groups.indices
    for group, events in counted[counted["taken_by"] != STANDS].groupby(["user", "source"]):
        own = counted.index[places[group]]
        for gone, by in zip(events["stars"], events["taken_by"], strict=True):
            later = own[own > by]
            before.loc[later] -= 1
            stars.loc[later] -= gone
    return before, stars


def _users(table: Table, counted: Table, left: Table, genres: Mapping[str, Sequence[str]]) -> dict[str, UserState]:
    """Return every user with a record, of whom nothing may be left.

    Parameters
    ----------
    table : all records of events and withdrawals.
    counted, left : the events that counted when they came, and those of them that were not taken back.
    """
    first = counted.groupby("user")["ts"].min().to_dict()
    taken = counted[counted["taken_by"] != STANDS].groupby("user").size().to_dict()
    found = dict.fromkeys(table["user"].unique(), NOTHING) | _left_of_users(left, genres)
    return {
        user: replace(one, first_ts=int(first.get(user, 0)), withdrawn=int(taken.get(user, 0)))
        for user, one in found.items()
    }


def _left_of_users(counted: Table, genres: Mapping[str, Sequence[str]]) -> dict[str, UserState]:
    of_source = {f"is_{source}": counted["source"] == source for source in SOURCES.values()}
    sums = (
        counted.assign(**of_source)
        .groupby("user", sort=False)
        .agg(
            watches=("is_watch", "sum"),
            ratings=("is_rate", "sum"),
            actions=("is_action", "sum"),
            rating_sum=("stars", "sum"),
            first_ts=("ts", "min"),
            last_ts=("ts", "max"),
        )
    )
    touching = counted[~counted["kind"].isin([HIDE, UNHIDE])]
    recent, affinity = _recent(touching), _affinities(touching, genres)
    seen = touching.groupby("user", sort=False)["item"].agg(frozenset).to_dict()
    hidden = _hidden(counted)
    return {
        user: UserState(
            int(row.watches),
            int(row.ratings),
            float(row.rating_sum),
            int(row.first_ts),
            int(row.last_ts),
            recent.get(user, []),
            seen.get(user, frozenset()),
            affinity.get(user, {}),
            int(row.actions),
            hidden.get(user, frozenset()),
        )
        for user, row in zip(sums.index, sums.itertuples(index=False), strict=True)
    }


def _newest_decisions(counted: Table) -> Table:
    """Return the newest decision of each user about each item, of one time the later record."""
    decisions = counted[counted["kind"].isin([HIDE, UNHIDE])].sort_values(["ts", "partition", "offset"])
    return decisions.drop_duplicates(["user", "item"], keep="last")


def _hidden_from_accounts(left: Table, people: Outcome) -> dict[str, frozenset[str]]:
    """Return what each account hides that has guests: of all their decisions at one time that which hides."""
    owners = {part: account for account in people.guests_of for part in people.parts_of(account)}
    decisions = _newest_decisions(left)
    decisions = decisions.assign(user=decisions["user"].map(owners), hides=decisions["kind"] == HIDE)
    newest = decisions.dropna(subset="user").sort_values(["ts", "hides"]).drop_duplicates(["user", "item"], keep="last")
    found: dict[str, frozenset[str]] = newest[newest["hides"]].groupby("user")["item"].agg(frozenset).to_dict()
    return found


def _hidden(counted: Table) -> dict[str, frozenset[str]]:
    """Return what each user hides."""
    newest = _newest_decisions(counted)
    found: dict[str, frozenset[str]] = newest[newest["kind"] == HIDE].groupby("user")["item"].agg(frozenset).to_dict()
    return found


def _recent(counted: Table) -> dict[str, list[Entry]]:
    """Return each user's newest 200, newest first: by time, then topic in the order of ``SOURCES``, then offset."""
    rank = counted["source"].map({source: rank for rank, source in enumerate(SOURCES.values())})
    ordered = counted.assign(rank=rank).sort_values(["user", "ts", "rank", "offset"], ascending=False)
    newest = ordered.groupby("user", sort=False).head(MAX_RECENT)
    found: dict[str, list[Entry]] = {}
    columns = (newest[name].tolist() for name in ("user", "item", "ts", "kind", "weight", "likes"))
    for user, *entry in zip(*columns, strict=True):
        found.setdefault(user, []).append((entry[0], entry[1], entry[2], entry[3], entry[4]))
    return found


def _affinities(counted: Table, genres: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Return genre -> decayed weight of what was liked, as of each user's last event."""
    counted = counted[counted["likes"]]
    decayed = counted["weight"] * np.exp2((counted["ts"] - counted["last_ts"]) / GENRE_HALF_LIFE_MS)
    parts: Table = pd.DataFrame({"user": counted["user"], "weight": decayed, "genre": counted["item"].map(genres)})
    exploded = parts[parts["genre"].notna()].explode("genre")
    sums = exploded[exploded["genre"].notna()].groupby(["user", "genre"], sort=False)["weight"].sum()
    found: dict[str, dict[str, float]] = {}
    for (user, genre), weight in sums.items():
        found.setdefault(user, {})[genre] = float(weight)
    return found


def _items(counted: Table) -> dict[str, dict[str, float]]:
    watched, rated, acted = (counted[counted["source"] == source] for source in SOURCES.values())
    return {
        "watches": watched.groupby("item").size().astype(float).to_dict(),
        "ratings": rated.groupby("item").size().astype(float).to_dict(),
        "rating_sum": rated.groupby("item")["stars"].sum().to_dict(),
        "actions": acted.groupby("item").size().astype(float).to_dict(),
    }


def _is_liked(counted: Table, before: Table, stars_before: Table) -> Table:
    """Return which events are positive: by progress, by the user's mean of the ratings before, or by the kind."""
    likes = counted["weight"] >= MIN_PROGRESS
    is_action = counted["source"] == "action"
    likes = likes.where(
        ~is_action, counted["kind"].isin([name for name, kind in OWN_KINDS.items() if kind.is_positive])
    )
    means = stars_before / before.clip(lower=1) - ROUNDING
    middles = means.where(before >= MIN_OWN_RATINGS, SCALE_MIDDLE)
    return likes.where(counted["source"] != "rate", counted["stars"] >= middles)


def _aged(counted: Table) -> tuple[Table, dict[Source, tuple[int, int]]]:
    """Return the events with their age in the own time of their topic's partition, and each one's clock at the end."""
    ages: Table = pd.Series(0, index=counted.index, dtype="int64")
    clocks: dict[Source, tuple[int, int]] = {}
    for (source, partition), times in counted.groupby(["source", "partition"])["ts"]:
        own, clock = _own_times(times.tolist())
        ages.loc[times.index] = np.array(own) - clock[1]
        clocks[str(source), int(partition)] = clock
    return counted.assign(age=ages), clocks


@dataclass(slots=True)
class _Hand:
    """A hand of a clock: the newest time that it has followed, and how many events, decayed."""

    at: int
    warm: float

    def is_near(self, ts: int) -> bool:
        return self.warm > 0 and abs(ts - self.at) <= FAR_MS

    def follow(self, ts: int) -> float:
        """Take an event; return how much of an event's worth is left after the time that passed."""
        left = float(np.exp2(-max(0, ts - self.at) / TRENDING_HALF_LIFE_MS))
        self.at, self.warm = max(self.at, ts), self.warm * left + 1
        return left


def _own_times(times: Sequence[int]) -> tuple[list[int], tuple[int, int]]:
    """Return each event's own time, and the newest event time and own time at the end."""
    hand, spare, own = _Hand(times[0], 1), _Hand(0, 0), times[0]
    found = [own]
    for ts in times[1:]:
        if hand.is_near(ts):
            own += max(0, ts - hand.at)
            spare.warm *= hand.follow(ts)
        elif spare.is_near(ts):
            spare.follow(ts)
        elif spare.warm > 1:
            spare.warm -= 1
        else:
            spare = _Hand(ts, 1)
        if abs(ts - hand.at) > FAR_MS and spare.warm > hand.warm:
            hand, spare = spare, hand
        found.append(own - min(max(hand.at - ts, 0), OLDEST_MS))
    return found, (hand.at, own)


def _heat(events: Table, half_life_ms: int) -> dict[Source, dict[str, float]]:
    """Return the heat of what was liked: 1 for a rating and else the weight, decayed by its age."""
    liked = events[events["likes"]]
    heat = liked["weight"].where(liked["source"] != "rate", 1.0) * np.exp2(liked["age"] / half_life_ms)
    found: dict[Source, dict[str, float]] = {}
    for (source, partition, item), weight in (
        heat.groupby([liked["source"], liked["partition"], liked["item"]]).sum().items()
    ):
        found.setdefault((str(source), int(partition)), {})[item] = float(weight)
    return found
