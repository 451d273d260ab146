"""The gateway beside a real worker: what is sent counts once, and what is asked for comes back."""

import asyncio
import time
from contextlib import aclosing

import orjson
import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import BrokerResponseError

from streams.errors import RegistryError
from streams.kafka.clients import blocking_admin
from streams.records.codec import BadRecord
from web.gateway.gateway import Gateway

ITEMS = [("1", "The Glass Lantern", ["Drama"]), ("2", "Paper Boats", ["Drama"]), ("3", "Night Ferry", ["Comedy"])]


@pytest.fixture(scope="module")
def served(install, until):
    """Return an installation whose worker runs, with three items in its catalogue."""
    installation = install()
    installation.send_all(
        "catalog-items",
        [(item, {"item_id": item, "title": title, "genres": genres, "year": 2000}) for item, title, genres in ITEMS],
    )
    with installation.process("worker") as worker:
        worker.await_ready()
        until(lambda: installation.redis.hlen("catalog:items") == 3, 30, lambda: "three titles")
        yield installation


async def listed(gateway, user_id, at_least):
    """Return the user's stored list once it has seen so many events."""
    async with asyncio.timeout(90):
        while True:
            body = await gateway.list_of(user_id)
            if body is not None and orjson.loads(body)["sequence"] >= at_least:
                return orjson.loads(body)
            await asyncio.sleep(0.05)


async def test_events_count_once_and_lead_to_lists(served):
    """Each kind goes to its topic, a bad event is refused with its cause, and the same events again change nothing."""
    events = [
        {"event_id": "g-1", "user_id": "ann", "item_id": "1", "progress": 0.9},
        {"event_id": "g-2", "user_id": "ann", "item_id": "2", "rating": 4, "ts": None},
        {"event_id": "g-3", "user_id": "ann", "item_id": "3", "kind": "hide"},
        {"event_id": "g-4", "user_id": "ann", "item_id": "3", "rating": 9},
        {"event_id": "g-5", "user_id": "ann", "item_id": "3"},
        "no event",
        {"user_id": "ben", "item_id": "3", "kind": "watch", "progress": 1},
    ]
    async with Gateway(served.settings) as gateway:
        async with aclosing(gateway.new_lists("ann")) as lists:
            first = asyncio.create_task(anext(lists))
            await asyncio.sleep(0)
            results = await gateway.send_events(events)
            assert orjson.loads(await asyncio.wait_for(first, 90))["user_id"] == "ann"
        assert [one.status for one in results] == ["accepted"] * 3 + ["refused"] * 3 + ["accepted"]
        assert [one.cause for one in results[3:6]] == ["bad_field", "missing_field", "not_an_object"]
        assert [one.event_id for one in results[:6]] == ["g-1", "g-2", "g-3", "g-4", "g-5", None]
        assert len(results[6].event_id) == 36
        assert (await listed(gateway, "ann", 3))["mode"] == "cold_start"
        await gateway.send_events(events[:3])
        await gateway.send_events([{"event_id": "g-6", "user_id": "ann", "item_id": "3", "progress": 0.1}])
        await listed(gateway, "ann", 4)
        profile = await gateway.profile_of("ann")
        assert (profile["watches"], profile["ratings"], profile["actions"], profile["hidden"]) == (2, 1, 1, 1)
        assert profile["recent"][-1]["title"] == "The Glass Lantern"
        await listed(gateway, "ben", 1)
        assert await gateway.users() == ["ann", "ben"]
        assert await gateway.users("b") == ["ben"]


async def test_a_list_is_asked_for_and_comes_back(served):
    """The answer is that of the request; one that breaks its contract is not sent, and a short budget gives None."""
    async with Gateway(served.settings) as gateway:
        found = await gateway.ask("new", {"k": 2, "genres": {"must": ["Drama"]}}, 20)
        assert {item["item_id"] for item in found["items"]} == {"1", "2"}
        titled = await gateway.with_titles(found)
        assert {item["title"] for item in titled["items"]} == {"The Glass Lantern", "Paper Boats"}
        with pytest.raises(BadRecord, match="k must be a whole number"):
            await gateway.ask("new", {"k": 0}, 20)
        assert await gateway.ask("new", {}, 1e-6) is None
        assert await gateway.list_of("new") is None


async def test_the_catalogue_is_searched_and_compared(served):
    """Titles are found as somebody types them, slips included; genres and similar items come with their titles."""
    async with Gateway(served.settings) as gateway:
        assert [one["item_id"] for one in await gateway.search("pap")] == ["2"]
        assert [one["item_id"] for one in await gateway.search("Nihgt Fery")] == ["3"]
        assert await gateway.search(" ") == []
        genres = await gateway.genres()
        assert [(one["genre"], one["items"]) for one in genres] == [("Comedy", 1), ("Drama", 2)]
        assert (await gateway.item("3"))["title"] == "Night Ferry"
        assert await gateway.item("none") is None
        assert await gateway.similar("none") is None
        similar = await gateway.similar("1", ("content",), 1)
        assert [one["title"] for one in similar["content"]] == ["Paper Boats"]


async def test_what_operators_see_is_there_before_anything_is_counted(served):
    """Without versions, figures and an experiment each answer says so, and a worker shows signs of life."""
    async with Gateway(served.settings) as gateway:
        assert await gateway.models() == {"current": None, "anchor": None, "versions": []}
        with pytest.raises(RegistryError):
            await gateway.model("v000001-00000000")
        assert await gateway.experiment() == {"experiment": None}
        assert await gateway.quality() == {"scorekeeper": False, "at_ms": None, "figures": None}
        assert await gateway.quality_series() == []
        assert len((await gateway.alive())["worker"]) == 1
        assert set(await gateway.require_servers(5)) == {"redis_ms", "kafka_ms"}


async def test_dead_letters_are_counted_once_for_all_who_look(served):
    """Whoever looks within the time of a count has the same answer, and a replay makes the next look count anew."""
    served.send("watch-events", "u1", b"{not json").get(10)
    async with Gateway(served.settings) as gateway:
        first, second = await asyncio.gather(gateway.letters.count(), gateway.letters.count())
        assert second is first
        [(_, counted)] = gateway.lookups.figures()
        assert (counted["letters", "miss"], counted["letters", "hit"]) == (1, 1)
        assert await gateway.letters.replay("no_such_cause") == {"sent": 0, "replayed_before": 0, "refused": 0}
        assert await gateway.letters.count() is not first


def empty(settings, name):
    """Let Kafka delete what a compacted topic holds."""
    places = [TopicPartition(settings.prefix + name, number) for number in range(settings.partitions)]
    with blocking_admin(settings, "test") as admin:
        policy = {"cleanup.policy": "compact,delete"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.prefix + name, policy)])
        ends = time.monotonic() + 30.0
        while True:  # the broker answers before it goes by the new policy
            try:
                admin.delete_records(dict.fromkeys(places, -1))  # all there is
            except BrokerResponseError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
            else:
                return


async def test_what_people_asked_is_read_once(served):
    """A later request knows what the topic said at the first, and what others have asked since."""
    async with Gateway(served.settings) as gateway:
        first = await gateway.merge("guest-1", "dora", 0)
        empty(served.settings, "data-requests")
        assert await gateway.merge("guest-1", "dora", 10) == {**first, "done": True}
        async with Gateway(served.settings) as other:
            told = await other.merge("guest-2", "dora", 10)
        assert await gateway.merge("guest-2", "dora", 10) == told
        asked = await asyncio.gather(*(gateway.merge("guest-3", "dora", 10) for _ in range(5)))
        assert [one["request_id"] for one in asked] == [asked[0]["request_id"]] * 5
