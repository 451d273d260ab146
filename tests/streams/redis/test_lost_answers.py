"""Answers that get lost: the call was made, the line breaks, and whoever repeats it must not count twice.

A proxy in front of real servers passes each request on, waits for the answer, and now and then cuts the line instead of
passing it back. Which are cut is drawn by a seed; the policies are those of the clients that everything uses.
"""

import asyncio
import random
from contextlib import suppress
from urllib.parse import urlsplit

import orjson
import pytest

from streams.errors import StateAway
from streams.records.records import Origin, Rating, Watch
from streams.redis.connection import connect
from streams.stack.ports import settle_ports
from streams.state.quality import QualityPoint, QualityShelf
from streams.state.store import ModelPointer, State, StoredList

CUTS = 200
PARTITIONS = 8
SHARE = 0.5  # of the answers to what writes
WRITES = (b"FCALL\r\n", b"EVAL\r\n")


class Cutter:
    """Passes bytes on between clients and servers; some answers to what writes are withheld, or cut in two."""

    url: str  # of a database behind it

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.left = 0  # lines still to be cut
        self._servers, self._serving = [], set()

    async def listen(self, port, server_port):
        """Serve in front of a server."""

        async def serve(reader, writer):
            self._serving.add(asyncio.current_task())
            line, ends = {"writes": False}, [writer]
            with suppress(OSError, asyncio.CancelledError):
                answers, requests = await asyncio.open_connection("127.0.0.1", server_port)
                ends.append(requests)
                passing = asyncio.create_task(self._pass_requests(reader, requests, line))
                self._serving.add(passing)
                await self._pass_answers(answers, writer, line)
            for end in ends:
                end.transport.abort()

        self._servers.append(await asyncio.start_server(serve, "127.0.0.1", port))
        return self._servers[-1].sockets[0].getsockname()[1]

    async def close(self):
        """Stop listening and drop what is connected."""
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0.05)  # aborted connections are closed in the next rounds of the loop

    async def _pass_requests(self, reader, writer, line):
        with suppress(OSError):
            while data := await reader.read(1 << 20):
                line["writes"] |= any(word in data for word in WRITES)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def _pass_answers(self, reader, writer, line):
        while data := await reader.read(1 << 20):
            if line["writes"] and self.left and self._random.random() < SHARE:
                self.left -= 1
                writer.write(data[: self._random.randrange(len(data))])
                await writer.drain()
                return
            line["writes"] = False
            writer.write(data)
            await writer.drain()


def stream_of(partition):
    """Return a partition's records: watches and ratings of its users, each tenth a producer's retry."""
    drawn = random.Random(partition)
    records = []
    offsets = {"watch-events": 0, "rate-events": 0}
    for n in range(150):
        if n % 10 == 9:
            topic, event = records[-1][0].topic, records[-1][1]
        else:
            topic = drawn.choice(["watch-events", "rate-events"])
            user, item, ts = f"u{partition}-{drawn.randrange(5)}", f"i{drawn.randrange(20)}", 1000 + n
            kind = f"{partition}-{n}", user, item, ts
            event = Watch(*kind, 1.0) if topic == "watch-events" else Rating(*kind, 4.0)
        records.append((Origin(topic, partition, offsets[topic]), event, ("Drama",)))
        offsets[topic] += 1
    return records


def expected_of(streams):
    """Return watches and ratings of each user and each item: an event id counts once."""
    users, items = {}, {}
    for event in {event.event_id: event for records in streams for _, event, _ in records}.values():
        column = 0 if isinstance(event, Watch) else 1
        for counts, name in ((users, event.user_id), (items, event.item_id)):
            counts.setdefault(name, [0, 0])[column] += 1
    return users, items


async def repeated(call):
    """Make a call until it is answered, as patience does, but at once."""
    while True:
        with suppress(StateAway):
            return await call()
        await asyncio.sleep(0.005)


async def apply_all(url, records, cutter):
    """Apply one partition's records in small batches through a client of its own, and store lists, until all is cut."""
    client = await asyncio.to_thread(connect, url)  # it asks, through the proxy of this loop
    state = State(client)
    await repeated(state.know_servers)
    at = 0
    while at < len(records) or cutter.left:
        batch = records[at : at + 4] or records[-4:]
        at += 4
        applied = await repeated(lambda batch=batch: state.apply(batch))
        lists = [
            StoredList(name, profile.sequence, "personalized", b"{}") for name, profile in applied.profiles.items()
        ]
        await repeated(lambda lists=lists: state.store_lists(lists))
    await client.aclose()


async def counted(client, users):
    """Return watches and ratings of these users, and of all items over the partitions."""
    found = {}
    for user in users:
        found[user] = [int(n or 0) for n in await client.hmget(f"user:{{{user}}}", "watches", "ratings")]
    items = {}
    for partition in range(PARTITIONS):
        for column, name in enumerate(("watches", "ratings")):
            for item, n in (await client.hgetall(f"items:{{p{partition}}}:{name}")).items():
                items.setdefault(item.decode(), [0, 0])[column] += int(n)
    return found, items


async def assert_exact(url, direct_url, cutter):
    """Apply eight partitions at once through the cutter, 200 lines being cut, and compare with what was sent."""
    direct = await asyncio.to_thread(connect, direct_url)
    await State(direct).install()
    streams = [stream_of(partition) for partition in range(PARTITIONS)]
    cutter.left = CUTS
    await asyncio.gather(*(apply_all(url, records, cutter) for records in streams))
    assert cutter.left == 0
    users, items = expected_of(streams)
    assert await counted(direct, users) == (users, items)
    sequences = {user: int(await direct.hget(f"user:{{{user}}}", "list_sequence")) for user in users}
    assert sequences == {user: sum(counts) for user, counts in users.items()}
    await direct.aclose()


@pytest.fixture
async def cutter(redis_url):
    """Return a cutter in front of the session's server, and the address of this test's database through it."""
    made = Cutter(seed=7)
    parts = urlsplit(redis_url)
    made.url = parts._replace(netloc=f"127.0.0.1:{await made.listen(0, parts.port)}").geturl()
    yield made
    await made.close()


async def test_200_lost_answers_of_a_server_change_no_count(cutter, redis_url):
    """Cut at random 200 times, a single server has each user, item and list as if no answer had been lost."""
    await assert_exact(cutter.url, redis_url, cutter)


async def test_200_lost_answers_of_a_cluster_change_no_count(own_cluster, tmp_path):
    """The same on a cluster of three, each server of it behind the proxy."""
    announced = list(settle_ports(tmp_path / "ports.json", ["a", "b", "c"]).values())
    cutter = Cutter(seed=8)
    with own_cluster(announced=announced) as nodes:
        for port, node in zip(announced, nodes, strict=True):
            await cutter.listen(port, node.port)
        url = f"redis://127.0.0.1:{announced[0]}/0"
        await assert_exact(url, url, cutter)
        await cutter.close()


async def test_what_is_written_once_is_written_once(cutter, redis_url):
    """With every second answer lost each point of the series is there once, and each move of the pointer is done."""
    client, direct = await asyncio.to_thread(connect, cutter.url), connect(redis_url)
    state, shelf = State(client), QualityShelf(client)
    await State(direct).install()
    cutter.left = 10
    pointer = None
    for n in range(1, 21):
        point = QualityPoint(n, n, 0.5, 0.5, f"v{n}")
        await repeated(lambda point=point: shelf.add(point))
        after = ModelPointer(f"v{n}", "m", n)
        assert await repeated(lambda before=pointer, after=after: state.move_model(after, before))
        pointer = after
    assert cutter.left == 0
    assert [orjson.loads(point)["tests"] for point in await direct.lrange("quality:series", 0, -1)] == [
        *range(20, 0, -1)
    ]
    assert await State(direct).current_model() == pointer
    for connected in (client, direct):
        await connected.aclose()


async def test_a_repeated_move_does_not_undo_what_somebody_chose_meanwhile(redis_url):
    """Back on the version that was expected, but by another's choice since, the pointer stays where it is."""
    client = connect(redis_url)
    state = State(client)
    await state.install()
    before, after, back = (ModelPointer(name, "m", at) for name, at in (("v1", 1), ("v2", 2), ("v1", 3)))
    await state.move_model(before)
    assert await state.move_model(after, before)  # its answer is lost
    await state.move_model(back)  # somebody rolls back
    assert not await state.move_model(after, before)
    assert await state.current_model() == back
    await client.aclose()
