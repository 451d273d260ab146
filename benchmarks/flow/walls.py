"""What an event costs by stage, from a thousand to a million users and items, and what no further worker takes over.

::

    python -m benchmarks.flow.walls [--users 1000,10000] [--items 1000,10000] [--partitions 4,16,100] [--json]

Each line has a Valkey to itself. Its users have 30 events and a list each: 500 of them by events that are applied as a
worker does it, all others as copies of these. Then batches of 256 events, each another user's, are taken through the
stages of a batch without Kafka: decoded, applied, answered, encoded and kept. Columns are microseconds of processor
time for an event, medians over the batches, of this process and of the one thread with which the server runs commands.
Users are measured with 3,706 items, items with 10,000 users. From 50,000 items on lists are found by an index, as in a
worker; one of a million items takes minutes to build.

Items are grown as in ``benchmarks/learning/retrieval.py``, from a network trained for one epoch on a made-up log: lists
are no good, and cost what good ones cost. One thread for products, as a worker has.

The second table has what is done again and again by one worker, or by each, and depends on how many partitions there
are, all with 1,000 items that trend among watches and among ratings. The last lines are the processes of which there is
one: what an event costs the trainer to read, and the scorekeeper to count beside its list.

All of it takes about eight minutes of two quiet cores, 6 GB for a million users and then 6 GB for a million items.
"""

import asyncio
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from redis import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.flow.parts.crowd import PARTITIONS, EventStream, copied, with_history
from benchmarks.flow.parts.duties import PartitionDuty, counted_us, learnt_us, partition_duty, warm_partitions
from benchmarks.flow.parts.stages import BATCH, STAGES, Clock, Stages, lists_of, stage_costs
from benchmarks.learning.retrieval import grown_to, made_up, trained
from commands.parts.running import limit_threads
from model.catalogue import Catalogue, Item
from model.network.snapshot import Snapshot
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.retrieval import build_ranker
from streams.records.records import Origin
from streams.redis.connection import connect
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.stack.ports import settle_ports
from streams.stack.valkey import Valkey, find_server
from streams.state.keys import list_key
from streams.state.store import State

SIZES = "1000,10000,100000,1000000"
FIXED_ITEMS, FIXED_USERS = 3706, 10_000
SEEN_ITEMS = 500  # that users touch: an item is touched by many, whatever the catalogue holds
SINGLE = 20_000  # events that the trainer and the scorekeeper are given
TOLD_EVERY = 100_000  # copied users


@dataclass(frozen=True, slots=True)
class Small:
    """A network of few items, from which larger ones are grown, and the genres of its items."""

    snapshot: Snapshot
    catalogue: Catalogue

    @classmethod
    def made(cls) -> "Small":
        """Train it."""
        log, catalogue = made_up()
        return cls(trained(log, catalogue, 1), catalogue)

    def recommender(self, items: int) -> Recommender:
        """Return a recommender of so many items, with the ranker that a worker would build."""
        grown = grown_to(self.snapshot, items, np.random.default_rng(0))
        genres = [self.catalogue.items[name].genres for name in self.snapshot.items]
        source = grown.source.tolist()
        catalogue = Catalogue.of(Item(str(row), f"Item {row}", None, genres[source[row]]) for row in range(items))
        empty = Recommender(catalogue, ContentIndex(catalogue), Trending(), ColdStart(), ModeConfig())
        return empty.with_model(build_ranker(grown.snapshot, "auto"), "v1")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: sizes, what an event costs, bytes of a user in Redis, and megabytes of this process.

    Parameters
    ----------
    users, items : how many.
    is_exact : whether the whole catalogue is scored.
    stages : microseconds.
    user_bytes : that one more user takes, 0 where none was copied.
    resident : megabytes that this process grew by when catalogue and ranker were made, as a worker does: at least what
        they take, as memory of a line before is used again.
    built_s : seconds until the ranker and the vectors of contents were built.
    """

    users: int
    items: int
    is_exact: bool
    stages: Stages
    user_bytes: float
    resident: float
    built_s: float


class Bench:
    """Measures lines, each with a server of its own.

    Parameters
    ----------
    small : what networks are grown from.
    folder : for the servers.
    batches : that count.
    """

    def __init__(self, small: Small, folder: Path, batches: int) -> None:
        self._small = small
        self._folder = folder
        self._batches = batches
        self._resident = 0.0
        self._recommender: Recommender | None = None
        self._built_s = 0.0
        self._n_servers = 0
        self._lists: list[bytes] = []

    def line(self, users: int, items: int) -> Line:
        """Measure one."""
        recommender = self._of(items)
        server = self.server()
        try:
            told(f"{users:,} users, {items:,} items")
            return asyncio.run(self._line(server.url, users, recommender))
        finally:
            server.stop(20.0)

    def duties(self, counts: Sequence[int]) -> list[PartitionDuty]:
        """Measure what depends on the partitions."""
        catalogue = self._of(FIXED_ITEMS).catalogue
        server = self.server()
        try:
            told(f"{max(counts)} partitions are made warm")
            return asyncio.run(_duties(server.url, catalogue, counts))
        finally:
            server.stop(20.0)

    def singles(self) -> dict[str, float]:
        """Measure the processes of which there is one."""
        told("trainer and scorekeeper")
        recommender, generator = self._of(FIXED_ITEMS), np.random.default_rng(1)
        stream = EventStream([*recommender.catalogue.items], generator)
        users = generator.integers(0, len(self._lists), SINGLE).tolist()
        records = stream.batch(users)
        counted = counted_us(records, [self._lists[user] for user in users], PARTITIONS, recommender.catalogue)
        return {"trainer": learnt_us(records), "scorekeeper": counted}

    def server(self) -> Valkey:
        """Return a server that answers; it does not write its file anew in between, which would be measured too."""
        self._n_servers += 1
        name = f"server{self._n_servers}"
        port = settle_ports(self._folder / f"{name}.json", ["one"])["one"]
        server = Valkey(port, self._folder / name, find_server(), options={"auto-aof-rewrite-percentage": 0})
        server.start()
        server.wait()
        return server

    def _of(self, items: int) -> Recommender:
        if self._recommender is None or len(self._recommender.catalogue) != items:
            self._recommender = None  # before the next: two of a million items would be too much
            gc.collect()
            told(f"{items:,} items are made ready")
            began, before = time.perf_counter(), _resident()
            self._recommender = self._small.recommender(items)
            gc.collect()
            self._built_s, self._resident = time.perf_counter() - began, (_resident() - before) / 2**20
            told(f"... in {self._built_s:.0f} s")
        return self._recommender

    async def _line(self, url: str, users: int, recommender: Recommender) -> Line:
        client = connect(url)
        state, generator = State(client), np.random.default_rng(0)
        await state.install()
        scoring = BudgetedScorer(60.0, Breaker(BreakerConfig(), time.monotonic))
        serving = Serving(ServingConfig(), scoring, state, lambda: time.time_ns() // 1_000_000)
        stream = EventStream(_touched(recommender), generator)
        try:
            ids = await with_history(state, stream, users, recommender)
            await state.merge_trending(PARTITIONS, recommender.catalogue)
            recommender = recommender.with_trending(Trending.of(await state.trending(500)))
            await _keep_lists(state, serving, recommender, ids)
            user_bytes = await copied(client, users, _tell_copied)
            with Redis.from_url(url) as server:
                draw = partial(_drawn, generator, users)
                clock = Clock(server)
                stages = await stage_costs(state, serving, recommender, stream, draw, clock, self._batches)
            self._lists = [body async for body in _kept(client, ids)]
        finally:
            scoring.close()
            await client.aclose()
        assert recommender.ranker is not None, "made with one"
        items = len(recommender.catalogue)
        return Line(users, items, recommender.ranker.is_exact, stages, user_bytes, self._resident, self._built_s)


async def _duties(url: str, catalogue: Catalogue, counts: Sequence[int]) -> list[PartitionDuty]:
    client = connect(url)
    state = State(client)
    try:
        await state.install()
        await warm_partitions(state, catalogue, max(counts))
        with Redis.from_url(url) as server:
            return [await partition_duty(state, catalogue, n, server) for n in counts]
    finally:
        await client.aclose()


async def _kept(client: Any, ids: Sequence[str]) -> AsyncIterator[bytes]:
    for body in await client.mget([list_key(one) for one in ids]):
        yield body


async def _keep_lists(state: State, serving: Serving, recommender: Recommender, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), BATCH):
        profiles = await state.profiles(ids[start : start + BATCH])
        wanted = [(one, Trigger.of_event(Origin("rate-events", 0, 0, 0), "e" * 36, 0)) for one in profiles.values()]
        await state.store_lists(lists_of(await serving.answer(recommender, wanted, is_behind=True)))


def _touched(recommender: Recommender) -> list[str]:
    """Return the items that events are of, spread over the catalogue."""
    items = [*recommender.catalogue.items]
    return items[:: max(1, len(items) // SEEN_ITEMS)]


def _drawn(generator: np.random.Generator, users: int) -> Sequence[int]:
    drawn: list[int] = generator.choice(users, min(BATCH, users), replace=False).tolist()
    return drawn


def _tell_copied(users: int) -> None:
    if users % TOLD_EVERY == 0:
        told(f"... {users:,} users copied")


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def told(what: str) -> None:
    """Tell how far it is."""
    click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)


def show(lines: Sequence[Line], duties: Sequence[PartitionDuty], singles: dict[str, float]) -> None:
    """Print the tables."""
    console = Console(width=160)
    names = [*(f"{stage}" for stage in STAGES), "worker", "apply, Redis", "answer, Redis", "keep, Redis", "Redis"]
    table = Table(
        "users", "items", "ranking", *names, "personal", "bytes a user", "MB", title="microseconds for an event"
    )
    for one in lines:
        ours, redis = one.stages.worker, one.stages.redis
        of_redis = [redis[stage] for stage in ("apply", "answer", "keep")]
        figures = [*(ours[stage] for stage in STAGES), sum(ours.values()), *of_redis, sum(of_redis)]
        of_line = [f"{one.users:,}", f"{one.items:,}", "exact" if one.is_exact else "index"]
        held = [f"{one.stages.personalised:.0%}", f"{one.user_bytes:,.0f}", f"{one.resident:,.0f}"]
        table.add_row(*of_line, *(f"{figure:.0f}" for figure in figures), *held)
    console.print(table)
    if duties:
        every = (
            "merge trending, 1 s, leader",
            "newest items, 5 s, leader",
            "new items, 5 s, each worker",
            "trending, 1 s, each worker",
        )
        table = Table("partitions", *(f"{what}: {who}" for what in every for who in ("worker", "Redis")), title="ms")
        for duty in duties:
            of_one = [duty.merge, duty.merge_redis, duty.look, duty.look_redis]
            of_each = [duty.show, duty.show_redis, duty.follow, duty.follow_redis]
            table.add_row(str(duty.partitions), *(f"{value:.2f}" for value in (*of_one, *of_each)))
        console.print(table)
    if lines:
        sent = lines[0].stages
        console.print(f"an event is {sent.event_bytes:.0f} bytes, a list {sent.list_bytes:,.0f}")
    for name, us in singles.items():
        console.print(f"{name}: {us:.1f} us for an event, {1e6 / us:,.0f} events/s")


def _numbers(_: click.Context, option: click.Parameter, given: str) -> list[int]:
    try:
        found = [int(one) for one in given.split(",") if one]
    except ValueError as error:
        raise click.BadParameter(f"numbers by commas are required, got {given!r}") from error
    if any(one < 1 for one in found):
        raise click.BadParameter(f"--{option.name} must be at least 1, got {given!r}")
    return found


@click.command(help=__doc__)
@click.option("--users", default=SIZES, show_default=True, callback=_numbers, help="Sizes, by commas; '' for none.")
@click.option("--items", default=SIZES, show_default=True, callback=_numbers, help="Sizes, by commas; '' for none.")
@click.option("--partitions", default="4,16,100", show_default=True, callback=_numbers, help="Of the second table.")
@click.option("--batches", default=40, show_default=True, help="Batches that count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(users: list[int], items: list[int], partitions: list[int], batches: int, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Measure every line and print it."""
    limit_threads(1)
    told("a network of few items is trained")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Small.made(), Path(folder), batches)
        lines = [bench.line(n, FIXED_ITEMS) for n in users]
        duties = bench.duties(partitions) if partitions else []
        singles = bench.singles() if lines else {}
        lines += [bench.line(FIXED_USERS, n) for n in items]
    if as_json:
        found = {"lines": [*map(asdict, lines)], "duties": [*map(asdict, duties)], "single": singles}
        click.echo(json.dumps(found))
        return
    show(lines, duties, singles)


if __name__ == "__main__":
    main()
