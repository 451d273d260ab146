"""What a worker's start takes: time until it is ready, and of a core and of memory until it has settled.

Run: ``python -m benchmarks.flow.starting ml-1m.zip [--starts 3]``. A Kafka and a Valkey of its own, and a version
trained for a little on the log's catalogue. The first worker encodes the titles, if sentences are compared; the later
ones find them. Not run by the test suite.
"""

import json
import tempfile
import time
from functools import partial
from pathlib import Path

import click
import psutil

from benchmarks.flow.lanes.lane import await_idle
from benchmarks.flow.pipeline import let_serve, main_settings, part, trained
from commands.parts.children import worker_process
from replay.datasets.readers import read_dataset
from replay.producer import send_catalogue
from streams.kafka.topics import create_topics
from streams.redis.connection import connect_to_read
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack import running_stack

READY_S = 60.0
TRAINED_ON = 50_000  # events; memory is of items and of the users among these


@click.command()
@click.argument("dataset")
@click.option("--starts", type=int, default=3, show_default=True)
@click.option("--json", "json_wanted", is_flag=True)
def main(dataset: str, *, starts: int, json_wanted: bool) -> None:
    """Print a line for each start."""
    log = read_dataset(dataset)
    half = len(log.interactions) // 2
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = main_settings(addresses.kafka, addresses.redis, Path(name))
        create_topics(settings)
        send_catalogue(settings, log.catalogue)
        let_serve(settings, trained(settings, part(log, half, half + TRAINED_ON)))
        for number in range(1, starts + 1):
            worker = worker_process(settings, Path(name) / "worker.log", "--log-level", "warning")
            began = time.monotonic()
            worker.start()
            try:
                assert worker.identity is not None
                process = psutil.Process(worker.identity.pid)
                worker.await_ready(partial(_lives, settings, process.pid), READY_S)
                ready_s = time.monotonic() - began
                await_idle([process.pid])
                found = {
                    "start": number,
                    "ready_s": round(ready_s, 1),
                    "cpu_s": round(sum(process.cpu_times()[:2]), 1),
                    "resident_mb": round(process.memory_info().rss / 1e6),
                }
            finally:
                worker.stop(12.0)
            click.echo(
                json.dumps(found) if json_wanted else "  ".join(f"{key} {value}" for key, value in found.items())
            )


def _lives(settings: Settings, pid: int) -> bool:
    """Return whether this very process shows signs of life; those of one that has ended stay for seconds."""
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        return any(name.endswith(f":{pid}") for name in find_alive(client, "worker"))


if __name__ == "__main__":
    main()
