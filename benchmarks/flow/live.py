"""Learning while serving, on a real stack with real processes: how soon, how fresh, how far back, and at what price.

Usage: ``python -m benchmarks.flow.live ml-100k [--rate 200] [--seconds 60] [--json]``

Starts its own Kafka and Valkey, trains a version on the first half of the log, and serves it. Events arrive at
``--rate`` a second all the time. Four questions, each with its target:

1. **First list.** New users send known items one by one while a trainer fine-tunes: from the Kafka timestamp of the
   event that makes a user personalised to the arrival of the first personalised list. Half of the events are theirs.
2. **Sync.** During the same time, with two workers: from ``promoted_at`` of each promotion to the later worker's swap.
3. **Rollback.** ``reelstream model rollback`` as a process: from the moved pointer to the later worker's swap.
4. **Price.** With one worker: delays of lists while a trainer fine-tunes round after round, and while it is stopped in
   the middle of that (SIGSTOP), in turn.

How late a worker swapped is taken from its own log (``model.swapped``): its clock right after the swap minus
``promoted_at``, so nothing is polled. Lists tell the same, but only as often as lists come.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import orjson
import redis
from kafka import KafkaConsumer, TopicPartition

from benchmarks.flow.parts.live_stream import (
    MAX_WAIT_S,
    PERSONALIZE_AT,
    Arrival,
    Arrivals,
    Load,
    crowd,
    delays_within,
    newcomers,
    percentiles,
    traffic,
)
from benchmarks.flow.pipeline import main_settings, part, promote, worked_off
from commands.parts.children import await_alive, trainer_process, worker_process
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.producer import replay, send_catalogue
from replay.schedule import Speed, plan
from streams.kafka.topics import MODEL_VERSIONS, create_topics
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack import running_stack
from streams.stack.process import Server, wait_until

PROMOTIONS = 10  # waited for where a busy machine trains slowly
ROLLBACKS = 5
PERIODS = 8  # of each kind; many short ones, so that whatever else the machine does falls on both
OFTEN = ("--every-events", "300", "--every-s", "0")  # as few new events as the gate decides by
WITHOUT_PAUSE = ("--every-events", "50", "--every-s", "0")  # fewer than arrive during a round; the gate holds most
SWAPPED = re.compile(r"model\.swapped (\S+), (whole|\d+ items changed), (\d+) bytes, (\d+) ms late")
ROUND = re.compile(r"round\.ended")


@dataclass(frozen=True, slots=True)
class Swap:
    """A version that a worker took over."""

    version: str
    is_whole: bool
    size: int
    late_ms: int


def say(what: str) -> None:
    """Tell how far it is."""
    click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)


# What processes tell


def swaps(log: Path, since: int = 0) -> list[Swap]:
    """Return what a worker's log tells after byte ``since``."""
    found = SWAPPED.findall(log.read_bytes()[since:].decode())
    return [Swap(version, how == "whole", int(size), int(late)) for version, how, size, late in found]


def report_of(settings: Settings, role: str) -> list[dict[str, Any]]:
    """Return what the processes of a role tell about themselves."""
    with redis.Redis.from_url(settings.redis) as client:
        return list(find_alive(client, role).values())


def announced(settings: Settings, since_ms: float) -> list[str]:
    """Return the versions announced as promoted from a moment on."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    at = TopicPartition(settings.prefix + MODEL_VERSIONS, 0)
    consumer.assign([at])
    end, values = consumer.end_offsets([at])[at], []
    while consumer.position(at) < end:
        values += [orjson.loads(record.value) for some in consumer.poll(500).values() for record in some]
    consumer.close()
    return [one["version"] for one in values if one["status"] == "promoted" and one["ts"] >= since_ms]


@contextmanager
def fine_tuning(settings: Settings, trainer: Server) -> Iterator[None]:
    """Let a trainer run, and begin once its second round has; events must arrive meanwhile."""
    trainer.start()
    try:
        await_alive(settings, {"trainer": 1}, [trainer])
        running = trainer.identity

        def is_going() -> bool:
            reports = [one for one in report_of(settings, "trainer") if running and one["pid"] == running.pid]
            return any(one["rounds"] >= 2 for one in reports)

        if not wait_until(is_going, MAX_WAIT_S):
            raise SystemExit(f"live: a second round was to begin within {MAX_WAIT_S:g} s, see {trainer.log}")
        yield
    finally:
        trainer.stop(12.0)


# The four questions


def first_lists(arrivals: Iterable[Arrival], users: int) -> dict[str, Any]:
    """Answer the first question from the lists that newcomers got."""
    first: dict[str, Arrival] = {}
    for one in arrivals:
        if one.mode == "personalized" and one.user_id.startswith("new"):
            first.setdefault(one.user_id, one)
    delays = [one.delay_ms for one in first.values()]
    at_the_event = sum(one.sequence == PERSONALIZE_AT for one in first.values())
    found = {"users": users, "personalized": len(first), f"by_their_event_{PERSONALIZE_AT}": at_the_event}
    return {**found, **percentiles(delays, 50, 99, 100)}


def synced(logs: Sequence[Path], since: Sequence[int], promoted: Sequence[str]) -> dict[str, Any]:
    """Answer the second question from the workers' logs, for the versions that were promoted meanwhile."""
    late = [{one.version: one.late_ms for one in swaps(log, at)} for log, at in zip(logs, since, strict=True)]
    both = [max(seen[version] for seen in late) for version in promoted if all(version in seen for seen in late)]
    every = [one for log in logs for one in swaps(log)]
    changes = [one.size for one in every if not one.is_whole]
    return {
        "promotions": len(promoted),
        "served_by_both": len(both),
        "median_ms": median(both) if both else None,
        "max_ms": max(both, default=None),
        "changes_bytes": median(changes) if changes else None,
        "whole_bytes": every[0].size,
    }


def rolled_back(settings: Settings, logs: Sequence[Path]) -> dict[str, Any]:
    """Answer the third question: go back to the parent again and again."""
    late, commands = [], []
    command = [sys.executable, "-m", "reelstream", "model", "rollback", "--json"]
    for _ in range(ROLLBACKS):
        since = [log.stat().st_size for log in logs]
        began = time.monotonic()
        done = subprocess.run(command, env={**os.environ, **settings.environment()}, check=True, capture_output=True)
        commands.append(time.monotonic() - began)
        version = json.loads(done.stdout)["current"]
        late.append(max(awaited(log, at, version).late_ms for log, at in zip(logs, since, strict=True)))
    found = {"rollbacks": ROLLBACKS, "median_ms": median(late), "max_ms": max(late)}
    return {**found, "command_median_s": round(median(commands), 1)}


def awaited(log: Path, since: int, version: str) -> Swap:
    """Wait for a worker to take a version over and return what it says of that."""
    if not wait_until(lambda: any(one.version == version for one in swaps(log, since)), MAX_WAIT_S):
        raise SystemExit(f"live: {version} was to be served within {MAX_WAIT_S:g} s, see {log}")
    return next(one for one in swaps(log, since) if one.version == version)


def beside_training(settings: Settings, feed: Arrivals, trainer: Server, seconds: float) -> dict[str, Any]:
    """Answer the fourth question: periods with the trainer stopped and going, in turn; events must arrive meanwhile."""
    periods: dict[str, list[dict[str, float]]] = {"idle": [], "busy": []}
    with fine_tuning(settings, trainer):
        at = trainer.log.stat().st_size
        for number in range(PERIODS):
            trainer.pause()
            periods["idle"].append(delays_within(feed, seconds))
            trainer.resume()
            periods["busy"].append(delays_within(feed, seconds))
            say(f"period {number + 1}: idle {periods['idle'][-1]}, busy {periods['busy'][-1]}")
        rounds = len(ROUND.findall(trainer.log.read_bytes()[at:].decode()))
    p99 = {kind: median(one["p99_ms"] for one in found) for kind, found in periods.items()}
    p50 = {f"{kind}_p50_ms": median(one["p50_ms"] for one in found) for kind, found in periods.items()}
    found = {"idle_p99_ms": p99["idle"], "busy_p99_ms": p99["busy"], "ratio": round(p99["busy"] / p99["idle"], 2)}
    return {**found, **p50, "rounds": rounds, **periods}


# All of it


def measured(settings: Settings, log: Dataset, folder: Path, load: Load) -> dict[str, Any]:
    """Return the answers to all four; the topics hold the catalogue, and a version serves."""
    workers = [
        worker_process(settings, folder / f"worker-{n}.log", "--personalize-at", str(PERSONALIZE_AT)) for n in range(2)
    ]
    steady = trainer_process(settings, folder / "steady.log", *WITHOUT_PAUSE)
    trainer = trainer_process(settings, folder / "trainer.log", *OFTEN)
    try:
        workers[0].start()
        await_alive(settings, {"worker": 1}, workers[:1])
        worked_off(settings, part(log, 0, 3000))  # warm
        with Arrivals(settings) as feed:
            say("one worker, beside a trainer that is stopped and going in turn")
            with traffic(settings, crowd(log, 0, load.rows), load.rate):
                time.sleep(5.0)  # the feed reads what is there from before
                price = beside_training(settings, feed, steady, load.seconds / PERIODS)
            say("two workers, a trainer, and new users")
            workers[1].start()
            await_alive(settings, {"worker": 2}, workers)
            learning = with_new_users(settings, log, feed, workers, trainer, load)
        say("rollbacks")
        with traffic(settings, crowd(log, 2, load.rows), load.rate):
            back = rolled_back(settings, [worker.log for worker in workers])
        degraded = sum(one["degraded"] for one in report_of(settings, "worker"))
    finally:
        for process in (steady, trainer, *workers):
            process.stop(12.0)
    return {**learning, "rollback": back, "beside_training": price, "degraded": degraded}


def with_new_users(
    settings: Settings, log: Dataset, feed: Arrivals, workers: Sequence[Server], trainer: Server, load: Load
) -> dict[str, Any]:
    """Answer the first two questions: half of the events are of new users, the others keep coming."""
    logs = [worker.log for worker in workers]
    half = len(log.interactions) // 2
    known = sorted(set(log.interactions["item_id"].iloc[:half]))
    with traffic(settings, crowd(log, 1, load.rows), load.rate / 2):
        if not wait_until(lambda: all(one["lists"] > 0 for one in report_of(settings, "worker")), MAX_WAIT_S):
            raise SystemExit(f"live: both workers were to send lists within {MAX_WAIT_S:g} s")
        with fine_tuning(settings, trainer):
            since, began = [path.stat().st_size for path in logs], time.time() * 1000
            replay(settings, plan(newcomers(log, known, load.users), speed=Speed(rate=load.rate / 2)))
            wait_until(lambda: len(announced(settings, began)) >= PROMOTIONS, MAX_WAIT_S)
        time.sleep(2.0)
    promoted = announced(settings, began)
    return {"first_list": first_lists(list(feed.all), load.users), "sync": synced(logs, since, promoted)}


def judged(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each figure beside its target."""
    rows = [
        ("first personalised list, p99 ms", found["first_list"]["p99_ms"], 1000.0),
        ("promotion to both workers, max ms", found["sync"]["max_ms"], 1000.0),
        ("rollback to both workers, max ms", found["rollback"]["max_ms"], 5000.0),
        ("p99 of lists, fine-tuning / idle", found["beside_training"]["ratio"], 1.2),
    ]
    return [
        {"figure": name, "value": value, "at_most": most, "met": value is not None and value <= most}
        for name, value, most in rows
    ]


@click.command()
@click.argument("dataset")
@click.option("--rate", type=click.FloatRange(min=1.0), default=200.0, show_default=True, help="Events a second.")
@click.option(
    "--seconds",
    type=float,
    default=60.0,
    show_default=True,
    help="How long new users come, and all periods with training last.",
)
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, rate: float, seconds: float, *, as_json: bool) -> None:
    """Print what learning while serving costs and gives, and which targets are met."""
    log = read_dataset(dataset)
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        settings = main_settings(addresses.kafka, addresses.redis, Path(name))
        create_topics(settings)
        send_catalogue(settings, log.catalogue)
        say("a first version")
        promote(settings, part(log, 0, len(log.interactions) // 2))
        found = measured(settings, log, Path(name), Load(rate, seconds))
    found["targets"] = judged(found)
    if as_json:
        click.echo(json.dumps(found))
        return
    for name in ("first_list", "sync", "rollback", "beside_training"):
        shown = {key: value for key, value in found[name].items() if not isinstance(value, list)}
        click.echo(f"{name:<16}" + ", ".join(f"{key} {value}" for key, value in shown.items()))
    for row in found["targets"]:
        verdict = "met" if row["met"] else "missed"
        click.echo(f"{row['figure']:<36} {row['value']:>8} <= {row['at_most']:<6g} {verdict}")
    click.echo(f"degraded lists: {found['degraded']}")


if __name__ == "__main__":
    main()
