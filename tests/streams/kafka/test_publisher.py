"""What leaves, in which order, with which keys and headers, and that nobody goes on before it is delivered."""

import asyncio

import orjson
import pytest

from streams.kafka.publisher import Publisher
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import ModeChange, Origin

CHANGE = ModeChange("u", 5, "cold_start", "personalized", 5, "v1", {"request_id": "r"})
LETTER = Rejected(RawRecord(Origin("x-watch-events", 3, 44), b"k\xff", b"\x00bytes"), "not_json", "value must be é")


class Sent(list):
    """A producer that is the list of what was sent; deliveries end when ``delivered`` is set."""

    def __init__(self):
        self.delivered = asyncio.get_running_loop().create_future()

    async def send(self, topic, key, value, partition, timestamp, headers):
        """Take a record."""
        self.append((topic, key, value, partition, timestamp, headers))
        return self.delivered


async def test_records_go_to_their_topics_with_keys_and_headers():
    """A list, a change and a dead letter carry the prefix, the user's key or the original one, and the headers."""
    sent = Sent()
    sent.delivered.set_result(None)
    await Publisher(sent, "x-").publish([("u", b"{}")], [CHANGE], [LETTER])
    assert sent[0] == ("x-recommendations", b"u", b"{}", None, None, None)
    topic, key, value, *_ = sent[1]
    assert (topic, key) == ("x-mode-changes", b"u")
    assert orjson.loads(value) == {
        "user_id": "u",
        "ts": 5,
        "previous": "cold_start",
        "mode": "personalized",
        "known_items": 5,
        "model_version": "v1",
        "trigger": {"request_id": "r"},
    }
    headers = {
        "topic": b"x-watch-events",
        "partition": b"3",
        "offset": b"44",
        "cause": b"not_json",
        "reason": "value must be é".encode(),
    }
    assert sent[2] == ("x-dead-letters", b"k\xff", b"\x00bytes", None, None, headers)
    assert len(sent) == 3


async def test_publish_returns_only_after_delivery():
    """All records are handed over at once, and the call waits until the broker has them."""
    sent = Sent()
    publishing = asyncio.create_task(Publisher(sent).publish([("u", b"1"), ("v", b"2")]))
    done, _ = await asyncio.wait([publishing], timeout=0.05)
    assert (len(sent), done) == (2, set())
    sent.delivered.set_result(None)
    await asyncio.wait_for(publishing, 5)


async def test_a_failed_delivery_is_raised():
    """What the broker refuses is an error of the batch."""
    sent = Sent()
    sent.delivered.set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError, match="gone"):
        await Publisher(sent).publish([("u", b"1")])


async def test_nothing_is_nothing():
    """An empty batch sends no record."""
    sent = Sent()
    await Publisher(sent).publish()
    assert sent == []


async def test_a_dead_letter_too_large_for_a_topic_is_cut_and_says_so():
    """Of 600 KiB the first 512 are sent, with a header that gives the whole size; 512 KiB go whole, without it."""
    sent = Sent()
    sent.delivered.set_result(None)
    for n in (600 * 1024, 512 * 1024):
        await Publisher(sent).publish(
            rejected=[Rejected(RawRecord(Origin("t", 0, 1), None, b"x" * n), "too_large", "")]
        )
    (_, _, cut, *_, said), (_, _, whole, *_, unsaid) = sent
    assert (len(cut), said["cut_from_bytes"]) == (512 * 1024, b"614400")
    assert len(whole) == 512 * 1024
    assert "cut_from_bytes" not in unsaid


async def test_a_letter_without_key_and_value_has_no_bytes_as_its_value():
    """Kafka's client sends no record without both, so of a record that had neither the value is empty."""
    sent = Sent()
    sent.delivered.set_result(None)
    await Publisher(sent).publish(rejected=[Rejected(RawRecord(Origin("t", 0, 1), None, None), "empty", "")])
    await Publisher(sent).publish(rejected=[Rejected(RawRecord(Origin("t", 0, 1), b"k", None), "empty", "")])
    assert [(key, value) for _, key, value, *_ in sent] == [(None, b""), (b"k", None)]


async def test_a_key_too_large_for_a_topic_is_cut_and_says_so():
    """Of a key of 70 KiB the first 64 are sent, with a header that gives its size; the value beside it stays whole."""
    sent = Sent()
    sent.delivered.set_result(None)
    await Publisher(sent).publish(
        rejected=[Rejected(RawRecord(Origin("t", 0, 1), b"k" * 71_680, b"v"), "wrong_key", "")]
    )
    [(_, key, value, *_, headers)] = sent
    assert (len(key), value, headers["key_cut_from_bytes"]) == (65_536, b"v", b"71680")
    assert "cut_from_bytes" not in headers
