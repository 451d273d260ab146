"""Kafka as it is: brokers and their versions, the clock, and each topic against what it should be."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from streams.diagnosis.findings import Finding, clock_finding
from streams.diagnosis.transactions import look_at_transactions, look_at_versions
from streams.kafka.clients import blocking_admin
from streams.kafka.kafka_errors import cluster_required
from streams.kafka.topics import EVENTS, TOPICS, Topic
from streams.settings import Settings

__all__ = ["look_at_cluster"]

OLDEST_KAFKA = (2, 8)  # the first that tells topics that were made anew from those before
CONNECT_MS = 6_000  # as for whatever starts
AHEAD_S = 60.0  # an event may be a little ahead of us; what is more comes of a wrong clock
_MS = 1000.0


def look_at_cluster(settings: Settings) -> Iterator[Finding]:
    """Look at brokers, clock, topics and open transactions.

    Raises
    ------
    TopicError
        If the cluster cannot be reached, or refuses.
    """
    with cluster_required("doctor", settings):
        admin = blocking_admin(settings, "doctor", bootstrap_timeout_ms=CONNECT_MS)
        try:
            yield from _brokers(admin)
            yield from look_at_versions(admin)
            yield from _clock(admin)
            topics = {str(one["name"]): one for one in admin.describe_topics()}
            yield from _topics(admin, topics, settings)
            yield from _events_ahead(admin, topics, settings)
            yield from look_at_transactions(admin, topics, settings)
        finally:
            admin.close()


def _brokers(admin: KafkaAdminClient) -> Iterator[Finding]:
    nodes = [broker["broker_id"] for broker in admin.describe_cluster()["brokers"]]
    versions = sorted({tuple(admin.get_broker_version_data(node).broker_version) for node in nodes})
    told = ", ".join(".".join(map(str, one)) for one in versions)
    yield Finding("kafka brokers", "ok", f"{len(nodes)} reachable, of version {told}")
    if versions and versions[0] < OLDEST_KAFKA:
        yield Finding(
            "kafka version",
            "warning",
            f"{told}, which does not tell topics that were made anew",
            "use brokers of 2.8 or newer, or never make a topic anew under its name",
        )


def _clock(admin: KafkaAdminClient) -> Iterator[Finding]:
    """Compare clocks by what the cluster's controller says of itself; others keep it to themselves."""
    before = time.time()
    try:
        found = admin.describe_metadata_quorum()
    except (KafkaError, ValueError, AttributeError):
        yield Finding("kafka clock", "ok", "not told by this cluster, or not to this user")
        return
    after = time.time()
    times = [
        voter["last_caught_up_timestamp"]
        for topic in found["topics"]
        for partition in topic["partitions"]
        for voter in partition["current_voters"]
        if voter["replica_id"] == partition["leader_id"]
    ]
    for milliseconds in times[:1]:
        yield clock_finding("kafka", milliseconds / _MS, int(before * _MS) / _MS, after)


def _topics(admin: KafkaAdminClient, there: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    missing = [topic.name for topic in TOPICS if settings.prefix + topic.name not in there]
    if missing:
        names = ", ".join(settings.prefix + name for name in missing)
        yield Finding("topics", "error", f"{len(missing)} of {len(TOPICS)} are missing: {names}", _CREATE)
    present = [topic for topic in TOPICS if topic.name not in missing]
    configs = _configurations(admin, [settings.prefix + topic.name for topic in present])
    troubles = 0
    for topic in present:
        name = settings.prefix + topic.name
        for one in (*_shape(topic, there[name], settings), *_keeping(topic, name, configs.get(name, {}))):
            troubles += 1
            yield one
    if not troubles and present:
        yield Finding("topics", "ok", f"{len(present)} as they should be: partitions, copies and what they keep")


_CREATE = "make them with `reelstream topics create`"


def _configurations(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the configuration of each topic, or none where this user may not read it."""
    if not names:
        return {}
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        found = admin.describe_configs(wanted, config_filter="all").get("topic", {})
    except KafkaError:
        return {}
    return {name: {key: str(one["value"]) for key, one in entries.items()} for name, entries in found.items()}


def _shape(topic: Topic, found: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    name, partitions = str(found["name"]), found["partitions"]
    required = topic.partitions(settings)
    if len(partitions) != required:
        yield Finding(
            f"topic {name}",
            "error",
            f"{len(partitions)} partitions, {required} are required",
            "set REELSTREAM_PARTITIONS to what the cluster holds, or choose another REELSTREAM_PREFIX",
        )
    copies = min(len(one["replica_nodes"]) for one in partitions)
    if copies < settings.replication:
        yield Finding(
            f"topic {name}",
            "warning",
            f"{copies} copies of a partition, {settings.replication} are asked for",
            "give it more with kafka-reassign-partitions.sh",
        )
    leaderless = sum(one["leader_id"] < 0 for one in partitions)
    behind = sum(len(one["isr_nodes"]) < len(one["replica_nodes"]) for one in partitions)
    if leaderless:
        yield Finding(f"topic {name}", "error", f"{leaderless} partitions have no leader", "start the brokers again")
    elif behind:
        yield Finding(f"topic {name}", "warning", f"{behind} partitions have copies behind", "look at the brokers' log")


def _keeping(topic: Topic, name: str, found: Mapping[str, str]) -> Iterator[Finding]:
    """Compare clean-up and retention; a topic that keeps longer than it must is well."""
    policy = found.get("cleanup.policy")
    required = topic.configuration()["cleanup.policy"]
    if policy is not None and policy != required:
        yield Finding(
            f"topic {name}",
            "error",
            f"cleanup.policy {policy}, {required} is required",
            f"kafka-configs.sh --alter --topic {name} --add-config cleanup.policy={required}",
        )
    kept = int(found.get("retention.ms", -1))
    if topic.name in EVENTS and policy == "delete" and kept >= 0:
        yield Finding(
            f"topic {name}",
            "warning",
            f"events are deleted after {kept / 86_400_000:g} days; what is older cannot be read again",
            "set retention.ms to -1, or run `reelstream archiver` and rebuild with --from-archive",
        )


def _events_ahead(admin: KafkaAdminClient, there: Mapping[str, Any], settings: Settings) -> Iterable[Finding]:
    """Look for events of the future: a producer's clock is wrong."""
    places = {
        TopicPartition(settings.prefix + name, one["partition_index"]): OffsetSpec.MAX_TIMESTAMP
        for name in EVENTS
        for one in there.get(settings.prefix + name, {"partitions": ()})["partitions"]
        if one["leader_id"] >= 0
    }
    if not places:
        return
    try:
        newest = max(found.timestamp for found in admin.list_partition_offsets(places).values())
    except (KafkaError, ValueError):  # brokers before 3.0 do not tell
        return
    ahead = newest / _MS - time.time()
    if ahead > AHEAD_S:
        yield Finding(
            "event times",
            "warning",
            f"the newest record is {ahead:,.0f} s ahead of this machine",
            "set the clock of its producer, or of this machine",
        )
