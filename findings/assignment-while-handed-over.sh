#!/usr/bin/env bash
# aiokafka 0.14.0, kafka-python 3.0.12, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-29.
#
# A third consumer joins a group of two, and one of the two takes seconds to let go of its partitions. The other has had
# on_partitions_revoked for all of its own and waits. Meanwhile confluent-kafka's assignment() is empty. aiokafka's and
# kafka-python's name what was taken back, until something else is assigned, though their pages say that it "may be empty"
# ("may be None") while partitions are being reassigned. So who asks "is it mine?" before writing is told yes after having
# handed over, for as long as the slowest member takes.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install aiokafka==0.14.0 kafka-python==3.0.12 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, os, time
import aiokafka, confluent_kafka, kafka
from confluent_kafka.admin import AdminClient, NewTopic

address = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": address})

def make(topic):
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result()

def tell(client, revoked, assignment):
    print(f"{client}: revoked {len(revoked)}, none assigned since; assignment() names {len(set(revoked) & set(assignment))}")

class Notes(aiokafka.ConsumerRebalanceListener, kafka.ConsumerRebalanceListener):
    """Of one consumer: what was revoked and not followed by an assignment."""

    def __init__(self):
        self.revoked = []

    def on_partitions_revoked(self, revoked):
        self.revoked = list(revoked)

    def on_partitions_assigned(self, assigned):
        self.revoked = []

class Slow(Notes):
    is_slow = False

    async def on_partitions_revoked(self, revoked):
        await asyncio.sleep(8 if self.is_slow else 0)

async def with_aiokafka():
    make("a")
    first, second, third = (aiokafka.AIOKafkaConsumer(bootstrap_servers=address, group_id="a", heartbeat_interval_ms=300)
                            for _ in range(3))
    notes, slow = Notes(), Slow()
    for consumer, listener in (first, notes), (second, slow), (third, Notes()):
        await consumer.start()
        if consumer is third:
            while len(first.assignment()) != 2 or len(second.assignment()) != 2:
                await asyncio.sleep(0.1)
            slow.is_slow = True
        consumer.subscribe(["a"], listener=listener)
    while not notes.revoked:
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    tell("aiokafka", notes.revoked, first.assignment())
    for consumer in first, second, third:
        await consumer.stop()

def in_turns(client, subscribed, poll):
    """The same with clients that hand over when they are polled: the second is not, once the third is there."""
    notes = [Notes(), Notes(), Notes()]
    first, second = map(subscribed, notes[:2])
    while len(first.assignment()) != 2 or len(second.assignment()) != 2:
        poll(first)
        poll(second)
    third = subscribed(notes[2])
    since = None
    while since is None or time.monotonic() - since < 2:
        poll(first)
        poll(third)
        since = since or (time.monotonic() if notes[0].revoked else None)
    tell(client, notes[0].revoked, first.assignment())
    for consumer in first, second, third:
        consumer.close()

def kafka_python(notes):
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, group_id="k", heartbeat_interval_ms=300)
    consumer.subscribe(["k"], listener=notes)
    return consumer

def confluent(notes):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "c", "heartbeat.interval.ms": 300})
    consumer.subscribe(["c"], on_assign=lambda _, assigned: notes.on_partitions_assigned(assigned),
                       on_revoke=lambda _, revoked: notes.on_partitions_revoked(revoked))
    return consumer

asyncio.run(with_aiokafka())
make("k")
in_turns("kafka-python", kafka_python, lambda consumer: consumer.poll(100))
make("c")
in_turns("confluent-kafka", confluent, lambda consumer: consumer.poll(0.1))
PY

compare <<'SEEN'
aiokafka: revoked 2, none assigned since; assignment() names 2
kafka-python: revoked 2, none assigned since; assignment() names 2
confluent-kafka: revoked 2, none assigned since; assignment() names 0
SEEN
