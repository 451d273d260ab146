"""Does it stay the same size? A steady stream for an hour, with the memory of every part as slopes.

Usage: ``python -m benchmarks.flow.soak [--minutes 60] [--rate 100] [--users 500] [--workers 1] [--out soak] [--json]``

Starts its own stack, workers and a trainer. First every user gets more events of each kind than Redis remembers of
one (``--fill``), as fast as they are taken: from then on a fixed set of users and items has nothing left to grow.
Then events come at a steady rate, users in turn and items by Zipf's law. Every ten seconds it reads the resident
memory of each process, the memory that Redis says it uses and its number of keys. The first ``--warm-up`` share of
the time is left out; over the rest a line is fitted by least squares to the means of each minute (neighbouring
samples are alike, and would make its standard error too small). Writes ``samples.csv`` and ``slopes.svg``.

Targets: resident memory of a worker and of the trainer grows by at most 1 MB an hour, and the number of keys does
not grow. Exit status 1 where one is missed. In runs of a few minutes slopes have errors of many MB an hour.
"""

import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import orjson
import psutil
import redis
from kafka import KafkaProducer

from commands.parts.children import await_alive, trainer_process, worker_process
from streams.kafka.topics import CATALOG, RATES, WATCHES, create_topics
from streams.redis.heartbeat import find_alive
from streams.settings import Settings
from streams.stack import open_stack
from streams.stack.process import Server, wait_until

SAMPLE_S = 10.0
BURST_S = 0.1  # the stream comes in ten bursts a second
MB = 1024 * 1024
MAX_RSS_MB_PER_H = 1.0
MAX_KEYS_PER_H = 1.0
FILL_WITHIN_S = 1800.0
GENRES = ("Drama", "Comedy", "Thriller", "Western", "Musical")
MS = 1000


@dataclass
class Stream:
    """The same users and items for ever, in an order that a seed decides."""

    settings: Settings
    users: int
    items: int
    seed: int
    sent: int = 0
    producer: KafkaProducer = field(init=False)

    def __post_init__(self) -> None:
        self.producer = KafkaProducer(bootstrap_servers=self.settings.kafka, acks="all", linger_ms=5)
        self._rng = np.random.default_rng(self.seed)
        popularity = 1.0 / np.arange(1, self.items + 1)
        self._shares = np.cumsum(popularity / popularity.sum())

    def send_catalogue(self) -> None:
        """Describe every item."""
        for n in range(self.items):
            body = {"item_id": f"i{n}", "title": f"Film {n}", "year": 1970 + n % 50, "genres": [GENRES[n % 5]]}
            self.producer.send(self.settings.prefix + CATALOG, key=b"i%d" % n, value=orjson.dumps(body))
        self.producer.flush(60)

    def fill(self, each: int) -> None:
        """Send ``each`` events of every user, one user after the other: long runs of a user are answered fast."""
        for user in range(self.users):
            self.send(each, user)
        self.producer.flush(300)

    def send(self, n: int, only: int | None = None) -> None:
        """Send the next ``n`` events, of users in turn or of one; watches and ratings in turn."""
        items = np.searchsorted(self._shares, self._rng.random(n))
        now = time.time_ns() // 1_000_000
        for item in items.tolist():
            user = f"u{self.sent % self.users if only is None else only}"
            rates = (self.sent // self.users if only is None else self.sent) % 2 == 1
            body: dict[str, str | int | float] = {
                "event_id": f"e{self.sent:012}",
                "user_id": user,
                "item_id": f"i{item}",
            }
            body |= {"ts": now, "rating": 0.5 * (1 + self.sent % 10)} if rates else {"ts": now, "progress": 1.0}
            topic = self.settings.prefix + (RATES if rates else WATCHES)
            self.producer.send(topic, key=user.encode(), value=orjson.dumps(body))
            self.sent += 1


@dataclass(frozen=True, slots=True)
class Slope:
    """A fitted line: its slope and standard error per hour, and the mean it goes through."""

    per_h: float
    error: float
    mean: float


def slope(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line to the means of each minute; with fewer than three minutes the error is infinite."""
    minute = (np.asarray(seconds) // 60).astype(int)
    minutes = np.unique(minute)
    x = np.array([np.mean(np.asarray(seconds)[minute == at]) for at in minutes]) / 3600
    y = np.array([np.mean(np.asarray(values)[minute == at]) for at in minutes])
    if len(x) < 3:
        return Slope(0.0, float("inf"), float(y.mean()))
    spread = float(((x - x.mean()) ** 2).sum())
    per_h = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    residuals = y - y.mean() - per_h * (x - x.mean())
    return Slope(per_h, float(np.sqrt((residuals**2).sum() / (len(x) - 2) / spread)), float(y.mean()))


def sample(client: redis.Redis, processes: Mapping[str, Server], sent: int) -> dict[str, float]:
    """Read every size now, in MB and pieces; a process that has ended raises psutil.NoSuchProcess."""
    row: dict[str, float] = {}
    for name, process in processes.items():
        identity = process.identity
        if identity is None:
            raise psutil.NoSuchProcess(0, name, f"{name} has ended; its log: {process.log}")
        row[f"{name}_rss_mb"] = psutil.Process(identity.pid).memory_info().rss / MB
    row["redis_used_mb"] = client.info("memory")["used_memory"] / MB
    row["redis_keys"] = float(client.dbsize())
    reports = list(find_alive(client, "worker").values())
    row["events_behind"] = float(sent - sum(report["events"] for report in reports))
    row["lists_degraded"] = float(sum(report["degraded"] for report in reports))
    for name in ("rounds", "promoted"):
        row[name] = float(sum(report[name] for report in find_alive(client, "trainer").values()))
    return row


def steady(stream: Stream, rate: float, seconds: float, look: Callable[[float], None]) -> None:
    """Send at a rate, and look every ``SAMPLE_S``; whoever cannot keep up shows as events behind."""
    began = time.monotonic()
    first, looked = stream.sent, 0.0
    while (passed := time.monotonic() - began) < seconds:
        stream.send(max(0, int(passed * rate) - (stream.sent - first)))
        if passed - looked >= SAMPLE_S:
            look(passed)
            looked = passed
        time.sleep(BURST_S)


def progress(passed: float, row: Mapping[str, float]) -> None:
    """Print one line on stderr."""
    figures = ", ".join(f"{name} {value:.1f}" for name, value in row.items())
    print(f"{passed / 60:5.1f} min: {figures}", file=sys.stderr, flush=True)


def write_csv(file: Path, samples: Sequence[Mapping[str, float]]) -> None:
    """Write one row for each sample."""
    with file.open("w", newline="", encoding="ascii") as out:
        writer = csv.DictWriter(out, list(samples[0]))
        writer.writeheader()
        writer.writerows({name: round(value, 3) for name, value in row.items()} for row in samples)


def write_svg(file: Path, samples: Sequence[Mapping[str, float]], slopes: Mapping[str, Slope], warm_s: float) -> None:
    """Draw every measured size over time, one strip each, with the end of the warm-up as a line."""
    width, height, left = 900, 110, 20
    seconds = np.array([row["seconds"] for row in samples])
    x = left + (width - 2 * left) * seconds / max(seconds[-1], 1.0)
    warm_x = left + (width - 2 * left) * warm_s / max(seconds[-1], 1.0)
    strips = []
    for n, (name, fitted) in enumerate(slopes.items()):
        values = np.array([row[name] for row in samples])
        low, high = values.min(), max(values.max(), values.min() + 1.0)
        y = n * height + 95 - 65 * (values - low) / (high - low)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        text = f"{name}: {low:.1f} to {values.max():.1f}, slope {fitted.per_h:+.2f} ± {fitted.error:.2f} per hour"
        strips += [
            f'<text x="{left}" y="{n * height + 20}">{text}</text>',
            f'<path d="M{warm_x:.1f} {n * height + 25}v75" stroke="#bbb"/>',
            f'<polyline points="{points}" fill="none" stroke="#1461a8"/>',
        ]
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height * len(slopes)}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(strips)}</svg>\n",
        encoding="utf-8",
    )


def verdicts(slopes: Mapping[str, Slope]) -> dict[str, dict[str, float | bool]]:
    """Return each slope with its target, where it has one, and whether it is met."""
    found: dict[str, dict[str, float | bool]] = {}
    for name, fitted in slopes.items():
        found[name] = {
            "mean": round(fitted.mean, 1),
            "per_h": round(fitted.per_h, 2),
            "standard_error": round(fitted.error, 2),
        }
        if name.endswith("_rss_mb"):
            found[name] |= {"at_most": MAX_RSS_MB_PER_H, "met": fitted.per_h <= MAX_RSS_MB_PER_H}
        elif name == "redis_keys":
            found[name] |= {"at_most": MAX_KEYS_PER_H, "met": fitted.per_h <= MAX_KEYS_PER_H}
    return found


@contextmanager
def installation(folder: Path, workers: int) -> Iterator[tuple[Settings, dict[str, Server]]]:
    """Run a stack with workers and a trainer; whatever ends the block ends them all."""
    with open_stack(folder / "stack") as stack:
        settings = Settings(stack.addresses.kafka, stack.addresses.redis, str(folder / "models"), partitions=4)
        create_topics(settings)
        processes = {
            f"worker_{n}": worker_process(settings, folder / f"worker-{n}.log", "--log-level", "warning")
            for n in range(1, workers + 1)
        }
        processes["trainer"] = trainer_process(settings, folder / "trainer.log")
        try:
            for process in processes.values():
                process.start()
            await_alive(settings, {"worker": workers, "trainer": 1}, list(processes.values()))
            yield settings, processes
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.stop(12.0)


@click.command()
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Of steady stream.")
@click.option("--rate", type=float, default=100.0, show_default=True, help="Events a second.")
@click.option("--users", type=int, default=500, show_default=True)
@click.option("--items", type=int, default=500, show_default=True)
@click.option("--workers", type=int, default=1, show_default=True)
@click.option("--fill", type=int, default=1200, show_default=True, help="Events of each user before the steady ones.")
@click.option("--warm-up", type=click.FloatRange(0, 0.9), default=0.15, show_default=True, help="Share left out.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("soak"), show_default=True, help="Folder.")
@click.option("--json", "as_json", is_flag=True)
def main(
    minutes: float,
    rate: float,
    users: int,
    items: int,
    workers: int,
    fill: int,
    warm_up: float,
    seed: int,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Run a steady stream and print how fast every part grows."""
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name, installation(Path(name), workers) as (settings, processes):
        client = redis.Redis.from_url(settings.redis)
        stream = Stream(settings, users, items, seed)
        stream.send_catalogue()

        def look(passed: float) -> None:
            row = {"seconds": passed} | sample(client, processes, stream.sent)
            if int(passed) // 60 > int(samples[-1]["seconds"] if samples else -60) // 60:
                progress(passed, row)
            samples.append(row)

        stream.fill(fill)
        began = time.monotonic()
        if not wait_until(lambda: sample(client, processes, stream.sent)["events_behind"] <= 0, FILL_WITHIN_S):
            raise click.ClickException(f"soak: {stream.sent} events must be taken within {FILL_WITHIN_S:g} s")
        filled_s = time.monotonic() - began
        print(f"filled: {stream.sent} events in {filled_s:.0f} s", file=sys.stderr, flush=True)
        steady(stream, rate, minutes * 60, look)
        stream.producer.close()
        client.close()
    out.mkdir(parents=True, exist_ok=True)
    warm_s = warm_up * minutes * 60
    kept = [row for row in samples if row["seconds"] >= warm_s]
    sizes = [name for name in samples[0] if name.endswith("_mb") or name == "redis_keys"]
    slopes = {name: slope([row["seconds"] for row in kept], [row[name] for row in kept]) for name in sizes}
    write_csv(out / "samples.csv", samples)
    write_svg(out / "slopes.svg", samples, slopes, warm_s)
    judged = verdicts(slopes)
    report = {
        "minutes": minutes,
        "rate": rate,
        "users": users,
        "filled_events": users * fill,
        "filled_s": round(filled_s),
        "most_behind": max(row["events_behind"] for row in kept),
        "rounds": samples[-1]["rounds"],
        "promoted": samples[-1]["promoted"],
        "lists_degraded": samples[-1]["lists_degraded"],
        "slopes": judged,
    }
    click.echo(json.dumps(report, indent=None if as_json else 2))
    sys.exit(0 if all(found.get("met", True) for found in judged.values()) else 1)


if __name__ == "__main__":
    main()
