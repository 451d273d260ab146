"""What users and their interactions cost in the memory of Redis, by kind of key.

Usage: ``python -m benchmarks.flow.memory ml-100k [--limit 100000] [--json]``

Starts its own Valkey, applies the log's ratings as a worker does, stores a cold-start list for each user, and asks the
server how much each key takes (``MEMORY USAGE``, all of it). What a user costs apart from interactions, and what one
more interaction costs, is the line through all users by least squares, as long histories are bounded by key.
"""

import asyncio
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from redis import Redis
from rich.console import Console
from rich.table import Table

from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.schedule import plan
from streams.records.records import Event, Origin
from streams.redis.connection import connect
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.stack.ports import settle_ports
from streams.stack.valkey import Valkey, find_server
from streams.state.store import State

BATCH = 512
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Memory:
    """One row: the keys of one kind, ``user`` and ``interaction`` in bytes."""

    kind: str
    keys: int
    bytes: int
    user: float
    interaction: float


def sourced(dataset: Dataset, limit: int) -> Iterator[tuple[Origin, Event, tuple[str, ...]]]:
    """Give the ratings of a log as a consumer has them, each user on one partition."""
    offsets: Counter[int] = Counter()
    items = dataset.catalogue.items
    for one in islice(plan(dataset), limit):
        event = one.record
        partition = int(re.sub(r"\D", "", event.user_id) or 0) % PARTITIONS
        yield Origin(one.topic, partition, offsets[partition]), event, items[event.item_id].genres
        offsets[partition] += 1


async def fill(client: Any, dataset: Dataset, limit: int) -> dict[str, int]:
    """Apply a log and store a list for each of its users; return how many interactions each has."""
    state = State(client)
    await state.install()
    n_of, events = Counter[str](), sourced(dataset, limit)
    trending: Counter[str] = Counter()
    while batch := list(islice(events, BATCH)):
        await state.apply(batch)
        n_of.update(event.user_id for _, event, _ in batch)
        trending.update(event.item_id for _, event, _ in batch)
    catalogue = dataset.catalogue
    hot = Trending.of(trending.most_common(500))
    recommender = Recommender(catalogue, ContentIndex(catalogue), hot, ColdStart(), ModeConfig())
    scoring = BudgetedScorer(60.0, Breaker(BreakerConfig(), time.monotonic))
    serving = Serving(ServingConfig(), scoring, state, lambda: time.time_ns() // 1_000_000)
    users = list(n_of)
    for start in range(0, len(users), BATCH):
        profiles = (await state.profiles(users[start : start + BATCH])).values()
        wanted = [(one, Trigger.of_event(Origin("rate-events", 0, start), "e" * 16, 0)) for one in profiles]
        await state.store_lists([one.stored() for one in await serving.answer(recommender, wanted)])
    scoring.close()
    return dict(n_of)


def weigh(server: Redis, n_of: dict[str, int]) -> list[Memory]:
    """Return what each kind of key takes."""
    sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    counts: Counter[str] = Counter()
    for key in server.scan_iter(count=1000):
        name = key.decode()
        kind = re.sub(r"\{.*?\}", "{}", name) if name.startswith(("user:", "items:")) else "the rest"
        owner = name[name.find("{") + 1 : name.find("}")] if name.startswith("user:") else ""
        sizes[kind][owner] += server.memory_usage(key, samples=0) or 0
        counts[kind] += 1
    n = np.array(list(n_of.values()), dtype=np.float64)
    design = np.stack([np.ones(len(n)), n], axis=1)
    found = []
    for kind, by_user in sorted(sizes.items()):
        user = interaction = 0.0
        if kind.startswith("user:"):
            own = np.array([by_user[one] for one in n_of], dtype=np.float64)
            user, interaction = np.linalg.lstsq(design, own, rcond=None)[0].tolist()
        found.append(Memory(kind, counts[kind], by_user.total(), user, interaction))
    return found


@click.command(help=__doc__)
@click.argument("dataset")
@click.option("--limit", default=1_000_000, show_default=True, help="Events to apply, from the first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(dataset: str, limit: int, *, as_json: bool) -> None:
    """Fill a server and print what it holds."""
    log = read_dataset(dataset)

    async def filled(url: str) -> dict[str, int]:
        client = connect(url)
        try:
            return await fill(client, log, limit)
        finally:
            await client.aclose()

    with tempfile.TemporaryDirectory() as folder:
        server = Valkey(settle_ports(Path(folder) / "ports.json", ["one"])["one"], Path(folder) / "one", find_server())
        server.start()
        try:
            server.wait()
            n_of = asyncio.run(filled(server.url))
            with Redis.from_url(server.url) as client:
                rows = weigh(client, n_of)
        finally:
            server.stop(5.0)
    if as_json:
        click.echo(json.dumps({"users": len(n_of), "interactions": sum(n_of.values()), "keys": [*map(asdict, rows)]}))
        return
    n, users = sum(n_of.values()), len(n_of)
    table = Table("kind of key", "keys", "bytes", "a user, all in all", "a user without history", "and an interaction")
    for row in rows:
        of_user = [f"{row.bytes / users:,.0f}", f"{row.user:,.0f}", f"{row.interaction:,.1f}"]
        table.add_row(
            row.kind, f"{row.keys:,}", f"{row.bytes:,}", *(of_user if row.kind.startswith("user:") else ["", "", ""])
        )
    Console().print(table)
    total = sum(row.bytes for row in rows)
    click.echo(f"{users:,} users, {n:,} interactions, {total:,} bytes: {total / n:,.0f} for each interaction")


if __name__ == "__main__":
    main()
