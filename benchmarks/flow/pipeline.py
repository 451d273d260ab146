"""How fast one worker is, whole flow, beside what bounds it and what it replaces, and how late its lists are.

Usage: ``python -m benchmarks.flow.pipeline ml-100k [--events 20000] [--rates 100,500] [--old PATH] [--quix PYTHON]
[--plot FILE] [--json] [--quick]``

Starts its own Kafka and Valkey and trains a model on the first half of the log. Then each lane has them to itself, with
topics and a database of its own. Its processes start, work off some events to get warm, and then

1. ``--events`` further events are sent at once and worked off, once in the order of the log and once with the users
   shuffled, which is the worst case: nearly every event is another user's;
2. events arrive at each of the ``--rates`` (delay: from an event's Kafka timestamp to the arrival of its list).

The lanes:

==============  =====================================================================================================
worker          one worker; for it the table also says what each stage takes, and in how much of that it works
two workers     two that share the partitions
ceiling         aiokafka's ``getmany``, the same calls to Redis, the same sends; no Faust, no model
tutorial agent  a Faust agent that awaits each step of each event, with a tenth of the events
quixstreams     the same on quixstreams, likewise; where it can be imported, or by the Python that ``--quix`` names
old worker      the worker of another checkout, with ``--old``; a version of its own is trained for it
==============  =====================================================================================================

Seconds are the broker's: from the first event until the last list is in its log. Processor time is of the lane's own
processes, Kafka and Redis, for 1,000 events; on a machine with other work it is the steadier measure.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.flow.lanes.lane import LANES, Lane, old_lane, promote_old, quix_lane, training
from benchmarks.flow.lanes.pouring import Record, records_of
from commands.parts.children import await_alive, worker_process
from model.network.shape import NeuMFConfig
from model.training.fit import TrainingConfig
from model.training.rounds import train
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.live import ListFeed
from replay.producer import replay, send_catalogue
from replay.schedule import plan
from streams.kafka.topics import create_topics
from streams.redis.connection import connect_to_read
from streams.redis.heartbeat import find_alive
from streams.registry.registry import Registry
from streams.registry.versions import Version
from streams.settings import Settings
from streams.stack import open_stack, running_stack

TRAINER_STARTS_S = 25.0  # it imports torch and reads what was there before
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
    let_serve(settings, trained(settings, dataset))


def trained(settings: Settings, dataset: Dataset) -> Version:
    """Train on a piece of the log and store that."""
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
    return Registry(settings.registry).save(
        snapshot, parent=None, metrics={}, offsets={}, created_ms=0, seed=0, code_revision="benchmark"
    )


def let_serve(settings: Settings, version: Version) -> None:
    """Let a version serve."""
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
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
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
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


def measured(
    dataset: str, lanes: Sequence[Lane], events: int, rates: Sequence[float], seconds: float, *, train: bool
) -> None:
    """Measure all lanes, one after the other, on one Kafka and one Valkey."""
    log = read_dataset(dataset)
    half = len(log.interactions) // 2
    if half < 2 * events:
        raise click.UsageError(f"--events must be at most {half // 2} of this log, got {events}")
    runs = {
        "log order": records_of(part(log, half, half + events)),
        "shuffled": records_of(part(log, half + events, half + 2 * events, shuffle=True)),
    }
    at_rates = {rate: records_of(part(log, WARM, WARM + int(rate * seconds))) for rate in rates}
    warm = records_of(part(log, 0, WARM))
    with tempfile.TemporaryDirectory() as name, open_stack(Path(name) / "stack") as stack:
        own = main_settings(stack.addresses.kafka, stack.addresses.redis, Path(name))
        version = trained(own, part(log, 0, half))
        servers: dict[str, list[int]] = {"kafka": [], "redis": []}
        for server in stack.servers:
            if server.identity is not None:
                servers["kafka" if server.name.startswith("kafka") else "redis"].append(server.identity.pid)
        for number, lane in enumerate(lanes):
            settings = replace(own, prefix=f"lane{number}-", redis=f"{own.redis.rstrip('/')}/{number}")
            create_topics(settings)
            send_catalogue(settings, log.catalogue)
            if lane.path is None:
                let_serve(settings, version)
            else:
                settings = replace(settings, registry=str(Path(name) / "old-models"))
                promote_old(lane.path, settings, dataset, Path(name))
            with lane.running(settings, Path(name), warm) as pids:
                processes = {"lane": pids, **servers}
                lane.measure(settings, runs, processes, at_rates if lane.share == 1.0 else {})
                if train and lane.name == "worker":
                    _measure_beside_training(lane, settings, processes, Path(name), at_rates)
            for run, found in lane.poured.items():
                click.echo(
                    f"{lane.name}, {run}: {found.per_s:.0f}/s, worker {found.cpu_ms('lane'):.0f} ms of CPU", err=True
                )


def _measure_beside_training(
    lane: Lane,
    settings: Settings,
    pids: Mapping[str, Sequence[int]],
    folder: Path,
    at_rates: Mapping[float, Sequence[Record]],
) -> None:
    """Measure the rates once more, while a trainer trains on what arrives."""
    alone = {name: lane.poured[name] for name in lane.poured}
    with training(settings, folder):
        time.sleep(TRAINER_STARTS_S)
        lane.measure(settings, {}, pids, at_rates)
    beside = {f"{name}, training": found for name, found in lane.poured.items() if found is not alone.get(name)}
    lane.poured = {**alone, **beside}


def as_json(lanes: Sequence[Lane]) -> dict[str, Any]:
    """Return everything measured as JSON values."""
    return {
        lane.name: {
            name: {
                "events": found.events,
                "events_per_s": found.per_s,
                "lists": found.lists,
                "degraded": found.degraded,
                "p50_ms": None if np.isnan(found.p50_ms) else found.p50_ms,
                "p99_ms": None if np.isnan(found.p99_ms) else found.p99_ms,
                "cpu_ms_per_1000": {process: found.cpu_ms(process) for process in found.cpu_s},
                "stages_s": {
                    stage: {"took": one.took, "worked": one.worked} for stage, one in lane.stages.get(name, {}).items()
                },
            }
            for name, found in lane.poured.items()
        }
        for lane in lanes
    }


def told(lanes: Sequence[Lane]) -> None:
    """Print the tables."""
    click.echo(
        f"{'':<16}{'':<20}{'events/s':>9}{'lists':>7}{'degr.':>6}{'p50 ms':>8}{'p99 ms':>8}  ms of CPU for 1,000 events"
    )
    for lane in lanes:
        for name, found in lane.poured.items():
            late = "".join(f"{'' if np.isnan(one) else round(one):>8}" for one in (found.p50_ms, found.p99_ms))
            cpu = ", ".join(f"{process} {found.cpu_ms(process):.0f}" for process in found.cpu_s)
            numbers = f"{found.per_s:>9.0f}{found.lists:>7}{found.degraded:>6}{late}"
            click.echo(f"{lane.name:<16}{name:<20}{numbers}  {cpu}")
    for lane in lanes:
        for name in ("log order", "shuffled"):
            stages = lane.stages.get(name)
            if stages:
                click.echo(f"\n{lane.name}, {name}: ms for 1,000 events, of which the event loop worked")
                for stage, one in stages.items():
                    scale = 1e6 / lane.poured[name].events
                    click.echo(f"  {stage:<12}{one.took * scale:>8.1f}{one.worked * scale:>8.1f}")


def draw(lanes: Sequence[Lane], path: Path) -> None:
    """Draw the throughput of all lanes into a file."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - of the extra `eval`

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(("log order", "shuffled")):
        places = [place + 0.4 * number for place in range(len(lanes))]
        axes.barh(places, [lane.poured[name].per_s for lane in lanes], 0.4, label=name)
    axes.set_yticks([place + 0.2 for place in range(len(lanes))], [lane.name for lane in lanes])
    axes.invert_yaxis()
    axes.set_xlabel("events a second")
    axes.legend()
    figure.savefig(path, dpi=120)


@click.command()
@click.argument("dataset")
@click.option("--events", type=int, default=20_000, show_default=True, help="Events of each throughput run.")
@click.option("--rates", default="100,500,1000", show_default=True, help="Events a second of the runs for delays.")
@click.option("--seconds", type=float, default=15.0, show_default=True, help="Length of each of these.")
@click.option("--lanes", "wanted", help="Names of lanes, by commas; by default all.")
@click.option(
    "--old", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Another checkout to compare."
)
@click.option(
    "--quix", help="Python with quixstreams and our dependencies: uv pip install quixstreams in a copy of .venv."
)
@click.option("--train", is_flag=True, help="Measure the worker's delays beside a trainer as well.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw throughput into this file.")
@click.option("--quick", is_flag=True, help="Fewer events, one rate, and only worker, ceiling and tutorial agent.")
@click.option("--json", "json_wanted", is_flag=True)
def main(
    dataset: str,
    *,
    events: int,
    rates: str,
    seconds: float,
    wanted: str | None,
    old: Path | None,
    quix: str | None,
    train: bool,
    plot: Path | None,
    quick: bool,
    json_wanted: bool,
) -> None:
    """Print throughput, delays and processor time of each lane."""
    lanes = [*LANES]
    if (found := quix_lane(quix)) is not None:
        lanes.append(found)
    elif not quick:
        click.echo("quixstreams is left out: see --quix in --help", err=True)
    if old is not None:
        lanes.append(old_lane(old))
    if quick:
        events, rates, seconds = min(events, 8000), "500", 6.0
        wanted = wanted or "worker,ceiling,tutorial agent,old worker"
    if wanted:
        lanes = [lane for lane in lanes if lane.name in wanted.split(",")]
    measured(dataset, lanes, events, [float(one) for one in rates.split(",") if one], seconds, train=train)
    if plot is not None:
        draw(lanes, plot)
    if json_wanted:
        click.echo(json.dumps(as_json(lanes)))
    else:
        told(lanes)


if __name__ == "__main__":
    main()
