"""Which record of a log is sent when: pure, seeded, the same stream for the same arguments.

Time may be compressed, replaced by an even rate, or dropped. Deliveries may come twice or late on purpose, as after a
producer's retry or from a phone without a signal. ``producer`` does the sending.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.kinds import DEFAULT_KINDS, RATE, WATCH, KindTable
from replay.datasets.dataset import Dataset
from streams.errors import DataError, SettingsError
from streams.kafka.topics import ACTIONS, RATES, WATCHES
from streams.records.records import Action, Event, Rating, Watch

__all__ = ["Disturbance", "Events", "PlannedDelivery", "Schedule", "Selection", "Speed", "plan", "usual_events"]

Events = Literal["watch", "rate", "both", "kind"]
SEEN_TO_THE_END = 1.0  # a MovieLens user rates films that were seen, so a rating read as a watch is a whole one
LEAST_STARS = 0.5  # of a rating, as the records' contract has it
MAX_COPY_DISTANCE = 50  # deliveries; a producer's retry follows within one batch or two
MAX_LATE_DISTANCE = 200  # deliveries; far enough to cross micro-batches, near enough to matter
MAX_ID_LENGTH = 64  # of an event id, as the records' contract has it
ROWS_PER_CHUNK = 1 << 15  # that become Python values together


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast: by one of the two; without either, as fast as it goes.

    Parameters
    ----------
    speed : seconds of event time that pass in one second.
    rate : deliveries each second, evenly.
    """

    speed: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.speed is not None and self.rate is not None:
            raise SettingsError(
                f"replay: one of speed and rate is required, got speed {self.speed!r} and rate {self.rate!r}"
            )
        for name, value in (("speed", self.speed), ("rate", self.rate)):
            if value is not None and not 0 < value < float("inf"):
                raise SettingsError(f"replay: {name} must be a number above 0, got {value!r}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a log, and as what.

    Parameters
    ----------
    events : each row as a watch (of the share that its column ``weight`` says, else of all), a rating, a watch and then
        a rating of the same time, or as its column ``kind`` says.
    since, until : event time in milliseconds, first one taken and first one left out; None is no bound.
    limit : rows taken at most, the earliest ones.
    """

    events: Events = "rate"
    since: int | None = None
    until: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise SettingsError(f"replay: limit must be at least 1, got {self.limit!r}")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What goes wrong on purpose.

    Parameters
    ----------
    duplicate : share of the events, 0..1, that are delivered again, unchanged, 1 to 50 deliveries later.
    late : share of the events, 0..1, that are delivered 1 to 200 deliveries late with the time they happened at.
    seed : of both choices.
    """

    duplicate: float = 0.0
    late: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, share in (("duplicate", self.duplicate), ("late", self.late)):
            if not 0 <= share <= 1:
                raise SettingsError(f"replay: {name} must be a share from 0 to 1, got {share!r}")


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """One delivery.

    Parameters
    ----------
    due_s : seconds after the start.
    topic : without the prefix.
    record : what is sent; its user is the key.
    is_copy : whether the same event was delivered before.
    is_late : whether an event that belongs after it was delivered before.
    """

    due_s: float
    topic: str
    record: Event
    is_copy: bool
    is_late: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """The deliveries of a replay in their order; each iteration makes every ``PlannedDelivery`` anew.

    Parameters
    ----------
    name : of the log, the first part of every event id.
    rows : the selected rows, columns as in ``Dataset.interactions`` and ``number``, which tells rows of the
        same user, item and time apart.
    row : int64 (M,), each delivery's row.
    is_watch, is_copy, is_late : bool (M,).
    due_s : float64 (M,), ascending.
    has_kinds : whether a row that is no watch is what its column ``kind`` says; else it is a rating.
    """

    name: str
    rows: pd.DataFrame = field(repr=False)
    row: npt.NDArray[np.int64]
    is_watch: npt.NDArray[np.bool_]
    is_copy: npt.NDArray[np.bool_]
    is_late: npt.NDArray[np.bool_]
    due_s: npt.NDArray[np.float64]
    has_kinds: bool = False

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[PlannedDelivery]:
        for start in range(0, len(self), ROWS_PER_CHUNK):
            part = slice(start, start + ROWS_PER_CHUNK)
            rows = self.rows.iloc[self.row[part]]
            columns = (
                self.due_s[part].tolist(),
                self.is_watch[part].tolist(),
                self.is_copy[part].tolist(),
                self.is_late[part].tolist(),
                rows["kind"].tolist() if self.has_kinds else [RATE] * len(rows),
                *(rows[name].tolist() for name in ("user_id", "item_id", "ts", "rating", "number")),
                rows["weight"].tolist() if "weight" in rows else [SEEN_TO_THE_END] * len(rows),
            )
            for due_s, is_watch, is_copy, is_late, kind, *row in zip(*columns, strict=True):
                topic, record = _record(self.name, WATCH if is_watch else kind, *row)
                yield PlannedDelivery(due_s, topic, record, is_copy, is_late)


def _record(
    name: str, kind: str, user_id: str, item_id: str, ts: int, rating: float, number: int, progress: float
) -> tuple[str, Event]:
    """Return the topic and the event of a row."""
    event_id = _event_id(name, kind[0] if kind in (WATCH, RATE) else "a", user_id, item_id, ts, number)
    if kind == WATCH:
        return WATCHES, Watch(event_id, user_id, item_id, ts, progress)
    if kind == RATE:
        return RATES, Rating(event_id, user_id, item_id, ts, rating)
    return ACTIONS, Action(event_id, user_id, item_id, ts, kind)


def plan(
    dataset: Dataset,
    *,
    selection: Selection | None = None,
    speed: Speed | None = None,
    disturbance: Disturbance | None = None,
    kinds: KindTable = DEFAULT_KINDS,
) -> Schedule:
    """Lay out a replay.

    Parameters
    ----------
    dataset : the log, in its order.
    selection : which part, and as what; by default all of it, as ratings.
    speed : how fast; by default as fast as it goes.
    disturbance : what goes wrong on purpose; by default nothing.
    kinds : of events that there are.

    Raises
    ------
    DataError
        If no row is selected; the message tells the period that the log covers. Also if rows should say their kind, and
        one says none that there is.
    """
    selection, speed, disturbance = selection or Selection(), speed or Speed(), disturbance or Disturbance()
    rows = _selected(dataset, selection)
    each = 2 if selection.events == "both" else 1
    event, is_copy, is_late = _order(len(rows) * each, disturbance)
    row = event // each
    has_kinds = selection.events == "kind"
    if selection.events in {"rate", "both"} and "weight" in rows and (rows["rating"] < LEAST_STARS).any():
        raise DataError(
            f"replay: ratings of {LEAST_STARS} stars and more are required, got shares in {dataset.origin.file}, "
            f"such as {rows['weight'].min():g}; send them with --events watch"
        )
    if has_kinds:
        _require_kinds(dataset, rows, kinds)
        is_watch = (rows["kind"] == WATCH).to_numpy()[row]
    else:
        is_watch = event % 2 == 0 if each == 2 else np.full(len(event), selection.events == "watch")  # noqa: PLR2004 - both kinds
    due_s = _due(rows["ts"].to_numpy()[row], speed)
    return Schedule(dataset.name, rows, row, is_watch, is_copy, is_late, due_s, has_kinds)


def usual_events(dataset: Dataset, kinds: KindTable = DEFAULT_KINDS) -> Events:
    """Return what the rows of a log are sent as where nobody says it: ratings, but of shares what they are."""
    table = dataset.interactions
    if "weight" not in table:
        return "rate"
    return "kind" if set(table["kind"].unique()) <= set(kinds.names) else "watch"


def _require_kinds(dataset: Dataset, rows: pd.DataFrame, kinds: KindTable) -> None:
    """Raise DataError unless each row says a kind that there is."""
    required = f"replay: {dataset.origin.file} must say in a column of kinds one of {', '.join(kinds.names)}"
    if "kind" not in rows:
        raise DataError(f"{required}, got no such column; docs/how-to/data.md names the columns that are found")
    unknown = sorted(name for name in rows["kind"].unique() if kinds.find(name) is None)
    if unknown:
        raise DataError(f"{required}, got {unknown[:5]}; REELSTREAM_KINDS names the table of kinds")


def _selected(dataset: Dataset, selection: Selection) -> pd.DataFrame:
    ts = dataset.interactions["ts"].to_numpy()
    first = 0 if selection.since is None else int(np.searchsorted(ts, selection.since))
    last = len(ts) if selection.until is None else int(np.searchsorted(ts, selection.until))
    if selection.limit is not None:
        last = min(last, first + selection.limit)
    if first >= last:
        asked = f"{_date(selection.since)} to {_date(selection.until)}"
        raise DataError(
            f"replay: {dataset.name} covers {_date(int(ts[0]))} to {_date(int(ts[-1]))}, got none of it from {asked}"
        )
    rows = dataset.interactions.iloc[first:last].reset_index(drop=True)
    identity = ["user_id", "item_id", "ts"]
    repeated = rows.duplicated(identity, keep=False).to_numpy()
    number = np.zeros(len(rows), dtype=np.int64)
    if repeated.any():
        number[repeated] = rows[repeated].groupby(identity, sort=False).cumcount().to_numpy()
    return rows.assign(number=number)


def _order(
    n: int, disturbance: Disturbance
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return each delivery's event (int64), and whether it is a copy and whether it is late (bool)."""
    rng = np.random.default_rng(disturbance.seed)
    position = np.arange(n, dtype=np.float64)
    delayed = rng.random(n) < disturbance.late
    # Halves and quarters put a moved delivery behind the event that has the place it moves to.
    position[delayed] += rng.integers(1, MAX_LATE_DISTANCE, size=int(delayed.sum()), endpoint=True) + 0.5
    copied = np.flatnonzero(rng.random(n) < disturbance.duplicate)
    behind = rng.integers(1, MAX_COPY_DISTANCE, size=len(copied), endpoint=True) + 0.25
    event = np.concatenate((np.arange(n), copied))
    order = np.argsort(np.concatenate((position, position[copied] + behind)), kind="stable")
    event, is_copy = event[order], order >= n
    newest = np.maximum.accumulate(event)
    return event, is_copy, (event < newest) & ~is_copy


def _due(ts: npt.NDArray[np.int64], speed: Speed) -> npt.NDArray[np.float64]:
    """Return when each delivery is due, seconds; one that comes late is due with the one before it."""
    if speed.rate is not None:
        return np.arange(len(ts)) / speed.rate
    if speed.speed is not None:
        return np.maximum.accumulate(ts - ts.min()) / (1000.0 * speed.speed)
    return np.zeros(len(ts))


def _event_id(name: str, kind: str, user_id: str, item_id: str, ts: int, number: int) -> str:
    """Return an id of at most 64 characters: readable where that is unambiguous and short enough, else a digest."""
    text = f"{name}-{kind}-{user_id}-{item_id}-{ts}" + (f"-{number + 1}" if number else "")
    if len(text) <= MAX_ID_LENGTH and text.isprintable() and "-" not in user_id and "-" not in item_id:
        return text
    identity = "\n".join((name, user_id, item_id, str(ts), str(number)))
    return f"{kind}-{blake2b(identity.encode(), digest_size=24).hexdigest()}"


def _date(ts: int | None) -> str:
    return "any time" if ts is None else datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
