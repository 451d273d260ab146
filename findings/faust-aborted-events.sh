#!/usr/bin/env bash
# faust-streaming 0.15.3 (aiokafka 0.14.0), confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# A Faust agent gets the events of transactions that were aborted. Faust gives its consumer an isolation level of its own,
# "read_uncommitted", and no setting reaches it: only processing_guarantee="exactly_once" makes it "read_committed", and
# that changes how the app produces and commits as well. aiokafka alone, at isolation_level="read_committed", skips them.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install faust-streaming==0.15.3 aiokafka==0.14.0 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, os
import faust
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

kafka = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": kafka})
admin.create_topics([NewTopic("events", 1, 1)])["events"].result()
producer = Producer({"bootstrap.servers": kafka, "transactional.id": "shop"})
producer.init_transactions()
for event, end in (
    ("bought", producer.commit_transaction),
    ("bought by mistake", producer.abort_transaction),
    ("bought again", producer.commit_transaction),
):
    producer.begin_transaction()
    producer.produce("events", event)
    producer.flush()
    end()

app = faust.App("counting", broker=f"kafka://{kafka}", store="memory://", topic_disable_leader=True, web_enabled=False,
                consumer_auto_offset_reset="earliest")
counted = []

@app.agent(app.topic("events", value_serializer="raw"))
async def count(events):
    async for event in events:
        counted.append(event.decode())

async def main():
    consumer = AIOKafkaConsumer("events", bootstrap_servers=kafka, auto_offset_reset="earliest",
                                isolation_level="read_committed")
    await consumer.start()
    print("aiokafka:", [(await consumer.getone()).value.decode() for _ in range(2)])
    await consumer.stop()
    await app.start()
    while "bought again" not in counted:
        await asyncio.sleep(0.1)
    await app.stop()
    print("Faust:   ", counted)

asyncio.run(main())
PY

compare <<'SEEN'
aiokafka: ['bought', 'bought again']
Faust:    ['bought', 'bought by mistake', 'bought again']
SEEN
