"""How many events per second ``State.apply`` takes, beside the floor: as many bare function calls of two writes.

::

    python -m benchmarks.flow.state --redis redis://127.0.0.1:6379/15 [--json]

The database is emptied before and after. Users, items and event times are drawn from a seeded generator; every
user has a full history before the clock starts, so profiles are as large as they get.
"""

import asyncio
import json
import time
from dataclasses import asdict, dataclass

import click
import numpy as np
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from streams.records.records import Event, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.calls import SourcedEvent
from streams.state.store import State, StateConfig

PARTITIONS = 8
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Thriller")
FLOOR = """#!lua name=reelstream_floor
redis.register_function('reelstream_floor', function(keys)
  redis.call('HINCRBY', keys[1], 'n', 1)
  redis.call('ZADD', keys[2], 1, 'x')
  return 1
end)
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: events per second by the mean batch, and by the fastest tenth (what others leave of the machine)."""

    what: str
    batch: int
    events_per_s: int
    quiet_events_per_s: int
    ms_per_batch: float


class Stream:
    """Events as a producer would send them: each user on one partition, offsets without gaps."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._offsets: dict[tuple[str, int], int] = {}
        self._sent = 0

    def batch(self, size: int, users: np.ndarray) -> list[SourcedEvent]:
        """Draw events of these users (int64 ids), each with up to three genres."""
        return [self._event(int(user)) for user in self._rng.choice(users, size)]

    def _event(self, user: int) -> SourcedEvent:
        self._sent += 1
        ts = 1_700_000_000_000 + self._sent * 40
        item = str(int(self._rng.zipf(1.2)) % 4000)
        genres = tuple(self._rng.choice(GENRES, self._rng.integers(1, 4), replace=False).tolist())
        event: Event
        if self._rng.random() < 0.5:
            event = Watch(f"event-{self._sent:030d}", str(user), item, ts, round(float(self._rng.random()), 2))
        else:
            event = Rating(f"event-{self._sent:030d}", str(user), item, ts, int(self._rng.integers(1, 11)) / 2)
        topic = "watch-events" if isinstance(event, Watch) else "rate-events"
        partition = user % PARTITIONS
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        return Origin(topic, partition, offset), event, genres


async def measure(url: str, size: int, users_per_batch: int, batches: int) -> list[Figure]:
    """Fill every user's history, then time apply, the same batches again, and the floor."""
    rng = np.random.default_rng(0)
    client = connect(url)
    try:
        await client.flushdb()
        state = State(client)
        await state.install()
        stream = Stream(rng)
        everybody = np.arange(users_per_batch * 10)
        for _ in range(-(-len(everybody) * StateConfig().recent_returned // 1000)):
            await state.apply(stream.batch(1000, everybody))
        work = [stream.batch(size, rng.choice(everybody, users_per_batch, replace=False)) for _ in range(batches)]
        await client.function_load(FLOOR, replace=True)
        calls = [len({event.user_id for _, event, _ in batch}) + PARTITIONS for batch in work]
        return [
            _figure("apply, new events", size, [await _timed(state.apply(batch)) for batch in work]),
            _figure("apply, redelivered", size, [await _timed(state.apply(batch)) for batch in work]),
            _figure("floor: bare calls of 2 writes", size, [await _timed(_bare(client, count)) for count in calls]),
        ]
    finally:
        await client.function_delete("reelstream_floor")
        await client.flushdb()
        await client.aclose()


async def _bare(client: Redis, calls: int) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(calls):
        pipeline.execute_command("FCALL", "reelstream_floor", 2, f"{{{number}}}:h", f"{{{number}}}:z")
    await pipeline.execute()


async def _timed(work: object) -> float:
    started = time.perf_counter()
    await work  # type: ignore[misc]  # any awaitable
    return time.perf_counter() - started


def _figure(what: str, size: int, seconds: list[float]) -> Figure:
    mean = sum(seconds) / len(seconds)
    quiet = float(np.quantile(seconds, 0.1))
    return Figure(what, size, round(size / mean), round(size / quiet), round(mean * 1000, 2))


@click.command(help=__doc__)
@click.option("--redis", "url", required=True, help="A database that may be emptied.")
@click.option("--batch", default=256, show_default=True, help="Events of a batch.")
@click.option("--users", default=100, show_default=True, help="Users that a batch is drawn from.")
@click.option("--batches", default=100, show_default=True, help="Batches timed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(url: str, batch: int, users: int, batches: int, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Run it and print the figures."""
    figures = asyncio.run(measure(url, batch, users, batches))
    if as_json:
        click.echo(json.dumps([asdict(figure) for figure in figures]))
        return
    table = Table("what", "batch", "events/s", "fastest tenth", "ms/batch")
    for figure in figures:
        speeds = (f"{figure.events_per_s:,}", f"{figure.quiet_events_per_s:,}")
        table.add_row(figure.what, str(figure.batch), *speeds, f"{figure.ms_per_batch:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
