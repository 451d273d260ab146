"""Parts of the gateway without Kafka: who follows a user misses nothing, and nobody waits for what is known."""

import asyncio
import itertools
from types import SimpleNamespace

import orjson
import pytest

from model.catalogue import Item
from streams.errors import StateAway
from streams.metrics.caches import CacheLookups
from streams.redis.connection import connect_to_read
from streams.settings import Settings
from streams.state.lookups import Lookups
from web.gateway.gateway import Gateway
from web.gateway.published_lists import PublishedLists
from web.gateway.sending import EventSender
from web.gateway.titles import Titles

NOWHERE = Settings.from_environment({}, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0")


def listed(rec_id, ts, mode="cold_start", **trigger):
    """Return a list as it is on the topic."""
    return orjson.dumps({"rec_id": rec_id, "published_ts": ts, "mode": mode, "trigger": trigger})


def published(body):
    """Return the record of a list of ann's."""
    return SimpleNamespace(key=b"ann", value=body)


async def test_who_follows_a_user_misses_no_list_and_gets_none_twice():
    """What comes while the stored list is read follows it, each once, without older ones and answers to requests."""
    lists = PublishedLists(NOWHERE)

    async def stored():
        for body in (listed("a", 1), listed("b", 2), listed("c", 3), listed("c", 3)):
            lists._hand_out(published(body))
        return listed("b", 2)

    following = lists.following("ann", stored)
    found = [await anext(following), await anext(following)]
    lists._hand_out(published(listed("d", 4, request_id="r")))
    lists._hand_out(published(listed("e", 5, "refused", request_id="s")))
    lists._hand_out(published(None))
    lists._hand_out(published(listed("f", 6)))
    found.append(await asyncio.wait_for(anext(following), 30))
    assert [orjson.loads(body)["rec_id"] for body in found] == ["b", "c", "f"]


class BreakingLists(PublishedLists):
    """Stands first on a consumer that breaks as nobody foresaw, then on one that gives a list."""

    n_connected = 0

    async def _connected(self):
        self.n_connected += 1
        return Consumer(self.n_connected)


class Consumer:
    """Reads one list and then nothing; the first one breaks, and breaks again when it is stopped."""

    def __init__(self, number):
        self.number = number

    async def stop(self):
        """End."""
        if self.number == 1:
            raise RuntimeError("stopping")

    async def __aiter__(self):
        if self.number == 1:
            raise ValueError("unforeseen")
        yield published(listed("a", 1))
        await asyncio.sleep(3600)


async def test_lists_are_read_on_after_what_nobody_foresaw(caplog):
    """A failure that is none of Kafka's is logged with its trace, and the topic is read anew."""
    lists = BreakingLists(NOWHERE)
    assert not lists.is_reading
    with lists.of("ann") as queue:
        await lists.start()
        assert orjson.loads(await asyncio.wait_for(queue.get(), 20))["rec_id"] == "a"
    assert lists.is_reading
    assert "ValueError: unforeseen" in caplog.text
    await lists.stop()
    assert not lists.is_reading


class Shelf:
    """Reads a catalogue as ``Reading`` does, slowly where it is told to."""

    def __init__(self):
        self.items = [Item("1", "Paper Boats", None, ("Drama",))]
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def of(self, look):
        """Look."""
        await self.may_answer.wait()
        return look(self)

    def n_items(self):
        """Count."""
        return len(self.items)

    def catalogue(self):
        """Read."""
        return tuple(self.items)

    async def off_the_loop(self, work):
        """Work."""
        return work()


async def test_nobody_waits_while_the_catalogue_is_read_anew(monkeypatch):
    """The titles and genres of before answer until those of now are there."""
    monkeypatch.setattr("web.gateway.titles._LOOK_S", 0.0)
    monkeypatch.setattr(Lookups, "n_items", Shelf.n_items)
    shelf = Shelf()
    lookups = CacheLookups(["catalogue"])
    titles = Titles(shelf, lookups)
    assert [one["item_id"] for one in await titles.search("BOATS", 5)] == ["1"]
    shelf.may_answer.clear()
    shelf.items.append(Item("2", "Night Ferry", None, ("Comedy", "Drama")))
    async with asyncio.timeout(30):
        assert await titles.search("ferry", 5) == []
        assert await titles.genres() == {"Drama": 1}
    [(_, counted)] = lookups.figures()
    assert counted == {("catalogue", "miss"): 1, ("catalogue", "hit"): 2}
    shelf.may_answer.set()
    async with asyncio.timeout(30):
        found = await titles.search("ferry", 5)
        while not found:
            await asyncio.sleep(0)
            found = await titles.search("ferry", 5)
        assert await titles.genres() == {"Drama": 2, "Comedy": 1}
    await titles.stop()


async def test_it_starts_only_where_redis_answers():
    """Without an answer nobody knows whether Redis is a cluster, so it does not start."""
    with pytest.raises(StateAway):
        async with Gateway(NOWHERE):
            pass


class EndlessKeys:
    """A Redis whose keys never end, none of them a list."""

    n_steps = 0

    def scan(self, cursor, **_):
        """Find nothing."""
        self.n_steps += 1
        return cursor + 1, []


def test_users_are_looked_for_no_longer_than_a_person_waits(monkeypatch):
    """Where no key fits, the look-up ends in time all the same."""
    monkeypatch.setattr("streams.state.lookups._LOOK_S", 0.05)
    keys = EndlessKeys()
    assert Lookups(keys).users("", 10) == ()
    assert keys.n_steps > 1


def test_users_are_found_on_every_node_of_a_cluster(own_cluster):
    """Users whose lists lie on different nodes are all found."""
    with own_cluster(3) as (node, *_), connect_to_read(f"redis://127.0.0.1:{node.port}/0") as client:
        users = [f"u{n:02}" for n in range(24)]
        for user in users:
            client.set(f"user:{{{user}}}:recs", "{}")
        assert list(Lookups(client).users("u", 100)) == users
        assert len(Lookups(client).users("u2", 2)) == 2


class Acknowledging:
    """A producer whose broker has everything at once."""

    def __init__(self):
        self.sent = []

    async def send(self, topic, value, key, headers):
        """Keep it."""
        self.sent.append((topic, value, key, headers))
        delivered = asyncio.get_running_loop().create_future()
        delivered.set_result(None)
        return delivered


async def test_others_have_their_turn_while_a_batch_is_checked():
    """Among the thousand events of a batch whoever else is ready goes on."""
    producer, turns = Acknowledging(), []

    async def other():
        while True:
            turns.append(len(producer.sent))
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    event = {"user_id": "ann", "item_id": "1", "rating": 4}
    results = await EventSender(producer, NOWHERE).send([event] * 1000)
    waiting.cancel()
    assert [one.status for one in results] == ["accepted"] * 1000
    assert len(turns) >= 20
    assert max(later - before for before, later in itertools.pairwise([0, *turns, 1000])) <= 50


async def test_a_withdrawal_goes_to_the_topic_of_its_event():
    """The kind of the event says which; without one, or with what an event has, it is refused."""
    producer = Acknowledging()
    told = [{"user_id": "ann", "withdraws": 7, "kind": kind} for kind in ("watch", "rate", "hide")]
    told += [{"user_id": "ann", "withdraws": "e"}, {"user_id": "ann", "withdraws": "e", "kind": "rate", "rating": 4}]
    results = await EventSender(producer, NOWHERE).send(told)
    assert [one.cause for one in results] == [None, None, None, "bad_field", "bad_field"]
    assert [topic for topic, *_ in producer.sent] == ["watch-events", "rate-events", "action-events"]
    assert {orjson.loads(value)["withdraws"] for _, value, *_ in producer.sent} == {"7"}
