"""What it costs a worker to measure itself: processor time of the measuring, as a share of the batches' own time.

Usage: ``python benchmarks/flow/measuring.py ml-100k [--events 20000] [--json]``

One worker works off events that wait, and tells how long its batches took and how many events and lists were in them.
Then batches of that very size are measured here, and nothing else is done, in the same run on the same machine.
"""

import json
import time
from typing import Any

import click
from prometheus_client import generate_latest

from benchmarks.flow.pipeline import part, served, worked_off, worker_report
from replay.datasets.readers import read_dataset
from streams.metrics.endpoint import process_registry
from streams.metrics.worker import STAGES, WorkerMetrics

REPEATS = 5
BATCHES = 500


def measuring_ms(events: int, lists: int) -> float:
    """Return the milliseconds that measuring one batch takes, the least of some repeats."""
    metrics = WorkerMetrics(process_registry("benchmark"))
    made = [("personalized", "personalized")] * lists
    since = [int(time.time() * 1000) - 20] * lists
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(BATCHES):
            for stage in STAGES:
                with metrics.stage(stage):
                    pass
            metrics.note_batch("events", events)
            metrics.note_events("rate-events", "accepted", events)
            metrics.note_lists(made, ())
            metrics.note_delivered("event", since)
        found.append((time.process_time() - began) / BATCHES)
    return 1000 * min(found)


def scrape_ms() -> float:
    """Return the milliseconds of one answer to Prometheus."""
    registry = process_registry("benchmark")
    metrics = WorkerMetrics(registry)
    for mode in ("cold_start", "personalized", "degraded"):
        metrics.note_lists([(mode, "personalized")], ())
    began = time.process_time()
    for _ in range(100):
        generate_latest(registry)
    return 10 * (time.process_time() - began)


@click.command()
@click.argument("dataset")
@click.option("--events", type=int, default=20_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, events: int, *, as_json: bool) -> None:
    """Print what measuring costs."""
    log = read_dataset(dataset)
    half = len(log.interactions) // 2
    with served(log) as settings:
        before = worker_report(settings)
        worked_off(settings, part(log, half, half + events, shuffle=True))
        time.sleep(2.0)
        after = worker_report(settings)
    did: dict[str, Any] = {name: after[name] - before[name] for name in ("events", "lists", "batches", "batch_ms")}
    size, lists = (round(did[name] / did["batches"]) for name in ("events", "lists"))
    batch, measuring = did["batch_ms"] / did["batches"], measuring_ms(size, lists)
    found = {
        "events": size,
        "lists": lists,
        "batch_ms": batch,
        "measuring_ms": measuring,
        "share": measuring / batch,
        "scrape_ms": scrape_ms(),
    }
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"a batch of {size} events and {lists} lists takes {batch:.1f} ms")
    click.echo(f"measuring it takes {measuring:.3f} ms, {100 * measuring / batch:.2f} %")
    click.echo(f"an answer to Prometheus takes {found['scrape_ms']:.1f} ms")


if __name__ == "__main__":
    main()
