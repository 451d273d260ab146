#!/usr/bin/env bash
# faust-streaming 0.15.3 (aiokafka 0.14.0), confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# A topic got 200 transactions of one record each, then nothing. Each record is followed by a control record, so the
# partition ends at 400. Faust handles all 200 within a second, but its committed offset passes only one control record
# with each commit: in ten seconds of silence at broker_commit_interval=1 it went 1, 5, 7, 9, ... 21. So lag does not reach
# 0, nobody can tell such a worker from one that is stuck, and who starts it again gets nearly all records a second time.
# A plain aiokafka consumer that has read the same records commits 400.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install faust-streaming==0.15.3 aiokafka==0.14.0 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, os, sys
import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

kafka = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": kafka})
admin.create_topics([NewTopic("events", 1, 1)])["events"].result()
producer = Producer({"bootstrap.servers": kafka, "transactional.id": "shop"})
producer.init_transactions()
for number in range(200):
    producer.begin_transaction()
    producer.produce("events", str(number))
    producer.commit_transaction()

app = faust.App("counting", broker=f"kafka://{kafka}", store="memory://", topic_disable_leader=True, web_enabled=False,
                consumer_auto_offset_reset="earliest", broker_commit_interval=1.0)
counted = []

@app.agent(app.topic("events", value_serializer="raw"))
async def count(events):
    async for event in events:
        counted.append(event)

async def main():
    partition = TopicPartition("events", 0)
    plain = AIOKafkaConsumer("events", bootstrap_servers=kafka, group_id="plain", auto_offset_reset="earliest",
                             enable_auto_commit=False)
    await plain.start()
    read = 0
    while read < 200 or await plain.position(partition) < 400:
        read += sum(map(len, (await plain.getmany(timeout_ms=200)).values()))
    await plain.commit()
    print("end of the partition:", (await plain.end_offsets([partition]))[partition])
    print("aiokafka: read", read, "committed", await plain.committed(partition))
    await plain.stop()

    watch = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=app.conf.id, enable_auto_commit=False)
    watch.assign([partition])
    await watch.start()
    await app.start()
    while len(counted) < 200:
        await asyncio.sleep(0.1)
    steps = []
    for _ in range(10):
        await asyncio.sleep(1)
        steps.append(await watch.committed(partition) or 0)
    print("Faust offsets:", *steps, file=sys.stderr)
    print("Faust: handled", len(counted), "committed less than 100 ten seconds later:", steps[-1] < 100)
    await app.stop()
    await watch.stop()

    again = AIOKafkaConsumer("events", bootstrap_servers=kafka, group_id=app.conf.id, enable_auto_commit=False)
    await again.start()
    read = 0
    while await again.position(partition) < 400:
        read += sum(map(len, (await again.getmany(timeout_ms=200)).values()))
    print("delivered again:", read, file=sys.stderr)
    print("delivered again after the end of the app, more than 150:", read > 150)
    await again.stop()

asyncio.run(main())
PY

compare <<'SEEN'
end of the partition: 400
aiokafka: read 200 committed 400
Faust: handled 200 committed less than 100 ten seconds later: True
delivered again after the end of the app, more than 150: True
SEEN
