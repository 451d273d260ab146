"""Exactly once, or not: counters in Redis beside what pandas computes from the file.

Usage: ``python -m benchmarks.exactly_once ml-100k [--workers 2] [--kill] [--json]``

Starts its own stack and workers, replays the whole log at full speed with 1 % duplicates and 1 % late events, as
watches and as ratings, and compares every user's and every film's counters. With ``--kill`` a worker is killed with
SIGKILL and started again in the middle. Shares no code with the state: it reads the documented keys.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import pandas as pd
import redis

from commands.parts.children import await_alive, worker_process
from replay.datasets.readers import read_dataset
from replay.producer import replay, send_catalogue
from replay.schedule import Disturbance, Selection, plan
from streams.kafka.topics import create_topics
from streams.settings import Settings
from streams.stack import running_stack
from streams.stack.process import wait_until

PATIENCE_S = 600.0


def expected(rows: pd.DataFrame, by: str) -> dict[str, tuple[int, int, float]]:
    """Return watches, ratings and the sum of stars by user or item: each row is one of both."""
    groups = rows.groupby(by)["rating"].agg(["size", "sum"])
    return {key: (int(size), int(size), float(total)) for key, size, total in groups.itertuples()}


def users_in(client: redis.Redis, user_ids: list[str]) -> dict[str, tuple[int, int, float]]:
    """Read users' counters by the documented names."""
    found = {}
    for user_id in user_ids:
        fields = client.hgetall(f"user:{{{user_id}}}")
        found[user_id] = (
            int(fields.get("watches", 0)),
            int(fields.get("ratings", 0)),
            float(fields.get("rating_sum", 0)),
        )
    return found


def items_in(client: redis.Redis, partitions: int) -> dict[str, tuple[int, int, float]]:
    """Read films' counters and add them over the partitions."""
    sums: dict[str, Counter[str]] = {}
    for name in ("watches", "ratings", "rating_sum"):
        sums[name] = Counter()
        for partition in range(partitions):
            for item_id, n in client.hgetall(f"items:{{p{partition}}}:{name}").items():
                sums[name][item_id] += float(n)
    return {
        item_id: (int(sums["watches"][item_id]), int(sums["ratings"][item_id]), sums["rating_sum"][item_id])
        for item_id in sums["watches"] | sums["ratings"]
    }


@click.command()
@click.argument("dataset")
@click.option("--workers", type=int, default=2, show_default=True)
@click.option("--kill", is_flag=True, help="Kill one worker with SIGKILL and start it again in the middle.")
@click.option("--limit", type=int, help="Only the first rows.")
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, workers: int, limit: int | None, *, kill: bool, as_json: bool) -> None:
    """Replay a log and compare all counters."""
    log = read_dataset(dataset)
    rows = log.interactions.iloc[:limit]
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = Settings(addresses.kafka, addresses.redis, str(Path(name) / "models"), partitions=4)
        create_topics(settings)
        processes = [
            worker_process(settings, Path(name) / f"worker-{n}.log", "--log-level", "warning") for n in range(workers)
        ]
        for process in processes:
            process.start()
        try:
            await_alive(settings, {"worker": workers}, processes)
            send_catalogue(settings, log.catalogue)
            began = time.monotonic()
            sent = replay(
                settings,
                plan(log, selection=Selection("both", limit=limit), disturbance=Disturbance(duplicate=0.01, late=0.01)),
            )
            with redis.Redis.from_url(settings.redis, decode_responses=True) as client:
                if kill:
                    wait_until(
                        lambda: (
                            sum(watches for watches, _, _ in items_in(client, settings.partitions).values())
                            > len(rows) // 3
                        ),
                        60,
                    )
                    processes[0].kill()
                    processes[0].start()
                want = len(rows)
                wait_until(
                    lambda: all(
                        sum(found[at] for found in items_in(client, settings.partitions).values()) >= want
                        for at in (0, 1)
                    ),
                    PATIENCE_S,
                )
                seconds = time.monotonic() - began
                time.sleep(2.0)  # whatever would be applied twice has its chance
                compared = {
                    "users": (expected(rows, "user_id"), users_in(client, sorted(set(rows["user_id"])))),
                    "films": (expected(rows, "item_id"), items_in(client, settings.partitions)),
                }
        finally:
            for process in processes:
                process.stop(12.0)
    report = {
        "deliveries": sent.events,
        "duplicates": sent.duplicates,
        "late": sent.late,
        "seconds": round(seconds, 1),
        "deliveries_per_s": round(sent.events / seconds),
        **{
            what: {"compared": len(right), "different": sum(right.get(key) != got.get(key) for key in right | got)}
            for what, (right, got) in compared.items()
        },
    }
    click.echo(json.dumps(report, indent=None if as_json else 2))
    sys.exit(1 if any(report[what]["different"] for what in compared) else 0)


if __name__ == "__main__":
    main()
