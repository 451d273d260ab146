"""Asking on a real Kafka: what comes back."""

import pytest

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
