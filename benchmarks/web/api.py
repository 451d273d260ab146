"""How many requests one process of the API answers, and how fast: `python -m benchmarks.web.api`.

Sixteen connections ask one after the other, each for its next answer once it has the last. The floor is a bare ASGI
application on the same server, which returns the same bytes and looks at nothing. A round of every question follows a
round of every other, so that a busy machine slows all of them. The client is this process; on two cores it takes one,
Redis and the API share the other. What an answer costs the serving process in CPU time hardly depends on who else runs.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from redis import Redis

from streams.kafka.topics import create_topics
from streams.settings import Settings
from streams.stack import running_stack
from streams.state.keys import UserKeys

USERS = 5000
CONNECTIONS = 16
BATCH = 100
FLOOR = "--floor"


def stored_list(user: str) -> bytes:
    """Return a list of ten items as a worker stores it: 2.1 kB."""
    items = [
        {
            "item_id": str(100 + rank),
            "rank": rank,
            "score": 0.817808 / rank,
            "source": "neumf",
            "reason": "Because of The Empire Strikes Back",
            "propensity": 1.0,
            "because": {"kind": "history", "item_id": "172", "genres": []},
        }
        for rank in range(1, 11)
    ]
    trigger = {"topic": "watch-events", "partition": 2, "offset": 0, "event_id": "e-1", "timestamp": 1795863630412}
    return orjson.dumps(
        {
            "rec_id": "4784b39a4cbd068b2c3758a2",
            "user_id": user,
            "ts": 1795863630408,
            "mode": "personalized",
            "model_version": "v000002-08a2f8da",
            "k": 10,
            "items": items,
            "trigger": trigger,
            "sequence": 4,
            "event_ts": 1795863630408,
            "published_ts": 1795863630445,
        }
    )


@dataclass(frozen=True, slots=True)
class Served:
    """Where a server listens, and which process it is."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU time that it has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer."""

    def __init__(self, ask: Callable[[], bytes], took: list[float]) -> None:
        self._ask = ask
        self._took = took
        self._came = b""
        self._began = 0.0
        self._stops = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport: Any = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; ask again where it was the last one."""
        self._came += data
        head = self._came.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._came.lower().find(b"content-length: ", 0, head)
        length = int(self._came[at + 16 : self._came.index(b"\r\n", at)])
        if len(self._came) < head + 4 + length:
            return
        assert self._came.startswith(b"HTTP/1.1 200"), self._came[:300]
        self._took.append(time.perf_counter() - self._began)
        self._came = b""
        if self._stops:
            self._transport.close()
            self.ended.set_result(None)
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail where the server hangs up."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server has hung up"))

    def stop(self) -> None:
        """Ask no more."""
        self._stops = True

    def _next(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._ask())


async def round_of(server: Served, ask: Callable[[], bytes], seconds: float) -> tuple[float, float, list[float]]:
    """Ask for some seconds over all connections; return answers a second, CPU time of each, and what each took."""
    took: list[float] = []
    here = asyncio.get_running_loop()
    asking = [
        (await here.create_connection(lambda: Asking(ask, took), "127.0.0.1", server.port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(0.3)  # warm
    took.clear()
    began, before = time.perf_counter(), server.cpu_s()
    await asyncio.sleep(seconds)
    n, spent, cpu_s = len(took), time.perf_counter() - began, server.cpu_s() - before
    for last in asking:
        last.stop()
    await asyncio.wait_for(asyncio.gather(*(last.ended for last in asking)), 60)
    return n / spent, cpu_s / n, took


def get(path: str) -> bytes:
    """Return a request for a path."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()


def post(body: bytes) -> bytes:
    """Return a request that sends events."""
    head = f"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def event(n: int) -> dict[str, object]:
    """Return an event with an id of its own."""
    return {"event_id": f"b-{n}", "user_id": f"u{n % USERS}", "item_id": str(n % 3000), "progress": 0.9}


def questions(seed: int) -> dict[str, Callable[[], bytes]]:
    """Return what is asked, by its name."""
    draw = random.Random(seed)
    users = [get(f"/users/u{n}/recommendations") for n in range(USERS)]
    numbers = iter(range(10**12))

    def batch() -> bytes:
        return post(orjson.dumps([event(next(numbers)) for _ in range(BATCH)]))

    return {
        "floor: the same bytes": lambda: users[0],
        "stored list": lambda: users[draw.randrange(USERS)],
        "events singly": lambda: post(orjson.dumps(event(next(numbers)))),
        f"events by {BATCH}": batch,
    }


@contextmanager
def process(*command: str, environment: dict[str, str], log: Path) -> Iterator[Served]:
    """Run a server and give where it listens; it ends with the block."""
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment}, stdout=out, stderr=out)
    try:
        for _ in range(600):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            if found:
                yield Served(int(found[1]), child.pid)
                return
            assert child.poll() is None, log.read_text()
            time.sleep(0.1)
        raise TimeoutError(log.read_text())
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def serve_floor() -> None:
    """Serve the bytes of one list, whatever is asked."""
    body = stored_list("u0")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, port=0, http="httptools", loop="uvloop", lifespan="off", access_log=False, server_header=False)


def measure(seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Start everything, ask, and return the figures of each question."""
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack") as addresses:
        folder = Path(name)
        settings = Settings(addresses.kafka, addresses.redis, str(folder / "models"), partitions=4)
        create_topics(settings)
        with Redis.from_url(addresses.redis) as client:
            for n in range(USERS):
                client.set(UserKeys.of(f"u{n}").recs, stored_list(f"u{n}"))
        api = ("-m", "reelstream", "api", "--port", "0", "--keys", str(folder / "none.json"))
        with (
            process(*api, environment=settings.environment(), log=folder / "api.log") as served,
            process(__file__, FLOOR, environment={"PYTHONPATH": "."}, log=folder / "floor.log") as floor,
        ):
            return uvloop.run(_rounds(served, floor, seconds, rounds))


async def _rounds(api: Served, floor: Served, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    took: dict[str, list[float]] = {}
    for n in range(rounds):
        for what, ask in questions(n).items():
            rate, cost, spent = await round_of(floor if what.startswith("floor") else api, ask, seconds)
            rates.setdefault(what, []).append(rate)
            costs.setdefault(what, []).append(cost)
            took.setdefault(what, []).extend(spent)
    return {
        what: {
            "per_s": statistics.median(rates[what]),
            "least_per_s": min(rates[what]),
            "most_per_s": max(rates[what]),
            "cpu_us": 1e6 * statistics.median(costs[what]),
            "p50_ms": 1000 * statistics.quantiles(took[what], n=100)[49],
            "p99_ms": 1000 * statistics.quantiles(took[what], n=100)[98],
        }
        for what in rates
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument(FLOOR, action="store_true")
    given = arguments.parse_args()
    if given.floor:
        serve_floor()
        return
    found = measure(given.seconds, given.rounds)
    if given.json:
        print(orjson.dumps(found).decode())
        return
    print(f"{CONNECTIONS} connections, median of {given.rounds} rounds of {given.seconds:g} s")
    for what, one in found.items():
        rate = one["per_s"] * (BATCH if what.startswith("events by") else 1)
        print(
            f"{what:<24} {rate:>9,.0f}/s ({one['least_per_s']:,.0f} to {one['most_per_s']:,.0f} answers/s)"
            f"  p50 {one['p50_ms']:.2f} ms  p99 {one['p99_ms']:.2f} ms  {one['cpu_us']:,.0f} us of CPU"
        )


if __name__ == "__main__":
    main()
