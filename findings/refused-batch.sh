#!/usr/bin/env bash
# aiokafka 0.14.0, kafka-python 3.0.12, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# Five records are sent together, and the third is dated two hours ahead, which a broker of 4.x refuses. None of the five is
# stored. With aiokafka and confluent-kafka all five fail with the same error about their timestamp, so nobody learns which
# record it was and the four honest ones look as bad as the one. kafka-python tells them apart, though by a plain
# KafkaError. (It is used without idempotence here; with it, it delivers nothing after this: kafka-python-after-a-refusal.)
# A record without a key for a compacted topic has an error code of its own since Kafka 2.4, INVALID_RECORD (87): aiokafka
# does not know it and says UnknownError.
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
for topic, policy in (("events", "delete"), ("titles", "compact")):
    admin.create_topics([NewTopic(topic, 1, 1, config={"cleanup.policy": policy})])[topic].result()
now = int(time.time() * 1000)
batch = [("events", now), ("events", now), ("events", now + 7_200_000), ("events", now), ("events", now)]
keyless = [("titles", now)]

async def with_aiokafka(records):
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address, linger_ms=500)
    await producer.start()
    sent = [await producer.send(topic, b"x", timestamp_ms=stamp) for topic, stamp in records]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    await producer.stop()
    return [type(outcome).__name__ for outcome in outcomes]

def with_kafka_python(records):
    producer = kafka.KafkaProducer(bootstrap_servers=address, linger_ms=500, enable_idempotence=False)
    sent = [producer.send(topic, b"x", timestamp_ms=stamp) for topic, stamp in records]
    outcomes = []
    for future in sent:
        try:
            outcomes.append(type(future.get(timeout=30)).__name__)
        except Exception as error:
            outcomes.append(type(error).__name__)
    producer.close(timeout=5)
    return outcomes

def with_confluent(records):
    outcomes = []
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "linger.ms": 500})
    for topic, stamp in records:
        producer.produce(topic, b"x", timestamp=stamp, on_delivery=lambda error, _: outcomes.append(error and error.name()))
    producer.flush()
    return outcomes

print("aiokafka:       ", *asyncio.run(with_aiokafka(batch)))
print("confluent-kafka:", *with_confluent(batch))
print("kafka-python:   ", *with_kafka_python(batch))
consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "g"})
print("stored:", consumer.get_watermark_offsets(confluent_kafka.TopicPartition("events", 0))[1])
print("without a key:", *asyncio.run(with_aiokafka(keyless)), *with_confluent(keyless), *with_kafka_python(keyless))
PY

compare <<'SEEN'
aiokafka:        InvalidTimestampError InvalidTimestampError InvalidTimestampError InvalidTimestampError InvalidTimestampError
confluent-kafka: INVALID_TIMESTAMP INVALID_TIMESTAMP INVALID_TIMESTAMP INVALID_TIMESTAMP INVALID_TIMESTAMP
kafka-python:    KafkaError KafkaError InvalidTimestampError KafkaError KafkaError
stored: 0
without a key: UnknownError INVALID_RECORD InvalidRecordError
SEEN
