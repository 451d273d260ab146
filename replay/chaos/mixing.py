"""Dividing a stream into parcels: plain records, each parcel in a codec, and transactions that end in three ways.

A seed decides which records go together, by whose client, in which codec and to which end, so equal streams give equal
parcels. The records of an aborted transaction come again in a later one. Its ghosts, which are events, a film and
a forgetting made for it alone, never do. A parcel is a value; ``parcel_sender`` and ``transacting`` bring it to Kafka.
"""

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.stream import EVENTS, GENRES, RATES, REQUESTS, WATCHES, StreamRecord, read_key
from streams.settings import Compression

__all__ = ["CATALOG", "CLIENTS", "CODECS", "Mix", "PlainRecords", "Transaction", "count_events", "ghost_film", "mix"]

CATALOG = "catalog-items"
CODECS: tuple[Compression, ...] = ("none", "gzip", "snappy", "lz4", "zstd")
CLIENTS = ("kafka-python", "aiokafka")
MAX_TRANSACTION_RECORDS = 200
MEAN_TRANSACTION_RECORDS = 38  # sizes are drawn evenly on a logarithmic scale from 1 to 200: (200 - 1) / ln 200
ABORTED_SHARE = 0.25  # of the transactions
DESCRIBING_SHARE = 0.05  # of those that commit bring a film of their own: a new film costs every worker its indexes
MAX_CARRIED_RECORDS = 400  # of aborted transactions, until one commits
EVENTS_PER_HANG = 100_000  # each holds its partitions back for seconds
HUNG_USERS = 3  # whose partitions it holds back; the others must not notice


@dataclass(frozen=True, slots=True)
class Mix:
    """How a stream is divided.

    Parameters
    ----------
    events : records on the event topics in all.
    share : of the records that go through transactions, 0 to below 1.
    seed : of everything random.
    now_ms : event time of ghosts, milliseconds.
    """

    events: int
    share: float
    seed: int
    now_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"chaos: the share of transactions must be at least 0 and below 1, got {self.share!r}")

    @property
    def hangs(self) -> int:
        """Transactions that are left open until the cluster ends them."""
        return max(1, self.events // EVENTS_PER_HANG) if self.share else 0


class PlainRecords(NamedTuple):
    """Records that are sent one by one, without a transaction."""

    codec: Compression
    records: tuple[StreamRecord, ...]


class Transaction(NamedTuple):
    """Records that count together or not at all.

    ``ghosts`` are only in transactions that do not commit, and are sent behind the records.
    """

    number: int
    client: str
    codec: Compression
    end: Literal["commit", "abort", "hang"]
    records: tuple[StreamRecord, ...]
    ghosts: tuple[StreamRecord, ...] = ()


def mix(records: Iterable[StreamRecord], config: Mix) -> Iterator[PlainRecords | Transaction]:
    """Give the records in parcels, in the order of sending; every record is among plain ones or in one commit."""
    random_ = random.Random(config.seed)
    hangs_at = [int((n + 0.5) / (config.hangs + 1) * config.events) for n in range(config.hangs)]
    carried: list[StreamRecord] = []
    stream, n_events, n_runs, number = iter(records), 0, 0, 0
    while True:
        mean_run = (
            MEAN_TRANSACTION_RECORDS * (1 - config.share) / config.share if config.share else MAX_TRANSACTION_RECORDS
        )
        run = _take(stream, random_.randint(1, max(1, round(2 * mean_run))))
        if run:
            yield PlainRecords(CODECS[n_runs % len(CODECS)], run)
            n_runs, n_events = n_runs + 1, n_events + count_events(run)
        taken = _take(stream, round(MAX_TRANSACTION_RECORDS ** random_.random())) if config.share else ()
        if not run and not taken and not carried:
            return
        if not taken and not carried:
            continue
        n_events += count_events(taken)
        client, codec = CLIENTS[number % len(CLIENTS)], CODECS[number // len(CLIENTS) % len(CODECS)]
        if hangs_at and taken and n_events >= hangs_at[0]:
            # Its film has no genres: should the cluster take its late commit, events may be read before the film.
            del hangs_at[0]
            ghosts = _ghosts(_film(ghost_film(number), ()), taken[:HUNG_USERS], config.now_ms)
            yield Transaction(number, client, codec, "hang", (), ghosts)
            number += 1
            client, codec = CLIENTS[number % len(CLIENTS)], CODECS[number // len(CLIENTS) % len(CODECS)]
        if taken and len(carried) < MAX_CARRIED_RECORDS and random_.random() < ABORTED_SHARE:
            ghosts = _ghosts(_film(ghost_film(number), (GENRES[number % len(GENRES)],)), taken[-3:], config.now_ms)
            yield Transaction(number, client, codec, "abort", taken, ghosts)
            carried += taken
        else:
            films = (_film(f"late-{number}", (GENRES[0],)),) if random_.random() < DESCRIBING_SHARE else ()
            yield Transaction(number, client, codec, "commit", (*carried, *taken, *films))
            carried = []
        number += 1


def count_events(records: Iterable[StreamRecord]) -> int:
    """Return how many of these records are on the event topics."""
    return sum(record.topic in EVENTS for record in records)


def ghost_film(number: int) -> str:
    """Return the id of the film that only the ghosts of one transaction know."""
    return f"ghost-{number}"


def _take(stream: Iterator[StreamRecord], n: int) -> tuple[StreamRecord, ...]:
    return tuple(itertools.islice(stream, n))


def _ghosts(described: StreamRecord, beside: tuple[StreamRecord, ...], now_ms: int) -> tuple[StreamRecord, ...]:
    """Return a film that exists nowhere else, events and a request about it, and a user of these who is forgotten."""
    film = described.key.decode()
    ghosts = [described]
    for n, record in enumerate(beside):
        event = {"event_id": f"{film}-{n}", "user_id": read_key(record.key), "item_id": film, "ts": now_ms}
        topic = RATES if n == 1 else WATCHES
        ghosts.append(
            StreamRecord(topic, record.key, _json(event | ({"rating": 5.0} if n == 1 else {"progress": 1.0})))
        )
    asked = {"request_id": film, "user_id": read_key(beside[0].key)}
    ghosts.append(StreamRecord(DATA_REQUESTS, beside[0].key, _json(asked | {"ts": now_ms, "action": "forget"})))
    return (*ghosts, StreamRecord(REQUESTS, beside[0].key, _json(asked)))


def _film(item_id: str, genres: tuple[str, ...]) -> StreamRecord:
    fields = {"item_id": item_id, "title": f"Film {item_id}", "year": 2000, "genres": genres}
    return StreamRecord(CATALOG, item_id.encode(), _json(fields))


def _json(fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()
