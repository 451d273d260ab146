"""Print every list as it is published, until Ctrl-C: `python examples/confluent-kafka/read_lists.py`.

It needs `pip install confluent-kafka`. The addresses come from the line with `export` that `reelstream up` prints.
"""

import json
import os

from confluent_kafka import Consumer, KafkaException

prefix, servers = os.environ.get("REELSTREAM_PREFIX", ""), os.environ["REELSTREAM_KAFKA"]
consumer = Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": f"{prefix}read-lists-confluent",  # a second start goes on behind what the first one committed
        "auto.offset.reset": "earliest",  # where nothing is committed: from the oldest list that is kept
        "isolation.level": "read_committed",  # nothing of a transaction that was aborted
        "enable.auto.commit": False,
    }
)
consumer.subscribe([f"{prefix}recommendations"])
try:
    while True:
        record = consumer.poll(1.0)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        made = json.loads(record.value())
        items = ", ".join(item["item_id"] for item in made["items"])
        print(f"{made['user_id']} ({made['mode']}): {items}  [rec_id {made['rec_id']}]", flush=True)
        consumer.commit(record)  # after the work, so that a crash repeats a list and loses none
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
