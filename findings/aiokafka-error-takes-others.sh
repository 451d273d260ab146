#!/usr/bin/env bash
# aiokafka 0.14.0, confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-29.
#
# A group's consumer reads two partitions by getmany(). One holds a record that it cannot unpack: a removal (no value) for
# value_deserializer=json.loads, or a batch in a codec whose package is not installed. The error is raised, as it should be.
# But what the same call had already taken from the other, sound partition is dropped, while its position stays behind it:
# the next calls go on from there, commit() commits it, and nothing tells of the gap. Which partition a call takes first is
# chance. So 20 to 70 of 100 sound records were given in seven runs, and 100 were committed in each. All are given to who
# notes the positions before each call, and after an error seeks back those that moved; to seek back the other one as well
# drops what was fetched, and nothing was given at all.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install aiokafka==0.14.0 confluent-kafka==2.16.1
start_kafka

observe <<'PY'
import asyncio, json, os, sys
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnsupportedCodecError
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

address = os.environ["KAFKA"]
admin = AdminClient({"bootstrap.servers": address})
plain, packed = (Producer({"bootstrap.servers": address, "compression.type": codec}) for codec in ("none", "zstd"))

async def follow(topic, producer, value, seek_back=False):
    """Put the value into partition 1 and 100 records by tens into partition 0; read after each ten, and commit."""
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    producer.produce(topic, value, partition=1)
    producer.flush()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=topic, enable_auto_commit=False,
                                value_deserializer=json.loads, auto_offset_reset="earliest")
    await consumer.start()
    sound, given, errors = TopicPartition(topic, 0), [], set()
    for number in range(100):
        plain.produce(topic, str(number), partition=0)
        plain.flush()
        for _ in range(6 if number % 10 == 9 else 0):
            stood = {at: await consumer.position(at) for at in consumer.assignment()}
            try:
                given += (await consumer.getmany(timeout_ms=100)).get(sound, [])
            except (TypeError, UnsupportedCodecError) as error:
                errors.add(type(error).__name__)
                for at, offset in stood.items() if seek_back else ():
                    if await consumer.position(at) != offset:
                        consumer.seek(at, offset)
    await consumer.commit()
    print(topic, "given", len(given), file=sys.stderr)
    print(f"{topic}: errors {', '.join(errors) or 'none'}; all 100 were given: {len(given) == 100};",
          "committed", await consumer.committed(sound))
    await consumer.stop()

async def main():
    await follow("sound", plain, "1")
    await follow("removal", plain, None)
    await follow("codec", packed, json.dumps("dear " * 50))
    await follow("sought-back", plain, None, seek_back=True)

asyncio.run(main())
PY

compare <<'SEEN'
sound: errors none; all 100 were given: True; committed 100
removal: errors TypeError; all 100 were given: False; committed 100
codec: errors UnsupportedCodecError; all 100 were given: False; committed 100
sought-back: errors TypeError; all 100 were given: True; committed 100
SEEN
