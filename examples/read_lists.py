"""Print every list as it is published, until Ctrl-C: `python examples/read_lists.py`.

The addresses come from the line with `export` that `reelstream up` prints: paste it into this terminal first.
"""

import contextlib
import json
import os

from kafka import KafkaConsumer

prefix, servers = os.environ.get("REELSTREAM_PREFIX", ""), os.environ["REELSTREAM_KAFKA"]
consumer = KafkaConsumer(
    prefix + "recommendations",
    bootstrap_servers=servers,
    group_id=prefix + "read-lists",  # a second start goes on behind what the first one committed
    auto_offset_reset="earliest",  # where nothing is committed: from the oldest list that is kept
    isolation_level="read_committed",  # nothing of a transaction that was aborted
    enable_auto_commit=False,
)
with contextlib.suppress(KeyboardInterrupt), consumer:
    while True:
        for records in consumer.poll(timeout_ms=1000).values():
            for made in (json.loads(record.value) for record in records):
                items = ", ".join(item["item_id"] for item in made["items"])
                print(f"{made['user_id']} ({made['mode']}): {items}  [rec_id {made['rec_id']}]", flush=True)
        consumer.commit()  # after the work, so that a crash repeats lists and loses none
