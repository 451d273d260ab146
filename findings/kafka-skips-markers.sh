#!/usr/bin/env bash
# Apache Kafka 4.4.0 and 4.2.2, confluent-kafka 2.16.1. Seen on 2026-11-30.
#
# A producer writes one record in a transaction to a partition that broker 2 alone holds. Broker 2 is stopped, so the
# partition has no leader; then the producer commits, and broker 1, which coordinates transactions, says that it is
# committed. Broker 2 starts again. With 4.2.2 the marker of the commit is written now, and whoever reads at
# "read_committed" gets the record. With 4.4.0 no marker comes: the last stable offset stays before the record, also
# after the transaction's timeout (10 s here), and no reader at "read_committed" gets past it. To the coordinator the
# transaction is complete, so it will not be aborted either. The same was seen with 4.3.0 and 4.3.1. Known as KAFKA-20734.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install confluent-kafka==2.16.1

# Of each version a node that is controller and broker 1, and broker 2, which the program starts and stops.
for version in 4.4.0 4.2.2; do
    port=$(free_port) controller=$(free_port)
    common=("controller.quorum.voters=1@127.0.0.1:$controller" transaction.abort.timed.out.transaction.cleanup.interval.ms=1000)
    make_node "$version-1" "$version" process.roles=broker,controller node.id=1 "${common[@]}" \
        "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    make_node "$version-2" "$version" process.roles=broker node.id=2 "${common[@]}" \
        "listeners=PLAINTEXT://127.0.0.1:$(free_port)" listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
    "$work/$version-1/run" &
    servers+=($!)
    wait_for_port "$port"
    echo "$version 127.0.0.1:$port $work/$version-2/run" >>"$work/clusters"
done
export CLUSTERS=$work/clusters

observe <<'PY'
import os, subprocess, time
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

def wait_for(what, is_so, within_s=60):
    ends = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends, what
        time.sleep(0.2)

def leader(admin):
    return admin.list_topics("events", timeout=10).topics["events"].partitions[0].leader

def consumer(address, level):
    made = Consumer({"bootstrap.servers": address, "group.id": level, "isolation.level": level, "enable.auto.commit": False})
    made.assign([TopicPartition("events", 0, 0)])
    return made

def end(address, level):
    asked = consumer(address, level)
    found = asked.get_watermark_offsets(TopicPartition("events", 0), timeout=10)[1]
    asked.close()
    return found

def look(version, address, program, brokers):
    admin = AdminClient({"bootstrap.servers": address})
    settings = {"bootstrap.servers": address, "transactional.id": "t", "transaction.timeout.ms": 10_000}
    producer = Producer(settings)
    producer.init_transactions(60)  # while broker 1 is alone, so that it gets the log of transactions
    brokers.append(subprocess.Popen([program]))
    wait_for("broker 2 serves", lambda: 2 in admin.list_topics(timeout=10).brokers)
    admin.create_topics([NewTopic("events", 1, replica_assignment=[[2]])])["events"].result()
    wait_for("broker 2 leads", lambda: leader(admin) == 2)
    producer.begin_transaction()
    producer.produce("events", b"x")
    assert producer.flush(30) == 0
    brokers[-1].terminate()
    brokers[-1].wait(60)
    wait_for("nobody leads", lambda: leader(admin) == -1)
    producer.commit_transaction(30)  # raises unless the coordinator says that it is committed
    brokers.append(subprocess.Popen([program]))
    wait_for("broker 2 leads again", lambda: leader(admin) == 2)
    reader = consumer(address, "read_committed")
    record = reader.poll(30)
    reader.close()
    print(f"{version} committed; read within 30 s:", "nothing" if record is None else record.value(),
          "| last stable offset", end(address, "read_committed"), "| end", end(address, "read_uncommitted"))

brokers = []
try:
    for line in open(os.environ["CLUSTERS"]):
        look(*line.rstrip("\n").split(" ", 2), brokers)
finally:
    for broker in brokers:
        broker.kill()
        broker.wait()
PY

compare <<'SEEN'
4.4.0 committed; read within 30 s: nothing | last stable offset 0 | end 1
4.2.2 committed; read within 30 s: b'x' | last stable offset 2 | end 2
SEEN
