"""How much faster a rebuild is than the live flow, and whether it makes the same state.

Usage: ``python -m benchmarks.flow.rebuild ml-100k [--limit ROWS] [--json]``

Starts its own Kafka and Valkey. The log lies in the topics, each row as a watch and as a rating, before one worker
starts, which works it off with lists and all; no producer takes the processor from it. ``reelstream rebuild`` then
makes the state once more beside it (rate one), ``reelstream digest`` compares both, and a second ``rebuild`` switches
under the running worker (the pause). Exits with 1 if the digests differ.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import redis

from commands.parts.children import await_alive, worker_process
from replay.datasets.readers import read_dataset
from replay.producer import replay, send_catalogue
from replay.schedule import Disturbance, Selection, plan
from streams.kafka.topics import create_topics
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack import running_stack

LOOK_S = 0.1


def live_rate(settings: Settings, events: int) -> float:
    """Return events a second of the one worker, from its first report with events to its last."""
    began: tuple[float, int] | None = None
    with redis.Redis.from_url(settings.redis) as client:
        while True:
            done = int(next(iter(find_alive(client, "worker").values()), {}).get("events", 0))
            now = time.monotonic()
            if done and began is None:
                began = now, done
            if began is not None and done >= events:
                return (done - began[1]) / (now - began[0])
            time.sleep(LOOK_S)


def command(settings: Settings, *words: str) -> tuple[dict[str, Any], float, int]:
    """Run a command with --json; return its answer, its seconds, start and all, and its exit status."""
    began = time.monotonic()
    addresses = ("--kafka", settings.kafka, "--redis", settings.redis, "--partitions", str(settings.partitions))
    given = addresses if words[0] == "rebuild" else ()
    ran = subprocess.run(
        [sys.executable, "-m", "reelstream", *words, *given, "--json"], stdout=subprocess.PIPE, check=False
    )
    return json.loads(ran.stdout), time.monotonic() - began, ran.returncode


@click.command()
@click.argument("dataset")
@click.option("--limit", type=int, help="Only the first rows; each is two events.")
@click.option("--partitions", type=int, default=4, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, limit: int | None, partitions: int, *, as_json: bool) -> None:
    """Measure the live flow and a rebuild of the same events, compare their states, and switch."""
    log = read_dataset(dataset)
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = Settings(addresses.kafka, addresses.redis + "/0", str(Path(name) / "models"), partitions=partitions)
        create_topics(settings)
        send_catalogue(settings, log.catalogue)
        sent = replay(
            settings,
            plan(log, selection=Selection("both", limit=limit), disturbance=Disturbance(duplicate=0.01, late=0.01)),
        )
        worker = worker_process(settings, Path(name) / "worker.log", "--log-level", "warning")
        worker.start()
        try:
            await_alive(settings, {"worker": 1}, [worker])
            live = live_rate(settings, sent.events)
            rebuilt, seconds, _ = command(settings, "rebuild", "--no-switch")
            compared, digest_s, status = command(settings, "digest", settings.redis, rebuilt["target"])
            switched, _, _ = command(settings, "rebuild")
        finally:
            worker.stop(12.0)
    found = {
        "events": sent.events,
        "live_events_per_s": round(live),
        "rebuild_events_per_s": round(rebuilt["events_per_s"]),
        "factor": round(rebuilt["events_per_s"] / live, 2),
        "rebuild_command_s": round(seconds, 1),
        "digests_equal": compared["equal"],
        "largest_weight_difference": compared["largest"],
        "digest_command_s": round(digest_s, 1),
        "switch_pause_s": round(switched["pause_s"], 3),
    }
    click.echo(json.dumps(found, indent=None if as_json else 2))
    sys.exit(status)


if __name__ == "__main__":
    main()
