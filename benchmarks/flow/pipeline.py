"""How fast one worker is, whole flow, and how late its lists are at a steady rate.

Usage: ``python benchmarks/flow/pipeline.py ml-100k [--events 40000] [--rate 200] [--seconds 60] [--json]``

Starts its own Kafka and Valkey, trains a model on the first half of the log, and lets one worker serve it while

1. ``--events`` further events wait in the topic and are worked off (throughput), once in the order of the log and
   once with the users shuffled, which is the worst case: nearly every event of a batch is another user's;
2. events arrive at ``--rate`` a second (latency: from the event's Kafka timestamp to the arrival of its list).

The floor beside the throughput is a bare aiokafka consumer that sends one list of the same size for each list
that the worker sent, and does nothing else.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from commands.parts.children import await_alive, worker_process
from model.network.neumf import NeuMFConfig
from model.training.fit import TrainingConfig
from model.training.rounds import train
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.live import ListFeed
from replay.producer import replay, send_catalogue
from replay.schedule import Speed, plan
from streams.kafka.topics import RATES, create_topics
from streams.redis.heartbeat import find_alive
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.stack import running_stack

LIST_BYTES = 1500  # of a list of ten with reasons
WARM = 3000  # events of the beginning of the log that the worker takes before


def main_settings(kafka: str, database: str, folder: Path) -> Settings:
    """Return settings for a stack of our own."""
    return Settings(kafka=kafka, redis=database, registry=str(folder / "models"), partitions=4)


def part(dataset: Dataset, first: int, last: int, *, shuffle: bool = False) -> Dataset:
    """Return a piece of the log, in its order or shuffled."""
    rows = dataset.interactions.iloc[first:last]
    if shuffle:
        rows = rows.sample(frac=1.0, random_state=0)
    return replace(dataset, interactions=rows.reset_index(drop=True))


def promote(settings: Settings, dataset: Dataset) -> None:
    """Train on a piece of the log and let it serve."""
    rows = dataset.interactions
    snapshot, _ = train(
        rows["user_id"].tolist(),
        rows["item_id"].tolist(),
        rows["ts"].to_numpy(),
        (rows["rating"] / 5).to_numpy(dtype=np.float32),
        dataset.catalogue,
        network=NeuMFConfig(),
        training=TrainingConfig(epochs=4, batch=32),
        generator=np.random.default_rng(0),
    )
    version = Registry(settings.registry).save(
        snapshot, parent=None, metrics={}, offsets={}, created_ms=0, seed=0, code_revision="benchmark"
    )
    with redis.Redis.from_url(settings.redis) as client:
        fields = {"version": version.version_id, "uri": version.uri, "promoted_at": int(time.time() * 1000)}
        client.hset("model:current", mapping=fields)


@contextmanager
def served(log: Dataset) -> Iterator[Settings]:
    """Run a Kafka, a Valkey and one worker with a version trained on the first half of a log."""
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = main_settings(addresses.kafka, addresses.redis, Path(name))
        create_topics(settings)
        send_catalogue(settings, log.catalogue)
        promote(settings, part(log, 0, len(log.interactions) // 2))
        worker = worker_process(settings, Path(name) / "worker.log", "--log-level", "warning")
        worker.start()
        try:
            await_alive(settings, {"worker": 1}, [worker])
            worked_off(settings, part(log, 0, WARM))
            yield settings
        finally:
            worker.stop(12.0)


def worker_report(settings: Settings) -> dict[str, Any]:
    """Return what the one worker tells about itself."""
    with redis.Redis.from_url(settings.redis) as client:
        return next(iter(find_alive(client, "worker").values()), {})


def worked_off(settings: Settings, dataset: Dataset) -> dict[str, float]:
    """Send everything, then measure from the worker's first event to the arrival of the last user's list."""
    with ListFeed(settings) as feed:
        before = worker_report(settings)["events"]
        received = feed.received
        schedule = plan(dataset)
        began = time.monotonic()
        sent = replay(settings, schedule)
        while worker_report(settings)["events"] < before + sent.events:
            time.sleep(0.2)
        seconds = time.monotonic() - began
        lists = feed.received - received
    return {"events": sent.events, "seconds": seconds, "events_per_s": sent.events / seconds, "lists": lists}


def delays(settings: Settings, dataset: Dataset, rate: float) -> dict[str, float]:
    """Send at a steady rate and return the percentiles of the lists' delay, milliseconds."""
    with ListFeed(settings) as feed:
        while feed.received == 0:
            time.sleep(0.1)
        time.sleep(3.0)  # read what is there from before
        feed.forget_delays()
        sent = replay(settings, plan(dataset, speed=Speed(rate=rate)))
        time.sleep(1.0)
        p50, p95, p99 = feed.delay_ms(50, 95, 99)
    return {"rate": sent.rate, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


async def floor(settings: Settings, events: int, lists: int) -> float:
    """Return events/s of a bare consumer that sends ``lists`` lists while it reads ``events`` events."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=5)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(RATES, partition) for partition in range(settings.partitions)])
    done, owed, pending = 0, 0.0, []
    began = time.monotonic()
    while done < events:
        for records in (await consumer.getmany(timeout_ms=200, max_records=256)).values():
            done += len(records)
            owed += len(records) * lists / events
            while owed >= 1.0:
                owed -= 1.0
                pending.append(await producer.send("floor", b"x" * LIST_BYTES, key=records[0].key))
        await asyncio.gather(*pending)
        pending.clear()
    seconds = time.monotonic() - began
    await consumer.stop()
    await producer.stop()
    return done / seconds


@click.command()
@click.argument("dataset")
@click.option("--events", type=int, default=20_000, show_default=True, help="Events of each throughput run.")
@click.option("--rate", type=float, default=200.0, show_default=True, help="Events a second of the latency run.")
@click.option("--seconds", type=float, default=40.0, show_default=True, help="Length of the latency run.")
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, events: int, rate: float, seconds: float, *, as_json: bool) -> None:
    """Print throughput and latency of one worker."""
    from kafka import KafkaAdminClient  # noqa: PLC0415 - only for the floor's topic

    log = read_dataset(dataset)
    half = len(log.interactions) // 2
    with served(log) as settings:
        found = {
            "log_order": worked_off(settings, part(log, half, half + events)),
            "shuffled": worked_off(settings, part(log, half + events, half + 2 * events, shuffle=True)),
            "latency": delays(settings, part(log, 0, int(rate * seconds)), rate),
            "degraded": worker_report(settings)["degraded"],
        }
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
        admin.create_topics({"floor": {"num_partitions": 4, "replication_factor": 1}})
        admin.close()
        shuffled = found["shuffled"]
        found["floor_events_per_s"] = asyncio.run(floor(settings, events, shuffled["lists"]))
    if as_json:
        click.echo(json.dumps(found))
        return
    for order in ("log_order", "shuffled"):
        row = found[order]
        click.echo(f"{order:<10} {row['events_per_s']:8.0f} events/s, {row['lists'] / row['seconds']:6.0f} lists/s")
    click.echo(
        f"floor      {found['floor_events_per_s']:8.0f} events/s with the lists of the shuffled run, nothing else done"
    )
    latency = found["latency"]
    click.echo(
        f"at {latency['rate']:.0f}/s   p50 {latency['p50_ms']:.0f} ms, "
        f"p95 {latency['p95_ms']:.0f} ms, p99 {latency['p99_ms']:.0f} ms"
    )
    click.echo(f"degraded lists: {found['degraded']}")


if __name__ == "__main__":
    main()
