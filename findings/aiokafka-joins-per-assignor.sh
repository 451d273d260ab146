#!/usr/bin/env bash
# aiokafka 0.14.0, Apache Kafka 4.3.0. Seen on 2026-11-29.
#
# partition_assignment_strategy takes several assignors, so that a group can go over from one to another: a member names all that
# it knows in its JoinGroup. aiokafka sends a JoinGroup for each of them inside one join, the first with one name, the last
# with all, and each begins a rebalance of its own. One member with two assignors is in a later generation after its first
# join. Two members that start together interrupt one another's joins in this way, and may take long to come to rest.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install aiokafka==0.14.0
start_kafka

observe <<'PY'
import asyncio, logging, os, re
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

class Seen(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())

async def main():
    kafka = os.environ["KAFKA"]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("views", 2, 1)])
    await admin.close()
    log = logging.getLogger("aiokafka.consumer.group_coordinator")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    await joined(kafka, log, "first-of-all", [RangePartitionAssignor])  # the broker makes what it keeps groups in
    for n, assignors in enumerate(([RangePartitionAssignor], [RangePartitionAssignor, RoundRobinPartitionAssignor])):
        generation, sent = await joined(kafka, log, f"shop-{n}", assignors)
        print(f"{len(assignors)} assignors: one join of one member sends {sent} JoinGroups more than a member id needs,",
              f"and ends in generation {generation}")

async def joined(kafka, log, group, assignors):
    seen = Seen()
    log.addHandler(seen)
    consumer = AIOKafkaConsumer("views", bootstrap_servers=kafka, group_id=group, partition_assignment_strategy=assignors)
    await consumer.start()
    await consumer.stop()
    log.removeHandler(seen)
    joins = [re.search(r"generation (\d+)\) with member_id", said) for said in seen.said]
    [generation] = [int(one[1]) for one in joins if one]
    sent = sum(said.startswith("Sending JoinGroup") for said in seen.said)
    return generation, sent - 2  # the first is answered with a member id, as KIP-394 has it

asyncio.run(main())
PY

compare <<'SEEN'
1 assignors: one join of one member sends 0 JoinGroups more than a member id needs, and ends in generation 1
2 assignors: one join of one member sends 1 JoinGroups more than a member id needs, and ends in generation 2
SEEN
