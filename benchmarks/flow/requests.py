"""How long an app waits for a list that it asks for, beside the stream of events.

Usage: ``python -m benchmarks.flow.requests ml-100k [--rate 100] [--events 100] [--seconds 30] [--text | --plain]``

Starts its own Kafka and Valkey, trains a model on the first half of the log, and lets one worker serve it. Events of
the log arrive at ``--events`` a second meanwhile. Requests arrive at ``--rate`` a second, of users of the log: half of
them ask for nothing but a list, the others for genres, years or what is like an item, in turn; with ``--text`` for
something in words instead, one of eight texts; with ``--new-text`` for words that nobody has sent before; and with
``--plain`` all for nothing but a list. The time is from the request's Kafka
timestamp to the arrival of its answer.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click
import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from benchmarks.flow.pipeline import WARM, part, served, worker_report
from replay.datasets.dataset import Dataset
from replay.datasets.readers import read_dataset
from replay.producer import replay
from replay.schedule import Speed, plan
from streams.kafka.clients import blocking_consumer, blocking_producer
from streams.kafka.topics import RECOMMENDATIONS, REQUESTS
from streams.settings import Settings

TEXTS = (
    "something funny for the family",
    "a scary film, not too old",
    "romantic comedies of the nineties",
    "war films without romance",
    "dark thrillers since 1990",
    "a musical for children",
    "westerns from the sixties",
    "space adventures",
)
NEW_WORDS = (
    *("island", "winter", "train", "lawyer", "brothers", "wedding", "desert", "robot", "school", "dog", "journey"),
    *("murder", "piano", "soldier", "mountain", "doctor", "summer", "city", "ghost", "farm", "ocean", "chess"),
)  # three of them make 9,240 texts of each of the eight
WAIT_S = 10.0  # for answers that are still out


class Answers:
    """Reads ``recommendations`` in a thread of its own and notes when each request is answered."""

    def __init__(self, settings: Settings) -> None:
        self._reading: KafkaConsumer = blocking_consumer(settings, "answers", group_id=None)
        partitions = [TopicPartition(RECOMMENDATIONS, at) for at in range(settings.partitions)]
        self._reading.assign(partitions)
        for partition, end in self._reading.end_offsets(partitions).items():
            self._reading.seek(partition, end)
        self.arrived: dict[str, float] = {}
        self.modes: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._reading.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            found = self._reading.poll(timeout_ms=50)
            now = time.time() * 1000
            for records in found.values():
                for record in records:
                    answer = orjson.loads(record.value)
                    asked = answer["trigger"].get("request_id")
                    if asked is not None:
                        self.arrived.setdefault(asked, now)
                        self.modes[answer["mode"]] += 1


def wishes(dataset: Dataset, kind: str, seed: int) -> Iterator[dict[str, Any]]:
    """Give the wishes of one request after another."""
    draw = np.random.default_rng(seed)
    genres = dataset.catalogue.genres()
    items = list(dataset.catalogue.items)
    while True:
        yield {}
        if kind == "plain":
            continue
        if kind == "text":
            yield {"query": str(draw.choice(TEXTS))}
            continue
        if kind == "new-text":
            words = " ".join(draw.choice(NEW_WORDS, 3, replace=False).tolist())
            yield {"query": f"{draw.choice(TEXTS)} {words}"}
            continue
        want, never = draw.choice(genres, 2, replace=False).tolist()
        yield {"genres": {"want": [want], "never": [never]}}
        yield {}
        yield {"years": [1980, None], "k": 20}
        yield {}
        yield {"like": draw.choice(items, 2, replace=False).tolist()}


def asked(settings: Settings, dataset: Dataset, rate: float, seconds: float, kind: str) -> Mapping[str, float]:
    """Send requests at a steady rate, and return when each was written, milliseconds since the epoch."""
    draw = np.random.default_rng(7)
    users = dataset.interactions["user_id"].iloc[:WARM].unique()  # whom the worker knows
    producer = blocking_producer(settings, "asking", linger_ms=0)
    sent = {}
    began = time.monotonic()
    for number, wish in zip(range(int(rate * seconds)), wishes(dataset, kind, 1), strict=False):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        user = str(draw.choice(users))
        request = {"request_id": f"q{number}-{began}", "user_id": user, **wish}
        sent[request["request_id"]] = producer.send(REQUESTS, key=user.encode(), value=orjson.dumps(request))
    found = {name: float(future.get(10).timestamp) for name, future in sent.items()}
    producer.close()
    return found


def measured(settings: Settings, dataset: Dataset, rate: float, events: float, seconds: float, kind: str) -> Any:
    """Return the percentiles of the wait beside a stream of events."""
    answers = Answers(settings)
    half = len(dataset.interactions) // 2
    stream = part(dataset, half, half + int(events * seconds))
    beside = threading.Thread(target=replay, args=(settings, plan(stream, speed=Speed(rate=events))), daemon=True)
    beside.start()
    time.sleep(1.0)
    written = asked(settings, dataset, rate, seconds - 2.0, kind)
    until = time.monotonic() + WAIT_S
    while written.keys() - answers.arrived.keys() and time.monotonic() < until:
        time.sleep(0.1)
    beside.join()
    answers.close()
    waits = [answers.arrived[name] - at for name, at in written.items() if name in answers.arrived]
    p50, p95, p99 = np.percentile(waits, [50, 95, 99])
    return {
        "requests": len(written),
        "unanswered": len(written) - len(waits),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": max(waits),
        "modes": dict(answers.modes),
    }


@click.command()
@click.argument("dataset")
@click.option("--rate", default=100.0, show_default=True, help="Requests a second.")
@click.option("--events", default=100.0, show_default=True, help="Events a second beside them.")
@click.option("--seconds", default=30.0, show_default=True, help="How long.")
@click.option("--text", "kind", flag_value="text", help="Every second request asks in words.")
@click.option("--new-text", "kind", flag_value="new-text", help="The same, each in words of its own.")
@click.option("--plain", "kind", flag_value="plain", help="No request asks for more than a list.")
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, rate: float, events: float, seconds: float, kind: str | None, *, as_json: bool) -> None:
    """Print how long requests wait."""
    log = read_dataset(dataset)
    with served(log) as settings:
        found = measured(settings, log, rate, events, seconds, kind or "wishes")
        found["degraded"] = worker_report(settings)["degraded"]
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(
        f"{found['requests']} requests at {rate:g}/s beside {events:g} events/s: p50 {found['p50_ms']:.0f} ms, "
        f"p95 {found['p95_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms, longest {found['max_ms']:.0f} ms; "
        f"{found['unanswered']} unanswered, lists {found['modes']}"
    )


if __name__ == "__main__":
    main()
