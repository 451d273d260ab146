#!/usr/bin/env bash
# aiokafka 0.14.0, kafka-python 3.0.12, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# A consumer has read five records and pauses, as one does that waits for its database. Meanwhile the topic is deleted and
# made anew. What it reads afterwards depends on how much the new topic holds, and no error is raised in any case (some
# log that a commit failed while the topic was gone). Nine records: all three go on at 5, so the first five are never
# delivered, though auto_offset_reset is "earliest". Three records: for aiokafka and confluent-kafka position 5 is out of
# range, and they get all three; kafka-python sees that the topic's id is another ("likely recreated", it logs), takes the
# end of the new topic for the place where the old one was cut off, moves from 5 to 3, and delivers none.
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

def make(topic, prefix, n):
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    producer = confluent_kafka.Producer({"bootstrap.servers": address})
    for number in range(n):
        producer.produce(topic, f"{prefix}{number}")
    producer.flush()

def make_anew(topic, n):
    admin.delete_topics([topic])[topic].result()
    time.sleep(2)  # a name that is just being deleted cannot be taken
    make(topic, "new ", n)

async def with_aiokafka(topic, n):
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest")
    await consumer.start()

    async def read(calls):
        return [record.value.decode() for _ in range(calls)
                for records in (await consumer.getmany(timeout_ms=500)).values() for record in records]

    old = await read(10)
    consumer.pause(*consumer.assignment())
    await asyncio.to_thread(make_anew, topic, n)
    consumer.resume(*consumer.assignment())
    new = await read(12)
    await consumer.stop()
    return old, new

def with_kafka_python(topic, n):
    consumer = kafka.KafkaConsumer(topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest")

    def read(calls):
        return [record.value.decode() for _ in range(calls) for records in consumer.poll(500).values() for record in records]

    old = read(10)
    consumer.pause(*consumer.assignment())
    make_anew(topic, n)
    consumer.resume(*consumer.assignment())
    new = read(12)
    consumer.close()
    return old, new

def with_confluent(topic, n):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])

    def read(calls):
        messages = [message for message in (consumer.poll(0.5) for _ in range(calls)) if message is not None]
        return [message.error().name() if message.error() else message.value().decode() for message in messages]

    old = read(20)
    consumer.pause(consumer.assignment())
    make_anew(topic, n)
    consumer.resume(consumer.assignment())
    new = read(24)
    consumer.close()
    return old, new

clients = {"aiokafka": lambda topic, n: asyncio.run(with_aiokafka(topic, n)), "kafka-python": with_kafka_python,
           "confluent-kafka": with_confluent}
for name, client in clients.items():
    for n in (3, 9):
        topic = f"{name}-{n}"
        make(topic, "old ", 5)
        old, new = client(topic, n)
        print(f"{name}: {len(old)} old ones; of {n} new:", ", ".join(new) or "none")
PY

compare <<'SEEN'
aiokafka: 5 old ones; of 3 new: new 0, new 1, new 2
aiokafka: 5 old ones; of 9 new: new 5, new 6, new 7, new 8
kafka-python: 5 old ones; of 3 new: none
kafka-python: 5 old ones; of 9 new: new 5, new 6, new 7, new 8
confluent-kafka: 5 old ones; of 3 new: new 0, new 1, new 2
confluent-kafka: 5 old ones; of 9 new: new 5, new 6, new 7, new 8
SEEN
