"""What a flood of bad records costs the good ones: throughput, delay and memory of one worker.

Usage: ``python -m benchmarks.flow.flood [--events 8000] [--rate 500] [--seconds 10] [--shares 1,5] [--json]``

Starts its own Kafka and Valkey and one worker that serves an untrained network over 500 films to 500 users. Good
events wait in the topic alone, and then mixed evenly with as many and five times as many bad ones of every cause in
the same partitions (flat-out: from the first record sent until the positions in Redis have reached the last good
one). Then good events come at a steady rate, alone and with the same shares beside them (delay: from the event's
Kafka timestamp to the arrival of its list). ``--by-cause`` also sends each cause alone and prints what one such
record costs.

The floor is a Faust worker of the same settings that takes and acknowledges the same bad records and does nothing
else. The flat-out cost of a bad record is (seconds with it - seconds without it) / bad records, and the same of the
worker's processor time, which says more on a machine that does other things as well.
"""

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson
import psutil
import torch
from confluent_kafka import Producer
from redis import Redis

from commands.parts.children import await_alive, worker_process
from model.catalogue import Catalogue, Item
from model.network.shape import NeuMFConfig
from model.trainable.neumf import NeuMF
from replay.live import ListFeed
from replay.producer import send_catalogue
from streams.kafka.topics import WATCHES, create_topics
from streams.reading.app import build_app
from streams.redis.heartbeat import find_alive
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.stack import running_stack

USERS = 500
ITEMS = 500
PARTITIONS = 4
GENRES = ("Drama", "Comedy")
PATIENCE_S = 300.0

Pair = tuple[str, bytes | None]


def good(n: int) -> Pair:
    """Return the n-th good event: its key and its value."""
    user = f"u{n * 7919 % USERS}"
    event = {
        "event_id": f"{os.getpid()}-{n}",
        "user_id": user,
        "item_id": f"i{n * 104729 % ITEMS}",
        "ts": 1_700_000_000_000 + n,
        "progress": 0.5,
    }
    return user, orjson.dumps(event)


def bad_kinds() -> dict[str, list[Pair]]:
    """Return one bad record for each user and cause."""
    event = {"event_id": "bad", "item_id": "i1", "ts": 1_700_000_000_000, "progress": 0.5}
    kinds: dict[str, list[Pair]] = {}
    for number in range(USERS):
        user = f"u{number}"
        whole = event | {"user_id": user}
        made = {
            "empty": None,
            "too_large": b'{"event_id":"' + b"x" * 66_000,
            "not_json": orjson.dumps(whole)[:-10],
            "not_an_object": orjson.dumps([whole]),
            "missing_field": orjson.dumps(event),
            "bad_field": orjson.dumps(whole | {"progress": 1.5}),
            "wrong_unit": orjson.dumps(whole | {"ts": 1_700_000_000}),
            "wrong_key": orjson.dumps(event | {"user_id": "somebody else"}),
        }
        for cause, value in made.items():
            kinds.setdefault(cause, []).append((user, value))
    return kinds


def mixed(n: int, share: int, bad: Iterator[Pair]) -> Iterator[Pair]:
    """Give n good events with ``share`` bad records before each."""
    for _ in range(n):
        yield from islice(bad, share)
        yield good(next(NUMBERS))


NUMBERS = iter(range(10**9))


class Bench:
    """One worker and what it takes to send to it and to watch it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = Redis.from_url(settings.redis, decode_responses=True)
        self.ends: dict[int, int] = {}
        self.sent = 0
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "partitioner": "murmur2_random",  # the partitioner of the Java client and of aiokafka
                "acks": "all",
                "linger.ms": 2,
                "queue.buffering.max.kbytes": 1_000_000,
            }
        )

    def send(self, pair: Pair, *, is_good: bool = True) -> None:
        """Send one record; a good one's place is noted when it is delivered."""
        key, value = pair
        self.sent += 1
        while True:
            try:
                self._producer.produce(WATCHES, value, key, on_delivery=self._note if is_good else None)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Wait until everything is delivered."""
        self._producer.flush(PATIENCE_S)

    def poll(self) -> None:
        """Take delivery reports."""
        self._producer.poll(0)

    def is_done(self) -> bool:
        """Return whether Redis has applied the last good event of each partition."""
        for partition, end in self.ends.items():
            found = self.redis.hget(f"items:{{p{partition}}}:at", f"at:{WATCHES}:{partition}")
            if int(found or -1) < end:
                return False
        return True

    def report(self) -> dict[str, Any]:
        """Return what the worker says about itself."""
        with Redis.from_url(self.settings.redis) as client:
            return next(iter(find_alive(client, "worker").values()), {})

    def settle(self) -> None:
        """Wait until the worker has handled everything that was sent, bad records at the end too."""
        began = time.monotonic()
        while self.report()["events"] < self.sent:
            if time.monotonic() - began > PATIENCE_S:
                raise RuntimeError(f"flood: {self.sent} records must be handled, got {self.report()}")
            time.sleep(0.2)

    def rss_mb(self) -> float:
        """Return the worker's resident memory, megabytes."""
        return float(psutil.Process(self.report()["pid"]).memory_info().rss) / 1e6

    def cpu_s(self) -> float:
        """Return the processor time that the worker has used, seconds; other programs do not change it much."""
        used = psutil.Process(self.report()["pid"]).cpu_times()
        return float(used.user + used.system)

    def _note(self, error: Any, message: Any) -> None:
        if error is not None:
            raise RuntimeError(f"flood: a good event must be delivered, got {error}")
        self.ends[message.partition()] = max(message.offset(), self.ends.get(message.partition(), -1))


def flat_out(bench: Bench, n: int, share: int, kinds: Sequence[list[Pair]]) -> dict[str, float]:
    """Send n good events mixed with bad ones, and measure until the last good one is applied."""
    bad = cycle([pair for together in zip(*kinds, strict=True) for pair in together])
    pairs = list(mixed(n, share, bad))
    rss, cpu = bench.rss_mb(), bench.cpu_s()
    began = time.monotonic()
    for at, pair in enumerate(pairs):
        bench.send(pair, is_good=at % (share + 1) == share)
    bench.flush()
    while not bench.is_done():
        if time.monotonic() - began > PATIENCE_S:
            raise RuntimeError(f"flood: {n} good events must be applied within {PATIENCE_S:g} s, got {bench.report()}")
        time.sleep(0.02)
    seconds = time.monotonic() - began
    bench.settle()
    return {
        "share": share,
        "good": n,
        "seconds": seconds,
        "good_per_s": n / seconds,
        "records_per_s": n * (share + 1) / seconds,
        "cpu_s": bench.cpu_s() - cpu,
        "rss_before_mb": rss,
        "rss_after_mb": bench.rss_mb(),
    }


def steady(bench: Bench, rate: float, seconds: float, share: int, kinds: Sequence[list[Pair]]) -> dict[str, float]:
    """Send good events at a steady rate with bad ones between them, and measure the delay of the lists."""
    bad = cycle([pair for together in zip(*kinds, strict=True) for pair in together])
    with ListFeed(bench.settings) as feed:
        time.sleep(3.0)  # read what is there from before
        feed.forget_delays()
        rss, received = bench.rss_mb(), feed.received
        began = time.monotonic()
        for n in range(int(rate * seconds)):
            ahead = began + n / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            for pair in islice(bad, share):
                bench.send(pair, is_good=False)
            bench.send(good(next(NUMBERS)))
            bench.poll()
        bench.flush()
        bench.settle()
        time.sleep(0.5)  # the last lists arrive
        p50, p95, p99 = feed.delay_ms(50, 95, 99)
        lists = feed.received - received
    return {
        "share": share,
        "rate": rate,
        "lists": lists,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "rss_before_mb": rss,
        "rss_after_mb": bench.rss_mb(),
    }


async def nothing_applied(_: object) -> int:
    """Return the position of a state that there is none of."""
    return -1


def skip(settings: Settings, n: int, answers: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """Be a Faust worker that takes and acknowledges n records of ``watch-events`` and does nothing else."""
    app = build_app(settings, print, nothing_applied)

    async def consume(stream: Any) -> None:
        taken, began, used = 0, 0.0, 0.0
        async for batch in stream.noack_take(256, within=0.02):
            if not taken:
                began, used = time.monotonic(), time.process_time()
            for event in batch:
                await stream.ack(event)
            taken += len(batch)
            if taken >= n:
                answers.put((time.monotonic() - began, time.process_time() - used))

    app.agent(app.topic(settings.prefix + WATCHES, value_type=bytes, value_serializer="raw"), concurrency=1)(consume)
    app.finalize()
    app.worker_init()
    app.Worker(loglevel="error", redirect_stdouts=False, quiet=True).execute_from_commandline()


def floor_us(settings: Settings, kinds: Sequence[list[Pair]], n: int) -> tuple[float, float]:
    """Return what one record costs a Faust worker that does nothing, microseconds passed and of processor."""
    bare = Settings(settings.kafka, settings.redis, settings.registry, "floor-", PARTITIONS)
    create_topics(bare)
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    bad = cycle([pair for together in zip(*kinds, strict=True) for pair in together])
    for key, value in islice(bad, n):
        producer.produce("floor-" + WATCHES, value, key)
        producer.poll(0)
    producer.flush(PATIENCE_S)
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[tuple[float, float]] = context.Queue()
    child = context.Process(target=skip, args=(bare, n, answers))
    child.start()
    try:
        passed, used = answers.get(timeout=PATIENCE_S)
        return 1e6 * passed / n, 1e6 * used / n
    finally:
        child.kill()
        child.join()


def promote(settings: Settings, catalogue: Catalogue) -> None:
    """Let an untrained network serve."""
    genres = np.eye(2, dtype=np.float32)[np.arange(ITEMS) % 2]
    users = tuple(f"u{n}" for n in range(USERS))
    network = NeuMF(NeuMFConfig(), USERS, genres, generator=torch.Generator().manual_seed(1))
    version = Registry(settings.registry).save(
        network.snapshot(tuple(item.item_id for item in catalogue), users, GENRES),
        parent=None,
        metrics={},
        offsets={},
        created_ms=0,
        seed=0,
        code_revision="benchmark",
    )
    with Redis.from_url(settings.redis) as client:
        client.hset("model:current", mapping={"version": version.version_id, "uri": version.uri, "promoted_at": 1})


def measure(bench: Bench, options: dict[str, Any]) -> dict[str, Any]:
    """Run every case."""
    events, rate, seconds = options["events"], options["rate"], options["seconds"]
    kinds = bad_kinds()
    shares = [0, *(int(share) for share in options["shares"].split(","))]
    flat_out(bench, events, 0, list(kinds.values()))  # warm
    flat_out(bench, events // 4, 1, list(kinds.values()))
    found: dict[str, Any] = {"flat_out": [], "steady": [], "by_cause": []}
    for share in shares:
        found["flat_out"].append(flat_out(bench, events, share, list(kinds.values())))
    for share in shares:
        if seconds:
            found["steady"].append(steady(bench, rate, seconds, share, list(kinds.values())))
    if options["by_cause"]:
        alone = found["flat_out"][0]["cpu_s"] / events
        for cause, pairs in kinds.items():
            row = flat_out(bench, events // 4, 4, [pairs])
            cpu_us = 1e6 * (row["cpu_s"] - events // 4 * alone) / events
            found["by_cause"].append({"cause": cause, "cpu_us": cpu_us, "rss_after_mb": row["rss_after_mb"]})
    found["floor_us"] = floor_us(bench.settings, list(kinds.values()), events)
    found["report"] = bench.report()
    return found


def tell(found: dict[str, Any]) -> None:
    """Print everything for people."""
    alone = found["flat_out"][0]
    for row in found["flat_out"]:
        n_bad = row["share"] * row["good"]
        cost = (
            f", a bad record {1e6 * (row['seconds'] - alone['seconds']) / n_bad:.0f} us"
            f" ({1e6 * (row['cpu_s'] - alone['cpu_s']) / n_bad:.0f} us of processor)"
            if n_bad
            else f" ({1e6 * row['cpu_s'] / row['good']:.0f} us of processor each)"
        )
        click.echo(
            f"flat-out, {row['share']} bad to 1 good: {row['good_per_s']:6.0f} good/s "
            f"({row['good_per_s'] / alone['good_per_s'] - 1:+.0%}), {row['records_per_s']:6.0f} records/s{cost}; "
            f"RSS {row['rss_before_mb']:.0f} -> {row['rss_after_mb']:.0f} MB"
        )
    for row in found["steady"]:
        click.echo(
            f"{row['rate']:.0f} good/s, {row['share']} bad to 1 good: p50 {row['p50_ms']:.0f} ms, "
            f"p95 {row['p95_ms']:.0f} ms, p99 {row['p99_ms']:.0f} ms, {row['lists']} lists; "
            f"RSS {row['rss_before_mb']:.0f} -> {row['rss_after_mb']:.0f} MB"
        )
    for row in found["by_cause"]:
        click.echo(f"{row['cause']:<14} {row['cpu_us']:6.0f} us of processor each; RSS {row['rss_after_mb']:.0f} MB")
    passed, used = found["floor_us"]
    click.echo(f"floor: a record that is only taken and acknowledged {passed:.0f} us ({used:.0f} us of processor)")


@click.command()
@click.option("--events", type=int, default=8000, show_default=True, help="Good events of each flat-out run.")
@click.option("--rate", type=float, default=500.0, show_default=True, help="Good events a second of the steady runs.")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Length of each steady run; 0 for none.")
@click.option("--shares", default="1,5", show_default=True, help="Bad records to each good one.")
@click.option("--by-cause", is_flag=True, help="Also measure each cause alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(*, as_json: bool, **options: Any) -> None:
    """Print how much a flood of bad records slows the good ones."""
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = Settings(addresses.kafka, addresses.redis, str(Path(name) / "models"), partitions=PARTITIONS)
        create_topics(settings)
        catalogue = Catalogue.of([Item(f"i{n}", f"Film {n}", 1990, (GENRES[n % 2],)) for n in range(ITEMS)])
        send_catalogue(settings, catalogue)
        promote(settings, catalogue)
        worker = worker_process(settings, Path(name) / "worker.log", "--log-level", "warning")
        worker.start()
        try:
            await_alive(settings, {"worker": 1}, [worker])
            found = measure(Bench(settings), options)
        finally:
            worker.stop(12.0)
    if as_json:
        click.echo(json.dumps(found))
    else:
        tell(found)


if __name__ == "__main__":
    main()
