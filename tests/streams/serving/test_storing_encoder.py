"""Vectors of sentences in a real Redis: made once, found by whoever asks next."""

import asyncio
import threading

import numpy as np
import pytest

from streams.metrics.caches import CacheLookups
from streams.redis.connection import connect
from streams.serving.storing_encoder import SENTENCES_PER_CALL, StoringEncoder
from streams.state.keys import sentence_key
from streams.state.store import State

SENTENCES = [f"film {n}" for n in range(SENTENCES_PER_CALL + 3)]


class Lengths:
    """An encoder whose vectors are what a sentence is made of; it remembers what it was asked for."""

    width = 3

    def __init__(self):
        self.asked = []

    def encode(self, sentences):
        """Return the length, the last letter and a third that float16 has no exact number for."""
        self.asked.append(len(sentences))
        return np.array([[len(one), ord(one[-1]), 1 / 3] for one in sentences], dtype=np.float32)


@pytest.fixture
def storing(client):
    """Return a function that makes what encodes, as one worker has it."""

    def make(name="e", state=None, ended=None):
        loop, ended = asyncio.get_running_loop(), ended or threading.Event()
        return StoringEncoder(Lengths(), name, state or State(client), loop, ended, CacheLookups(["sentences"]))

    return make


def counted(encoder):
    """Return how many sentences were in Redis, and how many were encoded."""
    [(_, counts)] = encoder._lookups.figures()
    return counts["sentences", "hit"], counts["sentences", "miss"]


async def encoded(encoder, sentences=SENTENCES):
    """Encode in a thread, as a worker does."""
    return await asyncio.to_thread(encoder.encode, sentences)


async def test_what_one_worker_encodes_the_next_one_finds(storing, client):
    """The second encodes nothing and has the very same vectors; they leave Redis after a month."""
    first, second = storing(), storing()
    made = await encoded(first, [*SENTENCES, SENTENCES[0]])
    assert first._encoder.asked == [SENTENCES_PER_CALL, 3]
    assert counted(first) == (0, len(SENTENCES))
    assert made[:, 2].tolist() == [float(np.float16(1 / 3))] * (len(SENTENCES) + 1)
    assert made[-1].tolist() == made[0].tolist() == [6, ord("0"), made[0, 2]]
    found = await encoded(second)
    assert (counted(second), second._encoder.asked) == ((len(SENTENCES), 0), [])
    assert found.dtype == np.float32
    assert (found == made[:-1]).all()
    lives = {await client.ttl(key) async for key in client.scan_iter("catalog:sentence:*", count=1000)}
    assert 29 * 86_400 < min(lives) <= max(lives) <= 30 * 86_400


async def test_another_encoder_or_form_is_not_taken(storing, client):
    """Vectors of another encoder, and such of another width, are made anew."""
    first = storing()
    await encoded(first, ["film"])
    other = storing("another")
    await encoded(other, ["film"])
    assert counted(other) == (0, 1)
    await client.set(sentence_key(first._digest("film")), b"1234")
    again = storing()
    assert (await encoded(again, ["film"]))[0, 0] == 4
    assert counted(again) == (0, 1)


async def test_without_redis_everything_is_encoded(storing, client):
    """Nothing is lost but time; for a minute Redis is asked no more, as each question may wait long."""
    away = connect("redis://127.0.0.1:1/0")
    encoder = storing(state=State(away))
    assert len(await encoded(encoder, ["a", "b"])) == 2
    assert counted(encoder) == (0, 2)
    encoder._state = State(client)
    assert len(await encoded(encoder, ["a", "c"])) == 2
    assert counted(encoder) == (0, 4)
    assert not [key async for key in client.scan_iter("catalog:sentence:*")]
    await away.aclose()


async def test_a_worker_that_ends_is_not_held_up(storing):
    """Once it ends nothing more is encoded."""
    ended = threading.Event()
    encoder = storing(ended=ended)
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await encoded(encoder)
    assert counted(encoder) == (0, 0)


async def test_who_waits_for_redis_sees_that_the_worker_ends(storing):
    """A Redis that takes a connection and never answers holds nobody up."""

    async def answer_nothing(reader, writer):
        await reader.read()  # until the client leaves
        writer.close()
        await writer.wait_closed()

    silent = await asyncio.start_server(answer_nothing, "127.0.0.1", 0)
    never = connect(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
    ended = threading.Event()
    encoder = storing(state=State(never), ended=ended)
    waiting = asyncio.create_task(encoded(encoder))
    await asyncio.sleep(0.1)
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)
    assert counted(encoder) == (0, 0)
    await never.aclose()
    silent.close()
    await silent.wait_closed()
    await asyncio.sleep(0.1)  # for the handler to see that it was left
