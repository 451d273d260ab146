"""Send a watch and a rating of bea's: `python examples/confluent-kafka/send_events.py`.

It needs `pip install confluent-kafka`. The addresses come from the line with `export` that `reelstream up` prints.
"""

import json
import os
import sys
import time
import uuid

from confluent_kafka import Producer

prefix, servers = os.environ.get("REELSTREAM_PREFIX", ""), os.environ["REELSTREAM_KAFKA"]
lost = []
producer = Producer(
    {
        "bootstrap.servers": servers,
        "acks": "all",  # answered when every copy in step has it
        "partitioner": "murmur2_random",  # as Java's client; librdkafka's own scatters a user's events
    }
)


def told(error: object, message: object) -> None:
    """Look at one answer: what the broker refused is in no other place."""
    if error is not None:
        lost.append(error)
    else:
        print(f"sent to {message.topic()}, partition {message.partition()}, offset {message.offset()}")


for topic, what in (("watch-events", {"progress": 0.9}), ("rate-events", {"rating": 5})):
    event = {"event_id": str(uuid.uuid4()), "user_id": "bea", "item_id": "1", "ts": time.time_ns() // 1_000_000, **what}
    producer.produce(prefix + topic, json.dumps(event), key="bea", on_delivery=told)
if producer.flush(30) or lost:
    sys.exit(f"not all was sent: {lost or 'no answer within 30 s'}")
