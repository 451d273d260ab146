#!/usr/bin/env bash
# faust-streaming 0.15.3 (aiokafka 0.14.0), confluent-kafka 2.16.1, Apache Kafka 4.3.0. Seen on 2026-11-29.
#
# Faust's own assignor gives a worker the same partition numbers of all topics that have equally many, so what several topics
# say of one key meets in one process. But an app without tables that sets table_standby_replicas, "the number of standby
# replicas for each table", to 0 instead of 1 gets aiokafka's RoundRobinPartitionAssignor in its place, which deals the
# partitions of all topics in one row. With three workers on three topics of eight partitions nobody then owns any number
# whole; with two workers every number is, so a test may not show it. The setting PartitionAssignor is passed over in
# silence: app.assignor is of that class, and is never asked.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install faust-streaming==0.15.3 aiokafka==0.14.0 confluent-kafka==2.16.1
start_kafka

cat >"$work/shop.py" <<'PY'
import os, pathlib
import faust
from faust.assignor import PartitionAssignor

class Own(PartitionAssignor):
    def assign(self, *arguments):
        pathlib.Path(os.environ["ASKED"]).touch()
        return super().assign(*arguments)

app = faust.App(os.environ["GROUP"], broker=f"kafka://{os.environ['KAFKA']}", store="memory://", topic_disable_leader=True,
                web_enabled=False, topic_allow_declare=False, table_standby_replicas=int(os.environ["STANDBY"]),
                PartitionAssignor=Own, datadir=os.environ["OWNED"] + "-data")

@app.agent(app.topic("views", "orders", "returns", value_serializer="raw"))
async def follow(events):
    async for _ in events:
        pass

@app.timer(0.2)
async def tell():
    owned = sorted(app.consumer.assignment())
    pathlib.Path(os.environ["OWNED"]).write_text("\n".join(f"{at.topic} {at.partition}" for at in owned))

@app.task
async def name_assignor():
    pathlib.Path(os.environ["OWNED"] + "-told").write_text(type(app.assignor).__name__)
PY

observe <<'PY'
import os, pathlib, subprocess, sys, time
from confluent_kafka.admin import AdminClient, NewTopic

work = pathlib.Path(__file__).parent
topics = "views", "orders", "returns"
admin = AdminClient({"bootstrap.servers": os.environ["KAFKA"]})
for made in admin.create_topics([NewTopic(topic, 8, 1) for topic in topics]).values():
    made.result()

def owned(standby, n):
    """Start n workers, wait until they share all partitions, and tell what each of them owns."""
    files = [work / f"owned-{standby}-{n}-{worker}" for worker in range(n)]
    asked = work / f"asked-{standby}-{n}"
    command = [sys.executable, "-m", "faust", "-A", "shop", "worker", "--without-web", "--loglevel", "error"]
    workers = []
    try:
        for file in files:
            environment = {**os.environ, "GROUP": f"shop-{standby}-{n}", "STANDBY": str(standby), "OWNED": str(file),
                           "ASKED": str(asked)}
            workers.append(subprocess.Popen(command, cwd=work, env=environment, stdout=sys.stderr, stderr=sys.stderr))
        since = None
        shares = []
        for _ in range(600):
            time.sleep(0.2)
            now = [set(file.read_text().splitlines()) if file.exists() else set() for file in files]
            whole = all(now) and sum(map(len, now)) == len(set().union(*now)) == 24
            if now != shares or not whole:
                shares, since = now, time.monotonic()
            elif time.monotonic() - since > 5:
                break
        else:
            sys.exit(f"{n} workers were to share 24 partitions, got {shares}")
        told = {pathlib.Path(f"{file}-told").read_text() for file in files}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    whole = sum(all(f"{topic} {number}" in share for topic in topics) for share in shares for number in range(8))
    print(standby, n, *map(sorted, shares), sep="\n", file=sys.stderr)
    print(f"table_standby_replicas={standby}, {n} workers: numbers owned whole by one: {whole} of 8;",
          f"app.assignor is {', '.join(told)}; it was asked: {asked.exists()}")

owned(1, 3)
owned(0, 3)
owned(0, 2)
PY

compare <<'SEEN'
table_standby_replicas=1, 3 workers: numbers owned whole by one: 8 of 8; app.assignor is Own; it was asked: True
table_standby_replicas=0, 3 workers: numbers owned whole by one: 0 of 8; app.assignor is Own; it was asked: False
table_standby_replicas=0, 2 workers: numbers owned whole by one: 8 of 8; app.assignor is Own; it was asked: False
SEEN
