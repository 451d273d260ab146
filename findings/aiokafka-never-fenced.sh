#!/usr/bin/env bash
# aiokafka 0.14.0, kafka-python 3.0.12, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# Two consumers of one group start with the same group.instance.id, as after a hasty restart. With kafka-python and
# confluent-kafka the first is told that it is fenced, and the second goes on alone. aiokafka sends the instance id when it
# joins, but not with heartbeats and commits, and it does not know the broker's error 82 (FENCED_INSTANCE_ID): neither is
# told. Each takes the partition from the other, and both hold it at the same time, in 20 of 20 seconds. How many records
# go to both is chance: 6, 3 and 1 of 20 in three runs. What is raised in between is CommitFailedError, which advises
# a longer max_poll_interval_ms, and KafkaError or UnknownError without a reason; thousands of lines are logged.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install aiokafka==0.14.0 kafka-python==3.0.12 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, os, sys
import aiokafka, confluent_kafka, kafka
from confluent_kafka.admin import AdminClient, NewTopic

address = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": address})
producer = confluent_kafka.Producer({"bootstrap.servers": address})

def make(topic):
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()

async def with_aiokafka():
    make("a")
    seen, errors = {"first": [], "second": []}, []
    consumers = {}

    async def follow(name):
        consumer = consumers[name] = aiokafka.AIOKafkaConsumer(
            "a", bootstrap_servers=address, group_id="a", group_instance_id="worker-1", auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)
        await consumer.start()
        while True:
            try:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    seen[name] += [record.value for record in records]
                if consumer.assignment():
                    await consumer.commit()
            except Exception as error:
                errors.append(type(error).__name__)

    tasks = [asyncio.create_task(follow("first"))]
    while not consumers or not consumers["first"].assignment():
        await asyncio.sleep(0.1)
    tasks.append(asyncio.create_task(follow("second")))
    both = 0
    for number in range(20):
        producer.produce("a", str(number))
        producer.flush()
        await asyncio.sleep(1)
        both += all(consumer.assignment() for consumer in consumers.values())
    twice = set(seen["first"]) & set(seen["second"])
    print("both held it in", both, "of 20 seconds; delivered to both:", len(twice), "of 20; errors:", set(errors), file=sys.stderr)
    print("aiokafka: any error about fencing", any("Fenc" in error for error in errors), "| both hold the partition at once",
          both > 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for consumer in consumers.values():
        await consumer.stop()

def with_kafka_python():
    make("k")
    first, second = (kafka.KafkaConsumer("k", bootstrap_servers=address, group_id="k", group_instance_id="worker-1",
                                         session_timeout_ms=6000, heartbeat_interval_ms=500) for _ in range(2))
    while not first.assignment():
        first.poll(200)
    try:
        for _ in range(150):
            second.poll(200)
            first.poll(200)
        print("kafka-python: the first gets no error")
    except Exception as error:
        print("kafka-python: the first gets", type(error).__name__)

def with_confluent():
    make("c")
    first, second = (confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "c", "heartbeat.interval.ms": 500,
                                               "group.instance.id": "worker-1"}) for _ in range(2))
    first.subscribe(["c"])
    while not first.assignment():
        first.poll(0.2)
    second.subscribe(["c"])
    for _ in range(150):
        second.poll(0.2)
        message = first.poll(0.2)
        if message is not None and message.error():
            print("confluent-kafka: the first gets", message.error().name(), "fenced" in message.error().str())
            return
    print("confluent-kafka: the first gets no error")

asyncio.run(with_aiokafka())
with_kafka_python()
with_confluent()
PY

compare <<'SEEN'
aiokafka: any error about fencing False | both hold the partition at once True
kafka-python: the first gets FencedInstanceIdError
confluent-kafka: the first gets _FATAL True
SEEN
