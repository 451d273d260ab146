"""What an event costs in calls and bytes of Redis: one server beside a cluster, and a cluster as redis-py routes it.

Usage: ``python -m benchmarks.flow.cluster [--batch 256] [--users 100] [--batches 100] [--json]``

Starts a server and a cluster of three on this machine. Each gets the same batches through ``State.apply``, from users
with full histories. Calls and bytes are the servers' own counts (``INFO``) of the timed batches alone. The last line
lets redis-py ask the servers where the keys of a function call are, as it does by itself.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from redis import Redis
from redis.asyncio.cluster import RedisCluster as AskingCluster
from rich.console import Console
from rich.table import Table

from benchmarks.flow.state import Stream
from streams.redis.connection import connect
from streams.stack.cluster import running_cluster
from streams.stack.ports import settle_ports
from streams.stack.valkey import Valkey, find_server
from streams.state.calls import StateConfig
from streams.state.store import State


@dataclass(frozen=True, slots=True)
class Cost:
    """One row: what an event costs, over all servers."""

    what: str
    events_per_s: float
    calls: float
    key_questions: float
    bytes_in: float
    bytes_out: float


async def measure(what: str, client: Any, urls: Sequence[str], size: int, users: int, batches: int) -> Cost:
    """Fill every user's history, then time and count batches."""
    rng, stream = np.random.default_rng(0), Stream(np.random.default_rng(1))
    state = State(client)
    await state.install()
    everybody = np.arange(users * 10)
    for _ in range(-(-len(everybody) * StateConfig().recent_returned // 1000)):
        await state.apply(stream.batch(1000, everybody))
    work = [stream.batch(size, rng.choice(everybody, users, replace=False)) for _ in range(batches)]
    before, began = counted(urls), time.perf_counter()
    for batch in work:
        await state.apply(batch)
    took = time.perf_counter() - began
    spent = [(after - was) / (size * batches) for after, was in zip(counted(urls), before, strict=True)]
    return Cost(what, size * batches / took, *spent)


def counted(urls: Sequence[str]) -> tuple[int, int, int, int]:
    """Return the calls, those that ask for keys, and the bytes in and out of all servers so far."""
    calls = asked = read = written = 0
    for url in urls:
        with Redis.from_url(url) as server:
            stats, commands = server.info("stats"), server.info("commandstats")
            calls += sum(one["calls"] for name, one in commands.items() if name not in ("cmdstat_info", "cmdstat_ping"))
            asked += commands.get("cmdstat_command|getkeys", {"calls": 0})["calls"]
            read += stats["total_net_input_bytes"]
            written += stats["total_net_output_bytes"]
    return calls, asked, read, written


async def compare(folder: Path, size: int, users: int, batches: int) -> list[Cost]:
    """Measure one server, a cluster, and a cluster whose client asks."""
    found = []
    server = Valkey(settle_ports(folder / "ports.json", ["one"])["one"], folder / "one", find_server())
    server.start()
    try:
        server.wait()
        client: Any = connect(server.url)
        found.append(await measure("one server", client, [server.url], size, users, batches))
        await client.aclose()
    finally:
        server.stop(5.0)
    for what, make in (("cluster of three", connect), ("the same, redis-py asks", AskingCluster.from_url)):
        with running_cluster(folder / what.replace(" ", "-")) as nodes:
            client = make(nodes[0].url)
            found.append(await measure(what, client, [node.url for node in nodes], size, users, batches))
            await client.aclose()
    return found


@click.command(help=__doc__)
@click.option("--batch", default=256, show_default=True, help="Events of a batch.")
@click.option("--users", default=100, show_default=True, help="Users that a batch is drawn from.")
@click.option("--batches", default=100, show_default=True, help="Batches counted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(batch: int, users: int, batches: int, *, as_json: bool) -> None:
    """Run it and print the costs."""
    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(compare(Path(folder), batch, users, batches))
    if as_json:
        click.echo(json.dumps([asdict(cost) for cost in costs]))
        return
    table = Table("what", "events/s", "calls an event", "of them for keys", "bytes in", "bytes out")
    for cost in costs:
        calls, asked = f"{cost.calls:.2f}", f"{cost.key_questions:.2f}"
        table.add_row(
            cost.what, f"{cost.events_per_s:,.0f}", calls, asked, f"{cost.bytes_in:,.0f}", f"{cost.bytes_out:,.0f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
