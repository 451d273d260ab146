#!/usr/bin/env bash
# aiokafka 0.14.0, kafka-python 3.0.12, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# A partition has three records, then one of a transaction that is still open, then three more. A consumer at
# "read_committed" gets three records and stands at 3. Whether it has read to the end depends on which end it asks for,
# and none of the three libraries says so in that method's documentation: end_offsets() is 3, the last stable offset;
# highwater() is 7, so "while position < highwater" runs until somebody ends the transaction. confluent-kafka answers
# both from one method: get_watermark_offsets() is 3, the same with cached=True is 7.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install aiokafka==0.14.0 kafka-python==3.0.12 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, os
import aiokafka, confluent_kafka, kafka
from confluent_kafka.admin import AdminClient, NewTopic

address = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": address})
admin.create_topics([NewTopic("events", 1, 1)])["events"].result()
plain = confluent_kafka.Producer({"bootstrap.servers": address})
open_one = confluent_kafka.Producer({"bootstrap.servers": address, "transactional.id": "slow"})
open_one.init_transactions()
open_one.begin_transaction()
for producer in (plain, plain, plain, open_one, plain, plain, plain):
    producer.produce("events", b"x")
    producer.flush()

async def with_aiokafka(level):
    partition = aiokafka.TopicPartition("events", 0)
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=address, isolation_level=level, auto_offset_reset="earliest")
    consumer.assign([partition])
    await consumer.start()
    for _ in range(10):
        await consumer.getmany(timeout_ms=300)
    print("aiokafka        position", await consumer.position(partition),
          "end_offsets", (await consumer.end_offsets([partition]))[partition], "highwater", consumer.highwater(partition))
    await consumer.stop()

def with_kafka_python(level):
    partition = kafka.TopicPartition("events", 0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, isolation_level=level, auto_offset_reset="earliest")
    consumer.assign([partition])
    for _ in range(10):
        consumer.poll(300)
    print("kafka-python    position", consumer.position(partition),
          "end_offsets", consumer.end_offsets([partition])[partition], "highwater", consumer.highwater(partition))
    consumer.close()

def with_confluent(level):
    partition = confluent_kafka.TopicPartition("events", 0, 0)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "g", "isolation.level": level})
    consumer.assign([partition])
    for _ in range(20):
        consumer.poll(0.3)
    print("confluent-kafka position", consumer.position([partition])[0].offset,
          "get_watermark_offsets", consumer.get_watermark_offsets(partition)[1],
          "the same cached", consumer.get_watermark_offsets(partition, cached=True)[1])
    consumer.close()

for level in ("read_uncommitted", "read_committed"):
    print(level)
    asyncio.run(with_aiokafka(level))
    with_kafka_python(level)
    with_confluent(level)
open_one.abort_transaction()
PY

compare <<'SEEN'
read_uncommitted
aiokafka        position 7 end_offsets 7 highwater 7
kafka-python    position 7 end_offsets 7 highwater 7
confluent-kafka position 7 get_watermark_offsets 7 the same cached 7
read_committed
aiokafka        position 3 end_offsets 3 highwater 7
kafka-python    position 3 end_offsets 3 highwater 7
confluent-kafka position 3 get_watermark_offsets 3 the same cached 7
SEEN
