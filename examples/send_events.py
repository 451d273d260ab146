"""Send three items, and what ann did with one of them: `python examples/send_events.py`.

The addresses come from the line with `export` that `reelstream up` prints: paste it into this terminal first.
"""

import json
import os
import time
import uuid

from kafka import KafkaProducer

prefix, servers = os.environ.get("REELSTREAM_PREFIX", ""), os.environ["REELSTREAM_KAFKA"]
titles = {"1": "The Glass Lantern", "2": "Paper Boats", "3": "Night Ferry"}


def event(item_id: str, **what: object) -> dict[str, object]:
    """Return an event of ann's, with an id of its own: what a retry sends once more does not count twice."""
    now_ms = time.time_ns() // 1_000_000
    return {"event_id": str(uuid.uuid4()), "user_id": "ann", "item_id": item_id, "ts": now_ms, **what}


items = [("catalog-items", n, {"item_id": n, "title": title, "genres": ["Drama"]}) for n, title in titles.items()]
events = [("watch-events", "ann", event("1", progress=0.9)), ("rate-events", "ann", event("1", rating=5))]
with KafkaProducer(bootstrap_servers=servers, acks="all") as producer:  # all: answered when every copy in step has it
    sent = [producer.send(prefix + topic, json.dumps(v).encode(), key.encode()) for topic, key, v in items + events]
    producer.flush(timeout=30)
    for future in sent:
        print("sent to {0.topic}, partition {0.partition}, offset {0.offset}".format(future.get(timeout=0)))
