"""Transactions that stay open in partitions: committed readers stand before them, and what is behind waits.

Two looks some seconds apart tell one that stays from those that come and go. This module ends none.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import IsolationLevel, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec, ProducerState, TransactionDescription
from kafka.errors import KafkaError

from streams.diagnosis.findings import Finding, Severity
from streams.kafka.topics import DATA_REQUESTS, EVENTS, REQUESTS
from streams.settings import Settings

__all__ = ["FAULT", "FAULTY_LEVELS", "MENDED", "look_at_transactions", "look_at_versions", "newest_level"]

APART_S = 5.0  # most transactions last less
OPEN = {"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"}  # somebody will still end these
FAULTY_LEVELS = range(30, 34)  # of the feature metadata.version: 4.3.0 and 4.3.1 know 30, 4.4.0 knows 33
FAULT = "Kafka 4.3.0 to 4.4.0 leave committed transactions open (KAFKA-20734)"
MENDED = "run 4.2, or a later version in which that is mended"
_MS = 1000.0


@dataclass(frozen=True, slots=True)
class _Holder:
    """The transaction that a partition's committed readers stand before, as far as the cluster tells."""

    last_record_ms: int
    state: str = ""  # of its producer's present transaction; empty where no coordinator names one
    started_ms: int | None = None  # where it is the present one
    timeout_s: float = 0.0
    is_left: bool = False  # whether the present transaction, which is open, is another that does not end this one


def look_at_versions(admin: KafkaAdminClient) -> Iterator[Finding]:
    """Warn of brokers that are known to leave transactions open, where the cluster tells its features."""
    level = newest_level(admin)
    if level in FAULTY_LEVELS:
        yield Finding(
            "kafka transactions",
            "warning",
            f"brokers of metadata.version {level}; {FAULT}, where a partition has no leader for a moment",
            MENDED,
        )


def newest_level(admin: KafkaAdminClient) -> int:
    """Return the newest level of the feature metadata.version that the brokers know; 0 where they tell none."""
    try:
        features = admin.describe_features()
    except KafkaError:
        return 0
    _, newest = features.get("metadata.version", {}).get("supported", (0, 0))
    return int(newest)


def look_at_transactions(
    admin: KafkaAdminClient, there: Mapping[str, Any], settings: Settings, apart_s: float = APART_S
) -> Iterator[Finding]:
    """Look for partitions of events and requests whose committed readers stand before an open transaction.

    Parameters
    ----------
    admin : a connected client.
    there : the topics by name, as the cluster describes them.
    settings : for the names of the topics.
    apart_s : seconds between the two looks; there is a second one only where the first finds something.
    """
    places = [
        TopicPartition(name, one["partition_index"])
        for name in (settings.prefix + topic for topic in (*EVENTS, REQUESTS, DATA_REQUESTS))
        for one in there.get(name, {"partitions": ()})["partitions"]
        if one["leader_id"] >= 0
    ]
    try:
        first = _standing(admin, places)
        holders = _holders(admin, first)
        if first:
            time.sleep(apart_s)
        second = _standing(admin, first)
    except (KafkaError, ValueError) as error:
        yield Finding("open transactions", "ok", f"not told by this cluster, or not to this user: {error}")
        return
    stay = {place: waiting for place, (at, waiting) in second.items() if at == first[place][0]}
    is_faulty = bool(stay) and newest_level(admin) in FAULTY_LEVELS
    for place, waiting in stay.items():
        yield _finding(place, waiting, second[place][0], holders.get(place), apart_s, is_faulty=is_faulty)
    if places and not stay:
        yield Finding("open transactions", "ok", f"committed readers reach the end of {len(places)} partitions")


def _standing(admin: KafkaAdminClient, places: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    """Return where committed readers stand, and how many offsets are behind, of partitions with any behind.

    The end is asked for first: what comes meanwhile must not count.
    """
    latest = dict.fromkeys(places, OffsetSpec.LATEST)
    if not latest:
        return {}
    ends = admin.list_partition_offsets(latest)
    stable = admin.list_partition_offsets(latest, isolation_level=IsolationLevel.READ_COMMITTED)
    return {
        place: (stable[place].offset, ends[place].offset - stable[place].offset)
        for place in latest
        if stable[place].offset < ends[place].offset
    }


def _holders(
    admin: KafkaAdminClient, standing: Mapping[TopicPartition, tuple[int, int]]
) -> dict[TopicPartition, _Holder]:
    """Return what is known of the transactions that are stood before; nothing where this user may not ask."""
    if not standing:
        return {}
    try:
        producers = {
            place: producer
            for place, found in admin.describe_producers(standing).items()
            for producer in found.active_producers
            if producer.current_transaction_start_offset == standing[place][0]
        }
        if not producers:  # none of them is open any more, and no filter would mean all
            return {}
        listed = admin.list_transactions(producer_id_filters=[one.producer_id for one in producers.values()])
        names = [one.transactional_id for of_broker in listed.values() for one in of_broker]
        known = {one.producer_id: one for one in admin.describe_transactions(names).values()}
    except KafkaError:  # brokers before 3.0 do not tell
        return {}
    return {place: _holder(place, producer, known.get(producer.producer_id)) for place, producer in producers.items()}


def _holder(place: TopicPartition, producer: ProducerState, present: TransactionDescription | None) -> _Holder:
    """Judge whose a partition's open transaction is, by the one that its producer is in now.

    A producer goes on after a transaction that it believes ended. What it is in now ends an older one too where it is
    in the same partition, and nobody ends that one elsewhere.
    """
    if present is None:
        return _Holder(producer.last_timestamp)
    state = present.state.value
    return _Holder(
        producer.last_timestamp,
        state,
        present.transaction_start_time_ms if present.producer_epoch == producer.producer_epoch else None,
        present.transaction_timeout_ms / _MS,
        is_left=state in OPEN and place not in present.topic_partitions,
    )


def _finding(
    place: TopicPartition, waiting: int, at: int, holder: _Holder | None, apart_s: float, *, is_faulty: bool
) -> Finding:
    check = f"open transactions {place.topic} {place.partition}"
    found = f"up to {waiting} records wait behind an open transaction at offset {at}, in two looks {apart_s:g} s apart"
    named = f"--topic {place.topic} --partition {place.partition} --start-offset {at}"
    drop = f"end it with `kafka-transactions.sh abort {named}`, which drops its records, so send them again"
    why = FAULT if is_faulty else "nobody will end it"
    if holder is None:
        cure = f"wait for its timeout; if it stays, {why}: look with `kafka-transactions.sh find-hanging`, and {drop}"
        return Finding(check, "warning", found, cure)
    last = f"its last record is of {_time(holder.last_record_ms)}"
    if holder.state in OPEN and not holder.is_left:
        since = last if holder.started_ms is None else f"open since {_time(holder.started_ms)}"
        cure = f"its producer ends it, or its timeout of {holder.timeout_s:g} s; if it stays, {why}: {drop}"
        return Finding(check, "warning", f"{found}; {since} ({holder.state})", cure)
    told = f"its coordinator says {holder.state}" if holder.state else "no coordinator names it, or not to this user"
    told = "its producer is in a transaction without this partition" if holder.is_left else told
    severity: Severity = "error" if holder.state else "warning"
    return Finding(check, severity, f"{found}; {told}, {last}", f"{why}: {drop}{f'; {MENDED}' if is_faulty else ''}")


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / _MS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
