"""``reelstream demo``: the main job on real MovieLens events, measured while it runs.

Steps: 1 start the stack; 2 get the data; 3 warm up on the first 80 % of the stream; 4 play the rest live, with one
table that updates in place; 5 check what was promised, compare the records that are there with the last list with their
contracts, and show one user's list. What needs not wait for another does not: the events of the warm-up are sent while
the processes start, and records are compared while the scorekeeper counts the last ones.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from redis import Redis
    from rich.table import Table

    from replay.datasets.dataset import Dataset
    from replay.live import ConsumerLag, DeliveryCounter, ListFeed
    from replay.producer import ReplayReport
    from streams.contracts.checking import CheckedTopics
    from streams.settings import Settings
    from streams.stack.process import Server

__all__ = ["demo"]

WARM_SHARE = 0.8
RATE = 200.0  # events a second of the live part
QUICK_EVENTS = 20_000  # of the stream's beginning, warm-up included
QUICK_WORKER = ("--queries", "tfidf")  # sentences would be ready when it is over, and take 12 s of a core until then
MAX_WAIT_S = 120.0  # for what should take seconds to tens of seconds
MAX_ROUND_S = 60.0  # a round takes some 5 s where processors are free
PLAIN_EVERY_S = 5.0
REFRESH_S = 0.5
MAX_CLOSE_S = 2.0  # for the sender to end, which Ctrl-C waits for
T = TypeVar("T")
_Group = tuple[str | None, str]  # version and mode
_ALL: _Group = ("", "")


@click.command()
@click.option("--quick", is_flag=True, help=f"Only the first {QUICK_EVENTS:,} events.")
@click.option("--rate", type=float, default=RATE, show_default=True, help="Events a second of the live part.")
@click.option("--data", "dataset", default="ml-100k", show_default=True, help="A data set by name or path.")
def demo(*, quick: bool, rate: float, dataset: str) -> None:
    """Run the main job end to end, and measure it.

    The parts are stack, replay, worker, trainer, and live quality beside popularity.
    """
    from replay.datasets.readers import read_dataset
    from streams.stack import running_stack

    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    kafka, database = os.environ.get("REELSTREAM_KAFKA"), os.environ.get("REELSTREAM_REDIS")
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="reelstream-demo-")))
        # Step 1
        _say("starting Apache Kafka and Valkey")
        addresses = ending.enter_context(running_stack(folder / "stack", kafka=kafka, redis=database))
        # Step 2
        _say(f"reading {dataset}")
        log = read_dataset(dataset)
        settings = _settings(addresses.kafka, addresses.redis, folder)
        show = ending.enter_context(_running(settings, log, folder, *(QUICK_WORKER if quick else ())))
        # Step 3
        n = min(QUICK_EVENTS, len(log.interactions)) if quick else len(log.interactions)
        warm = int(n * WARM_SHARE)
        _warm_up(show, warm)
        # Step 4
        breaches = _play(show, warm, n, rate)
        # Step 5
        failures = [*_check(show), *breaches]
        _summary(show, time.monotonic() - began)
    for failure in failures:
        click.echo(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


@dataclass(slots=True)
class _Show:
    """What the steps share."""

    settings: "Settings"
    log: "Dataset"
    folder: Path
    client: "Redis"
    feed: "ListFeed"
    count: "DeliveryCounter"
    lag: "ConsumerLag"
    uncounted: "ConsumerLag"
    processes: list["Server"]
    before: dict[_Group, Any] = field(default_factory=dict)  # the scorekeeper's figures when the live part began
    versions: list[str] = field(default_factory=list)  # that the worker served, in order
    sent: int = 0
    live_began: float = 0.0
    rate: float = 0.0


def _settings(kafka: str, redis: str, folder: Path) -> "Settings":
    from streams.security import KafkaSecurity
    from streams.settings import Settings

    prefix = f"demo-{secrets.token_hex(3)}-"  # a given cluster may hold topics of others
    is_given = "REELSTREAM_KAFKA" in os.environ  # the local one lets everybody in
    security = KafkaSecurity.from_environment() if is_given else KafkaSecurity()
    return Settings(kafka, redis, str(folder / "models"), prefix=prefix, partitions=4, security=security)


@contextlib.contextmanager
def _running(settings: "Settings", log: "Dataset", folder: Path, *options: str) -> Iterator[_Show]:
    """Make the topics, start a worker with options and a scorekeeper, and connect what measures; wait for nobody."""
    from commands.parts.children import scorekeeper_process, worker_process
    from streams.kafka.topics import EVENTS, RECOMMENDATIONS, create_topics
    from streams.redis.connection import connect_to_read

    _require_empty(settings)
    create_topics(settings)
    processes = [
        worker_process(settings, folder / "worker.log", *options),
        scorekeeper_process(settings, folder / "scorekeeper.log"),
    ]
    with contextlib.ExitStack() as ending:
        ending.callback(_end, processes)
        for process in processes:
            process.start()
        # while they start
        from agents.scorekeeper.scorekeeper import SCOREKEEPER_GROUP
        from replay.live import ConsumerLag, DeliveryCounter, ListFeed
        from streams.reading.app import WORKER_GROUP

        lag = ending.enter_context(contextlib.closing(ConsumerLag(settings, WORKER_GROUP)))
        counted = ConsumerLag(settings, SCOREKEEPER_GROUP, (*EVENTS, RECOMMENDATIONS))
        uncounted = ending.enter_context(contextlib.closing(counted))
        client = ending.enter_context(connect_to_read(settings.redis, prefix=settings.prefix))
        feed = ending.enter_context(ListFeed(settings))
        yield _Show(settings, log, folder, client, feed, DeliveryCounter(), lag, uncounted, processes)


def _end(processes: Sequence["Server"]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.stop(12.0)


def _warm_up(show: _Show, events: int) -> None:
    """Send the first part as fast as it goes, start the rest, and wait until it is applied and a first version serves.

    The trainer starts when all of the first part is there, so that its first version learns from all of it.
    """
    from commands.parts.children import NO_API, api_address, api_process, await_alive, trainer_process
    from replay.producer import replay, send_catalogue
    from replay.schedule import Selection, plan

    _say(f"warming up: {len(show.log.catalogue):,} items, then {events:,} events at full speed")
    send_catalogue(show.settings, show.log.catalogue)
    began = time.monotonic()
    show.sent = _sent(replay(show.settings, show.count.counting(plan(show.log, selection=Selection(limit=events)))))
    trainer = trainer_process(show.settings, show.folder / "trainer.log", "--every-events", "1000", "--every-s", "10")
    show.processes.append(trainer)
    trainer.start()
    address = api_address(show.folder)
    if address is not None:
        show.processes.append(api_process(show.settings, show.folder / "api.log", address))
        show.processes[-1].start()
    await_alive(
        show.settings, {"worker": 1, "scorekeeper": 1, "api": 0 if address is None else 1}, tuple(show.processes)
    )
    _say(NO_API if address is None else f"  api     {address}")
    _wait(show, lambda: _worker(show).get("events", 0) >= show.sent and _all_served(show), "the warm-up's lists")
    _say(f"  applied, with {show.feed.received:,} lists, in {time.monotonic() - began:.0f} s")
    _wait(show, lambda: bool(_look(show)), "a first version of the model")
    _say(f"  first version {show.versions[0]} serves after {time.monotonic() - began:.0f} s")


def _play(show: _Show, start: int, end: int, rate: float) -> list[str]:
    """Send the rest at a steady rate while the table shows what comes back; return the breaches of contracts."""
    from replay.producer import replay
    from replay.schedule import Selection, Speed, plan

    _wait(show, lambda: show.uncounted.now() == 0, "the scorekeeper's counting of the warm-up")
    show.before = _counted(show)
    schedule = plan(show.log, selection=Selection(limit=end), speed=Speed(rate=rate))
    live = _Tail(schedule, start)
    _say(
        f"live: {end - start:,} events at {rate:g}/s; the scorekeeper tests each on its user's list before it and is "
        "some seconds behind; tests of the warm-up are left out"
    )
    show.count.sent = 0
    show.feed.forget_delays()
    show.live_began = time.monotonic()
    sending = _beside(lambda: replay(show.settings, show.count.counting(live)))
    try:
        with _table(show) as refresh:
            while not wait([sending], REFRESH_S).done:
                _look(show)
                refresh()
            show.sent += _sent(sending.result())
            show.rate = (end - start) / (time.monotonic() - show.live_began)
            _wait(show, lambda: _all_served(show), "the last lists")
            compared = _beside(lambda: _compared(show))  # the scorekeeper is some seconds behind
            _wait(show, lambda: show.uncounted.now() == 0, "the scorekeeper's counting of the live part")
            _await_round(show)
            refresh(final=True)
    finally:
        live.is_over = True
        wait([sending], MAX_CLOSE_S)
    return _breaches(compared.result())


def _beside(work: Callable[[], T]) -> "Future[T]":
    """Do something in a thread that an end of the demo does not wait for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _await_round(show: _Show) -> None:
    """Wait for a second version, which a busy machine makes behind the last event; ``_check`` says where none came."""
    deadline = time.monotonic() + MAX_ROUND_S
    while len(_look(show)) < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - the first and a fine-tuned one
        _require_up(show)
        time.sleep(0.1)


def _require_empty(settings: "Settings") -> None:
    """Refuse a given Redis database that holds something of an installation with this prefix already."""
    from streams.errors import SettingsError
    from streams.redis.own_keys import find_own_key
    from streams.settings import without_password

    found = asyncio.run(find_own_key(settings.redis, settings.prefix))
    if found is not None:
        raise SettingsError(
            f"demo: a database without keys of this installation is required at {without_password(settings.redis)}, "
            f"got {found!r}; unset REELSTREAM_REDIS, or name another database, such as redis://host:port/9, or "
            "another REELSTREAM_PREFIX"
        )


def _sent(sent: "ReplayReport") -> int:
    """Return how many deliveries a replay made; one that was stopped or refused ends the demo."""
    from streams.errors import TopicError

    if sent.interrupted:
        raise KeyboardInterrupt
    if sent.errors:
        raise TopicError(f"demo: all events must be delivered, got {sent.errors} refused, first {sent.first_error}")
    return sent.events


class _Tail:
    """The rest of a schedule from some delivery on, due from now; ``is_over`` ends it early, in another thread."""

    def __init__(self, schedule: Any, start: int) -> None:
        self._schedule = schedule
        self._start = start
        self.is_over = False

    def __iter__(self) -> Iterator[Any]:
        from dataclasses import replace
        from itertools import islice

        first: float | None = None
        for planned in islice(self._schedule, self._start, None):
            if self.is_over:
                return
            first = planned.due_s if first is None else first
            yield replace(planned, due_s=planned.due_s - first)


def _worker(show: _Show) -> dict[str, Any]:
    from streams.redis.heartbeat import find_alive

    return next(iter(find_alive(show.client, "worker").values()), {})


def _look(show: _Show) -> list[str]:
    """Note the version that the worker serves now, and return all that it served."""
    version = _worker(show).get("model_version")
    if version is not None and version not in show.versions:
        show.versions.append(version)
    return show.versions


@dataclass(frozen=True, slots=True)
class _Part:
    """Tests of the live part, and how many of them the lists and popularity hit."""

    tests: int
    hits: int
    popularity_hits: int

    @property
    def hit_rate(self) -> float:
        return self.hits / max(1, self.tests)

    @property
    def popularity_hit_rate(self) -> float:
        return self.popularity_hits / max(1, self.tests)


def _counted(show: _Show) -> dict[_Group, Any]:
    """Return the scorekeeper's tests and hits since its start, of all and by version and mode."""
    from streams.state.quality import find_quality

    found = find_quality(show.client)
    if found is None:
        return {}
    figures = found.figures
    groups: dict[_Group, Any] = {(one["version"], one["mode"]): one["total"] for one in reversed(figures["versions"])}
    return {_ALL: figures["total"], **groups}


def _live(show: _Show) -> dict[_Group, _Part]:
    """Return what was counted since the live part began, first of all lists, then by version and mode."""
    names = ("tests", "hits", "popularity_hits")
    parts = {}
    for group, now in _counted(show).items():
        before = show.before.get(group, dict.fromkeys(names, 0))
        part = _Part(*(now[name] - before[name] for name in names))
        if part.tests or group == _ALL:
            parts[group] = part
    return parts


def _all_served(show: _Show) -> bool:
    """Return whether every user touched has a list that saw their last event."""
    last = show.feed.last
    return all(user in last and last[user].sequence >= n for user, n in show.count.sequence.items())


def _wait(show: _Show, ready: Any, what: str) -> None:
    """Wait for something that should come soon; a process that ended, or too long a wait, is an error."""
    from streams.errors import StackError
    from streams.stack.process import last_lines

    deadline = time.monotonic() + MAX_WAIT_S
    while not ready():
        _require_up(show)
        if time.monotonic() > deadline:
            logs = "\n".join(f"{process.name}:\n{last_lines(process.log)}" for process in show.processes)
            raise StackError(
                f"demo: {what} must come within {MAX_WAIT_S:g} s, got nothing; the last words were\n{logs}"
            )
        time.sleep(0.1)


def _require_up(show: _Show) -> None:
    """Raise StackError with the last words of a process that ended."""
    from streams.errors import StackError
    from streams.stack.process import last_lines

    for process in show.processes:
        if process.identity is None:
            raise StackError(f"demo: {process.name} must stay up, got its end:\n{last_lines(process.log)}")


@contextlib.contextmanager
def _table(show: _Show) -> Iterator[Any]:
    """Give a function that shows the state now: in place on a terminal, a plain line now and then elsewhere."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if console.is_terminal:
        with Live(_rows(show), console=console, refresh_per_second=4) as live:
            yield lambda *, final=False: live.update(_rows(show), refresh=final)
        return
    shown_at = time.monotonic()

    def line(*, final: bool = False) -> None:
        nonlocal shown_at
        if final or time.monotonic() - shown_at >= PLAIN_EVERY_S:
            shown_at = time.monotonic()
            click.echo("  " + " | ".join(f"{name} {value}" for name, value in _figures(show).items()))
            sys.stdout.flush()

    yield line


def _figures(show: _Show) -> dict[str, str]:
    """Return what the table shows, in order."""
    p50, p99 = show.feed.delay_ms(50, 99)
    users = show.feed.users()
    rate = show.rate or show.count.sent / max(time.monotonic() - show.live_began, 1e-9)
    score = _live(show)[_ALL]
    lag = show.lag.now()
    return {
        "events/s": f"{rate:,.0f}",
        "lag": f"{lag:,}",
        "event-to-list p50/p99": f"{p50:.0f}/{p99:.0f} ms",
        "users cold/personalised": f"{users.get('cold_start', 0)}/{users.get('personalized', 0)}",
        "model": f"{show.versions[-1] if show.versions else '-'} ({_age_s(show):.0f} s old)",
        "HR@10 live/popularity": f"{score.hit_rate:.3f}/{score.popularity_hit_rate:.3f} of {score.tests:,}",
    }


def _age_s(show: _Show) -> float:
    from streams.state.pointer import find_pointer

    pointer = find_pointer(show.client)
    return 0.0 if pointer is None else max(0.0, time.time() - pointer.promoted_at / 1000)


def _rows(show: _Show) -> "Table":
    from rich.table import Table

    table = Table(title="Reelstream, live", show_header=False)
    for name, value in _figures(show).items():
        table.add_row(name, value)
    return table


def _check(show: _Show) -> list[str]:
    """Return what was promised and did not hold."""
    score = _live(show)[_ALL]
    unserved = [user for user, n in show.count.sequence.items() if user not in show.feed.last]
    failures = []
    if unserved:
        failures.append(f"every user touched must get a list, got none for {len(unserved)}, such as {unserved[0]!r}")
    if len(show.versions) < 2:  # noqa: PLR2004 - the first and a fine-tuned one
        failures.append(f"a fine-tuned version must be promoted and served, got only {show.versions}")
    if score.tests == 0 or score.hit_rate <= score.popularity_hit_rate:
        failures.append(
            f"live HR@10 must beat popularity's {score.popularity_hit_rate:.4f}, got {score.hit_rate:.4f} of "
            f"{score.tests:,} tests"
        )
    return failures


def _compared(show: _Show) -> "CheckedTopics | None":
    """Compare every record that was sent and got with the contracts, where what does it is installed."""
    if find_spec("jsonschema_rs") is None:
        return None
    from streams.contracts.checking import check_topics

    return check_topics(show.settings)


def _breaches(found: "CheckedTopics | None") -> list[str]:
    """Say what was compared, and return what breaks the contracts."""
    if found is None:
        _say("records are not compared with the contracts: that needs pip install 'reelstream[stack]'")
        return []
    if found.broken:
        return [f"every record must keep its contract, got {found.broken:,} breaches, first {found.examples[0]}"]
    _say(f"{sum(found.records.values()):,} records on {len(found.records)} topics keep the contracts")
    return []


def _summary(show: _Show, seconds: float) -> None:
    """Print the figures, and one user's last list with titles and reasons."""
    from rich.console import Console

    live = _live(show)
    score = live.pop(_ALL)
    p50, p99 = show.feed.delay_ms(50, 99)
    lists = ", ".join(f"{n:,} {mode}" for mode, n in sorted(show.feed.modes.items()))
    click.echo(f"\n{show.sent:,} events, {show.feed.received:,} lists ({lists}), {len(show.feed.last):,} users")
    click.echo(f"live part at {show.rate:.0f} events/s: event-to-list p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    click.echo(f"model versions served: {len(show.versions)}, from {show.versions[0]} to {show.versions[-1]}")
    click.echo("HR@10 of the live part, counted from the topics by the scorekeeper; warm-up left out:")
    for (version, mode), part in [(("all lists", ""), score), *sorted(live.items(), key=lambda one: one[0][0] or "")]:
        name = f"{version or 'no version'} {mode}"
        rates = f"{part.hit_rate:.4f} lists, {part.popularity_hit_rate:.4f} popularity"
        click.echo(f"  {name:<30} {rates} ({part.tests:,} tests)")
    last = show.feed.last
    user = max(last, key=lambda user_id: (last[user_id].mode == "personalized", last[user_id].arrival))
    Console().print(_list_of(show, user))
    click.echo(
        f"\ndone in {seconds:.0f} s. Next: `reelstream up` for your own producers, "
        "docs/reference/redis.md for the keys,"
        " `reelstream replay --help` for your own logs."
    )


def _list_of(show: _Show, user: str) -> "Table":
    from rich.table import Table

    from streams.state.lookups import Lookups

    stored = Lookups(show.client).recommendation(user)
    if stored is None:
        return Table(title=f"user {user} has no list in Redis")
    found = stored.record
    table = Table(title=f"user {user}, {found['mode']}, {found['model_version']}")
    for name in ("", "title", "year", "score", "why"):
        table.add_column(name)
    for item in found["items"]:
        known = show.log.catalogue.find(item["item_id"])
        title, year = (known.title, str(known.year or "")) if known else (item["item_id"], "")
        table.add_row(str(item["rank"]), title, year, f"{item['score']:.3f}", item["reason"])
    return table


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
