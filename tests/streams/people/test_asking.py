"""Asking on a real Kafka: what a process that asks again and again knows of the topic."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.clients import producer
from streams.kafka.topics import DATA_REQUESTS, EVENTS, create_topics
from streams.people.asking import PeopleRequests
from streams.records.codec import encode
from streams.records.data_requests import DataRequest
from streams.settings import Settings

BELOW = dict.fromkeys(EVENTS, (9, 9))


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings of an installation with two partitions, with its topics."""
    settings = Settings(stack.kafka, stack.redis, "unused", prefix=topic_prefix, partitions=2)
    create_topics(settings)
    return settings


class Worker:
    """Sends, and answers ann's forgetting when a guest's is sent, as a worker may that is quick."""

    def __init__(self, sending, topic):
        self._sending = sending
        self._topic = topic

    async def put(self, request):
        """Put a record on the topic of requests."""
        await self._sending.send_and_wait(self._topic, encode(request), request.user_id.encode())

    async def send_and_wait(self, topic, body, key):
        """Send a record of whoever asks."""
        await self._sending.send_and_wait(topic, body, key)
        if topic == self._topic and key == b"guest":
            await self.put(DataRequest("ann", "f-1", 7).answered(0, BELOW))


@pytest.fixture
async def worker(settings):
    """Return one that has started."""
    sending = producer(settings)
    await sending.start()
    yield Worker(sending, settings.prefix + DATA_REQUESTS)
    await sending.stop()


@pytest.fixture
async def asking(settings, worker):
    """Return one that asks through the worker's producer."""
    asking = PeopleRequests(settings, worker)
    yield asking
    await asking.stop()


async def test_an_account_gets_its_own_request_back(worker, asking):
    """Also where it was open, and is answered while the guests' are asked for."""
    await worker.put(DataRequest("guest", "m-1", 5, "merge", into="ann"))
    await worker.put(DataRequest("ann", "f-1", 7))
    found, _ = await asking.forget("ann", 0.0)
    assert (found.request_id, found.is_open) == ("f-1", False)


async def make_anew(settings, topic):
    """Delete a topic and create it again under its name."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    await admin.delete_topics([topic])
    for _ in range(1200):
        if not (await admin.describe_topics([topic]))[0]["partitions"]:
            break
        await asyncio.sleep(0.05)
    await admin.close()
    await asyncio.to_thread(create_topics, settings)


async def test_requests_of_a_topic_that_was_made_anew_are_not_known(settings, worker, asking):
    """A request that was open on the one before is made again, and what the new one holds is read."""
    first, _ = await asking.forget("ben", 0.0)
    again, _ = await asking.forget("ben", 0.0)
    assert again.request_id == first.request_id
    await make_anew(settings, settings.prefix + DATA_REQUESTS)
    await worker.put(DataRequest("guest", "m-1", 5, "merge", into="eva"))
    anew, _ = await asking.forget("ben", 0.0)
    assert anew.request_id != first.request_id
    found, _ = await asking.merge("guest", "eva")
    assert found.request_id == "m-1"
