#!/usr/bin/env bash
# faust-streaming 0.15.3 (mode-streaming 0.7.1, aiokafka 0.14.0), Apache Kafka 4.3.0. Seen on 2026-11-28.
#
# A Faust app, without tables, that gets its partitions while Kafka is slow may read nothing ever again. After each rebalance
# a task of its recovery service waits for the committed offsets with broker_request_timeout. A wait that ends by timeout
# and one that ends because the service stops look alike (both say "stopped"), so the task ends, without a line in the log,
# and is never started again: app.start() never returns, later rebalances change nothing, and the consumer stays in its
# group. Here Kafka is paused for 8 s, with a timeout of 6 s; with the default of 90 s a brokers' pause or overload of a
# minute and a half does it.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install faust-streaming==0.15.3 mode-streaming==0.7.1 aiokafka==0.14.0 kafka-python==3.0.12
start_kafka
export KAFKA_PID=${servers[-1]}

observe <<'PY'
import asyncio, os, signal
import faust
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

kafka, kafka_pid = os.environ["KAFKA"], int(os.environ["KAFKA_PID"])
KafkaAdminClient(bootstrap_servers=kafka).create_topics([NewTopic("events", 1, 1)])
producer = KafkaProducer(bootstrap_servers=kafka)
producer.send("events", b"bought").get(10)

app = faust.App("counting", broker=f"kafka://{kafka}", store="memory://", topic_disable_leader=True, web_enabled=False,
                consumer_auto_offset_reset="earliest", broker_session_timeout=6, broker_heartbeat_interval=1,
                broker_request_timeout=6)
counted = []
paused = []

@app.agent(app.topic("events", value_serializer="raw"))
async def count(events):
    async for event in events:
        counted.append(event.decode())

@app.on_rebalance_complete.connect(weak=False)
async def pause_once(*_, **__):
    if not paused:
        paused.append(True)
        os.kill(kafka_pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(8, os.kill, kafka_pid, signal.SIGCONT)

async def main():
    starting = asyncio.ensure_future(app.start())
    await asyncio.sleep(60)
    tasks = " ".join(repr(task.get_coro()) + task.get_name() for task in asyncio.all_tasks())
    print("paused:", bool(paused))
    print("start() has returned:", starting.done())
    print("the task that lets streams go on is alive:", "_restart_recovery" in tasks)
    print("partitions held:", len(app.consumer.assignment()))
    print("events seen in a minute:", counted)
    print(end="", flush=True)
    os._exit(0)  # it would wait for the rest

asyncio.run(main())
PY

compare <<'SEEN'
paused: True
start() has returned: False
the task that lets streams go on is alive: False
partitions held: 1
events seen in a minute: []
SEEN
