#!/usr/bin/env bash
# kafka-python 3.0.12, Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# Once the broker has refused a record, a KafkaProducer with its default settings (idempotent) delivers nothing any more:
# every later record, to whatever topic, fails at once with the error of the refused one, which reads as if the new record
# were dated wrongly or too large. The broker has none of this; it was not even asked. A new producer, or one with
# enable_idempotence=False, goes on. Both kinds of refusal here are ordinary: a clock two hours ahead (a broker of 4.x
# refuses more than one hour), and a record above the topic's max.message.bytes.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install kafka-python==3.0.12
start_kafka

observe <<'PY'
import os, time
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

kafka = os.environ["KAFKA"]
admin = KafkaAdminClient(bootstrap_servers=kafka)
admin.create_topics({"events": {"num_partitions": 1, "replication_factor": 1},
                     "other": {"num_partitions": 1, "replication_factor": 1},
                     "small": {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "1000"}}})

def outcome(producer, topic, **record):
    try:
        producer.send(topic, **record).get(timeout=30)
    except Exception as error:
        return type(error).__name__
    return "stored"

in_two_hours = int((time.time() + 7200) * 1000)
for idempotent in (True, False):
    for refused in ({"topic": "events", "value": b"x", "timestamp_ms": in_two_hours},
                    {"topic": "small", "value": b"x" * 5000}):
        producer = KafkaProducer(bootstrap_servers=kafka, enable_idempotence=idempotent)
        print("idempotent:" if idempotent else "not:       ", outcome(producer, "other", value=b"before"), "|",
              outcome(producer, **refused), "| after it:", *(outcome(producer, "other", value=b"after") for _ in range(3)))
        producer.close(timeout=5)
PY

compare <<'SEEN'
idempotent: stored | InvalidTimestampError | after it: InvalidTimestampError InvalidTimestampError InvalidTimestampError
idempotent: stored | MessageSizeTooLargeError | after it: MessageSizeTooLargeError MessageSizeTooLargeError MessageSizeTooLargeError
not:        stored | InvalidTimestampError | after it: stored stored stored
not:        stored | MessageSizeTooLargeError | after it: stored stored stored
SEEN
