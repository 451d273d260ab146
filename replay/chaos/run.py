"""One whole run: start stack, processes, stream and faults, wait for the end, and compare everything."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from kafka import TopicPartition

from replay.chaos.compare import DifferenceRow, compare, compare_people
from replay.chaos.expected import Expected, RecordAddress, expect, expect_of_people
from replay.chaos.faults import FaultRecord, plan
from replay.chaos.fleet import Fleet
from replay.chaos.gauge import Gauge
from replay.chaos.ledger import Ledger
from replay.chaos.mixing import Mix, mix
from replay.chaos.observed import read_keys, read_records, read_state, read_topics, unserved
from replay.chaos.own_kinds import write_table
from replay.chaos.parcel_sender import ParcelSender, send_items
from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.sabotage import Saboteur, torn_versions
from replay.chaos.stream import EVENTS, REQUESTS, StreamConfig, make_catalogue, stream
from streams.errors import RegistryError, StackError, StateError
from streams.kafka.clients import blocking_consumer
from streams.kafka.topics import create_topics
from streams.kinds import read_kinds
from streams.redis.connection import answered, connect_to_read
from streams.registry.versions import VersionStore
from streams.settings import Settings
from streams.stack import open_stack
from streams.stack.process import Server

__all__ = ["ChaosConfig", "Crew", "Report", "run"]

PARTITIONS = 6  # shared evenly by one, two and three workers
WORKER_GROUP = "reelstream-worker"
VALKEY_KILLED = frozenset({"valkey killed", "rebalance while mending"})  # kinds of fault
MAX_STALL_S = 180.0  # without any progress: longer than a rebalance, a delivery and a start together
MAX_SERVING_S = 60.0  # for the lists of the last events, after these are applied
MAX_FORGOTTEN, MAX_MERGED = 400, 2000  # events at which somebody asks for it: each forgetting looks at every topic
LOOK_S = 0.2
TELL_S = 5.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChaosConfig:
    """What to run.

    Parameters
    ----------
    events : records on the event topics.
    kills : faults of all kinds.
    brokers : 1, or 3 with three copies of which two must be in sync.
    workers : most workers at once.
    seed : of stream and faults.
    appendfsync : of Valkey. With ``everysec`` its last second or two is taken away at each of its kills.
    transactions : share of the records that goes through transactions.
    """

    events: int
    kills: int
    brokers: int
    workers: int
    seed: int
    appendfsync: Literal["always", "everysec"]
    transactions: float = 0.3


@dataclass(frozen=True, slots=True)
class Crew:
    """How the processes under test are made: a worker by its slot and log, a trainer by its log.

    ``named`` says which slots have a worker with a name of its own in the group.
    """

    worker: Callable[[Settings, int, Path], Server]
    trainer: Callable[[Settings, Path], Server]
    named: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Report:
    """What came out.

    Parameters
    ----------
    config : what was run.
    seconds : from the first record sent to the last difference counted; ``applied_s`` of these until all was applied.
    events, duplicates, rejected : records that count, that repeat one that does, and that break their contract.
    withdrawals, withdrawn : records that take events back, and events that counted until then.
    forgotten, merged : forgettings that were carried out, and guests who have an account at the end.
    users : with at least one event.
    transactions : attempts at one, by how they ended: ``committed``, ``aborted``, ``hung``, ``uncertain``.
    faults : in the order in which they happened.
    restarts : last words of processes that ended by themselves and were started again.
    rows : the table of differences.
    guarantee : what the setting of Valkey promised, and what was seen of it.
    """

    config: ChaosConfig
    seconds: float
    applied_s: float
    events: int
    duplicates: int
    rejected: int
    users: int
    transactions: Mapping[str, int]
    faults: tuple[FaultRecord, ...]
    restarts: tuple[str, ...]
    rows: tuple[DifferenceRow, ...]
    guarantee: str
    withdrawals: int = 0
    withdrawn: int = 0
    forgotten: int = 0
    merged: int = 0

    @property
    def differences(self) -> int:
        """Differences in all, without those that are mere information."""
        return sum(row.different for row in self.rows if not row.is_info)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self) | {"differences": self.differences}


def run(config: ChaosConfig, folder: Path, crew: Crew, tell: Tell) -> Report:
    """Run it all in a folder and end what was started, in whatever way this is left.

    Raises
    ------
    StreamError
        If the stack or a process does not start, or nothing moves for minutes.
    """
    with ExitStack() as ending:
        stack = ending.enter_context(
            open_stack(folder / "stack", brokers=config.brokers, appendfsync=config.appendfsync, report=tell)
        )
        settings = Settings(
            stack.addresses.kafka,
            stack.addresses.redis,
            str(folder / "models"),
            partitions=PARTITIONS,
            replication=config.brokers,
            kinds=read_kinds(write_table(folder)),
        )
        create_topics(settings)
        made = _stream_config(config)
        films = make_catalogue(made)
        send_items(settings, films)
        fleet = Fleet(
            lambda slot: crew.worker(settings, slot, folder / f"worker-{slot}.log"),
            lambda: crew.trainer(settings, folder / "trainer.log"),
            config.workers,
            crew.named,
        )
        ending.enter_context(fleet.ending())
        _start(fleet, settings, config, tell)
        ledger = Ledger()
        files = folder / "stack" / "valkey" / "appendonlydir"
        gauge = ending.enter_context(Gauge(settings.redis, PARTITIONS, files, ledger.count_applied))
        saboteur = Saboteur(
            plan(config.kills, config.seed),
            config.events,
            stack,
            fleet,
            gauge,
            Path(settings.registry),
            lose=config.appendfsync == "everysec",
            aim_s=_aim_s(config),
            tell=tell,
        )
        parcels = mix(stream(made), Mix(config.events, config.transactions, config.seed, made.ends_ms))
        sender = ending.enter_context(ParcelSender(settings, parcels, ledger, saboteur.allowance))
        began = time.monotonic()
        ending.enter_context(saboteur)
        _hold(fleet, sender, saboteur, gauge, config, tell)
        tell(f"{time.monotonic() - began:7.1f} s  all sent and broken; reading the topics back")
        _await_answers(settings, fleet, tell)
        lost: list[RecordAddress] = []
        records = read_records(settings, (*EVENTS, REQUESTS, DATA_REQUESTS))
        genres = {film["item_id"]: tuple(film["genres"]) for film in films}
        expected = expect(ledger.check(records, lost), genres)
        lagging = _settle(settings, expected, fleet, gauge, tell)
        applied_s = time.monotonic() - began
        tell(f"{applied_s:7.1f} s  applied; comparing {len(expected.users):,} users with Redis and the topics")
        rows = _rows(settings, expected, ledger, lost, lagging, saboteur)
        return Report(
            config,
            time.monotonic() - began,
            applied_s,
            expected.events,
            expected.duplicates,
            len(expected.dead),
            len(expected.users),
            ledger.counts(),
            tuple(saboteur.done),
            tuple(fleet.ended),
            tuple(rows),
            _guarantee(config, saboteur.done),
            expected.withdrawals,
            expected.withdrawn,
            sum(map(len, expected.people.forgotten.values())),
            len(expected.people.account_of),
        )


def _stream_config(config: ChaosConfig) -> StreamConfig:
    users = max(50, config.events // 20)
    return StreamConfig(
        config.events,
        config.seed,
        int(time.time() * 1000),
        users,
        min(1000, 100 + users),
        forgotten=min(0.002, MAX_FORGOTTEN / config.events),
        merged=min(0.005, MAX_MERGED / config.events),
    )


def _aim_s(config: ChaosConfig) -> float:
    return 10.0 if config.events < 20_000 else 30.0  # noqa: PLR2004 - a short run has few versions to hit


def _start(fleet: Fleet, settings: Settings, config: ChaosConfig, tell: Tell) -> None:
    """Start the trainer and all workers but one, so that one can be added."""
    n = max(1, config.workers - 1)
    tell(f"starting {n} workers and the trainer")
    for slot in range(n):
        fleet.start_worker(slot)
    fleet.start_trainer()
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        fleet.await_ready(client)


def _hold(
    fleet: Fleet, sender: ParcelSender, saboteur: Saboteur, gauge: Gauge, config: ChaosConfig, tell: Tell
) -> None:
    """Wait until everything is sent and every fault has happened, reviving what ended by itself."""
    began = told_at = moved_at = time.monotonic()
    progress: tuple[int, ...] = ()
    while not (sender.is_done and saboteur.is_done):
        time.sleep(LOOK_S)
        for error in (sender.error, saboteur.error):
            if error is not None:
                raise error
        fleet.revive()
        now = time.monotonic()
        current = (sender.sent, gauge.furthest, len(saboteur.done))
        if current != progress:
            progress, moved_at = current, now
        if now - moved_at > MAX_STALL_S:
            raise StackError(
                f"chaos: records must move within {MAX_STALL_S:g} s, got {sender.sent:,} sent and {gauge.furthest:,} "
                f"applied of {config.events:,}, workers {fleet.up}"
            )
        if now - told_at >= TELL_S:
            told_at = now
            tell(
                f"{now - began:7.1f} s  sent {sender.sent:,} of {config.events:,}, applied {gauge.furthest:,}, "
                f"lag {max(0, sender.sent - gauge.furthest):,}, workers {len(fleet.up)}, "
                f"faults {len(saboteur.done)} of {config.kills}"
            )


def _await_answers(settings: Settings, fleet: Fleet, tell: Tell) -> None:
    """Wait until every user is forgotten who is to be, or nothing moves: up to where is said on the topic alone."""
    moved_at, before = time.monotonic(), -1
    while open_ := expect_of_people(read_records(settings, (DATA_REQUESTS,))).unanswered:
        fleet.revive()
        now = time.monotonic()
        if len(open_) != before:
            before, moved_at = len(open_), now
            tell(f"           waiting for {len(open_)} users to be forgotten")
        if now - moved_at > MAX_STALL_S:
            return
        time.sleep(TELL_S / 5)


def _settle(settings: Settings, expected: Expected, fleet: Fleet, gauge: Gauge, tell: Tell) -> list[str]:
    """Wait until everything is applied, acknowledged and answered; return what still lags when nothing moves."""
    moved_at = told_at = time.monotonic()
    before: list[str] = []
    with _WorkerGroup(settings) as group:
        while lagging := [*_behind(gauge, expected.positions), *group.behind()]:
            fleet.revive()
            now = time.monotonic()
            if lagging != before:
                before, moved_at = lagging, now
            if now - moved_at > MAX_STALL_S:
                return lagging
            if now - told_at >= TELL_S:
                told_at = now
                tell(f"           waiting for {len(lagging)} positions, such as {lagging[0]}")
            time.sleep(LOOK_S)
    deadline = time.monotonic() + MAX_SERVING_S
    while time.monotonic() < deadline and (
        unserved(settings.redis, expected.listed)
        or any(row.different for row in compare_people(expected, read_keys(settings.redis)))
        or _naming_versions(settings, expected)
    ):
        fleet.revive()
        time.sleep(1.0)
    return []


def _behind(gauge: Gauge, wanted: Mapping[tuple[str, int], int]) -> Iterator[str]:
    """Give the topic partitions whose last event is not counted in Redis."""
    try:
        found = gauge.positions()
    except StateError as error:
        yield str(error)
        return
    for place, offset in wanted.items():
        if found.get(place, -1) < offset:
            yield f"{place[0]} {place[1]}: applied to offset {found.get(place, -1)} of {offset}"


class _WorkerGroup:
    """What the workers' group has committed, as the cluster sees it.

    Every transaction has ended by now, so the group must reach the high watermark, which lies behind the last marker.
    Readers of uncommitted records get the high watermark; readers of committed ones get the last stable offset.
    """

    def __init__(self, settings: Settings) -> None:
        self._consumer = blocking_consumer(settings, "chaos", group_id=WORKER_GROUP, isolation_level="read_uncommitted")
        self._places = [
            TopicPartition(topic, partition)
            for topic in (*EVENTS, REQUESTS)
            for partition in range(settings.partitions)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def behind(self) -> Iterator[str]:
        """Give the topic partitions with records that are not acknowledged."""
        for place, end in self._consumer.end_offsets(self._places).items():
            done = self._consumer.committed(place) or 0
            if done < end:
                yield f"{place.topic} {place.partition}: acknowledged to offset {done} of {end}"


def _rows(
    settings: Settings,
    expected: Expected,
    ledger: Ledger,
    lost: list[RecordAddress],
    lagging: list[str],
    saboteur: Saboteur,
) -> list[DifferenceRow]:
    n_events = expected.events + expected.duplicates + expected.withdrawals + expected.people.requests
    n_read = n_events + len(expected.dead) + len(expected.requests)
    n_sent = len(ledger.acknowledged)
    extra = n_read - (n_sent - len(lost))
    killed = [done for done in saboteur.done if done.kind in VALKEY_KILLED]
    n_back = sum(1 for done in killed if done.back[0])
    forced = [done for done in saboteur.done if done.kind == "rebalance while mending"]
    n_idle = sum(1 for done in forced if not done.mending)
    return [
        DifferenceRow("records: acknowledged, and lost by Kafka", n_sent, len(lost), tuple(map(str, lost[:5]))),
        DifferenceRow("records: repeated by the producer's client", n_sent, extra, is_info=True),
        *ledger.rows(),
        DifferenceRow("partitions that lag", (len(EVENTS) + 1) * PARTITIONS, len(lagging), tuple(lagging[:5])),
        *compare(
            expected, read_state(settings.redis, PARTITIONS), read_topics(settings), ledger.ghosts(), ledger.reached_at
        ),
        _row_of_versions(settings, expected),
        DifferenceRow("kills of Valkey: state went back", len(killed), n_back, is_info=saboteur.may_lose),
        DifferenceRow("rebalances forced when nobody was mending", len(forced), n_idle, is_info=True),
        _models(settings),
    ]


def _models(settings: Settings) -> DifferenceRow:
    """Check that the version that serves is whole, whatever the kills left beside it."""
    with (
        answered("chaos: reading the current model"),
        connect_to_read(settings.redis, prefix=settings.prefix) as client,
    ):
        serving: Any = client.hget("model:current", "version")
    torn = len(torn_versions(Path(settings.registry)))
    if serving is None:
        return DifferenceRow("models: the serving version is whole", 0, 0)
    try:
        VersionStore(settings.registry).verify(serving)
    except RegistryError as error:
        return DifferenceRow("models: the serving version is whole", 1, 1, (str(error),))
    return DifferenceRow(
        "models: the serving version is whole", 1, 0, (f"{torn} torn by kills, never served",) if torn else ()
    )


def _row_of_versions(settings: Settings, expected: Expected) -> DifferenceRow:
    naming = _naming_versions(settings, expected)
    n = len(VersionStore(settings.registry).list())
    return DifferenceRow("models: versions that name a forgotten user", n, len(naming), tuple(naming[:5]))


def _naming_versions(settings: Settings, expected: Expected) -> list[str]:
    """Return which versions name a user who was forgotten, did not come back, and has no guest."""
    gone = expected.people.forgotten.keys() - expected.users.keys() - expected.people.guests_of.keys()
    store = VersionStore(settings.registry)
    naming = []
    for version in store.list():
        try:
            named = gone.intersection(store.user_ids(version))
        except RegistryError as error:  # it is being rewritten
            naming.append(str(error))
        else:
            naming += [f"{version.version_id}: {', '.join(sorted(named)[:3])}"] if named else []
    return naming


def _guarantee(config: ChaosConfig, done: list[FaultRecord]) -> str:
    killed = [one.back for one in done if one.kind in VALKEY_KILLED]
    n, places, records = len(killed), sum(back[0] for back in killed), sum(back[1] for back in killed)
    if config.appendfsync == "always":
        promise = "appendfsync always: what was answered is never lost"
        return f"{promise}; {n} kills, {places} positions went back"
    promise = "appendfsync everysec: the last seconds may be lost, and are applied again from Kafka"
    return (
        f"{promise}; {n} kills with their last 0.5 to 2 s cut off, {places} positions went back by {records:,} records"
    )
