"""``reelstream dead-letters`` on a real Kafka, with letters that a real worker wrote."""

import json
import time
from contextlib import closing
from urllib.parse import urlsplit

import orjson
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from redis import Redis

from commands.operate.dead_letters import dead_letters
from commands.parts.children import await_alive, worker_process
from streams.dead_letters.reading import Letter, LetterReader
from streams.errors import RecordError, TopicError
from streams.kafka.publisher import dead_letter_headers
from streams.kafka.topics import create_topics
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import Origin
from streams.redis.connection import connect_to_read
from streams.settings import Settings

TS = 1_700_000_000_000
BAD = [
    ("watch-events", "ann", b'{"event_id":"ann-2","user_id":"ann"'),  # not_json
    ("watch-events", "bob", {"event_id": "bob-1", "user_id": "bob", "item_id": "i", "ts": TS, "progress": 85}),
    ("rate-events", "cat", {"event_id": "cat-1", "user_id": "cat", "item_id": "i", "ts": TS}),  # missing_field
    ("rate-events", "dan", {"event_id": "dan-1", "user_id": "Dan", "item_id": "i", "ts": TS, "rating": 4.5}),
    ("watch-events", None, None),  # empty, and without a key as well
    ("watch-events", "big", b"x" * 600_000),  # too_large, and longer than what is kept of it
    ("recommendation-requests", "eve", {"request_id": "r"}),  # missing_field
]
CAUSES = {"missing_field": 2, "not_json": 1, "bad_field": 1, "wrong_key": 1, "empty": 1, "too_large": 1}
MAP = '''
def percent(value):
    """Mend a progress in percent, leave out what is no object, and break on ratings without stars."""
    if isinstance(value, bytes):
        return None
    if "progress" in value:
        return value | {"progress": value["progress"] / 100}
    return value
'''


class Letters:
    """An installation whose worker has met bad records."""

    places: list  # of the bad records

    def __init__(self, settings):
        self.settings = settings
        self.redis = connect_to_read(settings.redis, prefix=settings.prefix)

    def send(self, records):
        """Send records and return their places."""
        producer = Producer({"bootstrap.servers": self.settings.kafka})  # the one client that sends nothing at all
        places = []
        for topic, key, value in records:
            body = orjson.dumps(value) if isinstance(value, dict) else value
            producer.produce(self.settings.prefix + topic, body, key, on_delivery=lambda _, sent: places.append(sent))
            producer.flush(10)
        return [Origin(sent.topic(), sent.partition(), sent.offset()) for sent in places]

    def found(self):
        """Return the letters that are there now, by key."""
        with LetterReader(self.settings) as reader:
            return {entry.key: entry for entry in reader.entries() if isinstance(entry, Letter)}

    def records(self, topic):
        """Return every record of a topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, auto_offset_reset="earliest")
        places = [TopicPartition(self.settings.prefix + topic, n) for n in range(self.settings.partitions)]
        consumer.assign(places)
        ends, found = consumer.end_offsets(places), []
        while any(consumer.position(at) < end for at, end in ends.items()):
            for batch in consumer.poll(timeout_ms=100).values():
                found += batch
        consumer.close()
        return found

    def invoke(self, *arguments):
        """Run a command and return its result."""
        given = [word for name in ("kafka", "redis", "prefix") for word in (f"--{name}", getattr(self.settings, name))]
        return CliRunner().invoke(dead_letters, [arguments[0], *given, *arguments[1:]])

    def json(self, *arguments):
        """Run a command with --json and return its object."""
        result = self.invoke(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


def await_until(condition, wanted):
    """Poll a condition for half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, wanted
        time.sleep(0.1)


@pytest.fixture(scope="module")
def letters(stack, tmp_path_factory):
    """Return an installation with a worker that has answered a good event after seven bad records."""
    folder = tmp_path_factory.mktemp("letters")
    database = urlsplit(stack.redis)._replace(path="/15").geturl()
    with Redis.from_url(database) as client:
        client.flushdb()
    settings = Settings(stack.kafka, database, str(folder / "models"), prefix=f"t{time.time_ns()}-", partitions=2)
    create_topics(settings)
    letters = Letters(settings)
    worker = worker_process(settings, folder / "worker.log")
    worker.start()
    try:
        await_alive(settings, {"worker": 1}, [worker])
        letters.places = letters.send(BAD)
        await_until(lambda: len(letters.found()) == len(BAD), (folder / "worker.log").read_text())
        yield letters
    finally:
        letters.redis.close()
        worker.stop(12.0)


@pytest.fixture
def map_file(tmp_path):
    """Return the path of a file with a mending function."""
    path = tmp_path / "mend.py"
    path.write_text(MAP)
    return path


@pytest.fixture
def empty(stack, redis_url, topic_prefix):
    """Return an installation without a worker and without letters."""
    settings = Settings(stack.kafka, redis_url, "unused", prefix=topic_prefix, partitions=2)
    create_topics(settings)
    return Letters(settings)


def test_the_list_counts_by_cause_and_topic(letters):
    """Seven bad records are seven letters with the causes and topics that they were sent with, newest first."""
    found = letters.json("list")
    assert (found["letters"], found["deliveries"], found["foreign"]) == (7, 7, 0)
    assert found["causes"] == CAUSES
    assert {topic.removeprefix(letters.settings.prefix): n for topic, n in found["topics"].items()} == {
        "watch-events": 4,
        "rate-events": 2,
        "recommendation-requests": 1,
    }
    times = [row["written"] for row in found["newest"]]
    assert times == sorted(times, reverse=True)
    assert (found["first"], found["last"]) == (times[-1], times[0])
    by_key = {row["key"]: row for row in found["newest"]}
    bob = letters.places[1]
    assert (by_key["bob"]["topic"], by_key["bob"]["partition"], by_key["bob"]["offset"]) == (
        bob.topic,
        bob.partition,
        bob.offset,
    )
    assert by_key["big"]["bytes"] == 600_000


def test_the_list_for_people_names_every_letter(letters):
    """The table has a row for each letter, and the counts stand above it."""
    output = letters.invoke("list").output
    assert "7 dead letters from " in output
    assert "missing_field 2" in output
    assert all(letter.letter_id in output for letter in letters.found().values())


def test_n_limits_the_table_and_not_the_counts(letters):
    """With -n 2 two letters are shown and seven counted."""
    found = letters.json("list", "-n", "2")
    assert (found["letters"], len(found["newest"])) == (7, 2)


@pytest.mark.parametrize(
    ("options", "n"),
    [
        (("--cause", "empty"), 1),
        (("--cause", "empty", "--cause", "missing_field"), 3),
        (("--topic", "rate-events"), 2),
        (("--topic", "rate-events", "--cause", "wrong_key"), 1),
        (("--since", "1h"), 7),
        (("--until", "1h"), 0),
        (("--since", "2020-01-01", "--until", "2020-01-02T00:00:00+00:00"), 0),
        (("--since", "2099-01-01"), 0),
    ],
)
def test_filters_narrow_the_list(letters, options, n):
    """Causes add up, a topic needs no prefix, and times are ages or dates."""
    assert letters.json("list", *options)["letters"] == n


def test_a_time_that_is_none_is_refused(letters):
    """Something else than a date or an age is a usage error that names both."""
    result = letters.invoke("list", "--since", "yesterday")
    assert result.exit_code == 2
    assert "ISO date" in result.output


def test_show_prints_headers_reason_and_indented_json(letters):
    """A letter that is JSON is shown with its place, cause, reason, and one field a line."""
    letter = letters.found()[b"bob"]
    output = letters.invoke("show", letter.letter_id).output
    origin = letter.origin
    assert f"{origin.topic} partition {origin.partition} offset {origin.offset}" in output
    assert "cause    bad_field" in output
    assert letter.reason in output
    assert '  "progress": 85' in output.splitlines()


def test_show_prints_what_is_no_json_in_hexadecimal(letters):
    """600,000 times x, cut to 512 KiB, are 64 lines of 16 bytes (0x78), and the rest is counted."""
    output = letters.invoke("show", letters.found()[b"big"].letter_id).output
    assert "value    524288 bytes, cut off from 600000" in output
    assert output.count("78 " * 16) == 64
    assert "523264 more bytes" in output  # 524288 - 1024


def test_show_raw_writes_the_bytes(letters):
    """With --raw stdout is the value and nothing else."""
    result = letters.invoke("show", letters.found()[b"ann"].letter_id, "--raw")
    assert result.stdout_bytes == BAD[0][2]


def test_show_cannot_move_the_cursor(empty):
    """An escape sequence in key and value is shown as its escape, and JSON behind a registry's frame as JSON."""
    headers = dead_letter_headers(Rejected(RawRecord(Origin("t", 0, 1), None, None), "not_json", "a\x1b[2Jb"))
    producer = KafkaProducer(bootstrap_servers=empty.settings.kafka)
    producer.send(
        empty.settings.prefix + "dead-letters",
        key=b"k\x1b[2J",
        value=b'\x00\x00\x00\x00\x07{"a":"\xc2\x9b2J"}',
        headers=list(headers.items()),
    ).get(10)
    producer.close()
    letter = empty.found()[b"k\x1b[2J"]
    output = empty.invoke("show", letter.letter_id).output + empty.invoke("list").output
    assert "\x1b" not in output
    assert "\x9b" not in output
    assert "k\\x1b[2J" in output
    assert '  "a": "\\x9b2J"' in output.splitlines()


@pytest.mark.parametrize(
    ("letter_id", "error"), [("0:99999", RecordError), ("99:0", RecordError), ("0", None), ("a:b", None)]
)
def test_what_is_not_there_is_not_shown(letters, letter_id, error):
    """A position outside the topic is an error of one line, and something else than a position one of usage."""
    result = letters.invoke("show", letter_id)
    assert (type(result.exception) is error) if error else (result.exit_code == 2)


def test_a_rehearsal_sends_nothing(letters, map_file):
    """Of seven letters a dry run would send two, leave out two that are no object, and say of three why not."""
    before = len(letters.records("watch-events")), len(letters.records("rate-events"))
    found = letters.json("replay", "--map", f"{map_file}:percent", "--dry-run")
    # bob is mended and Dan's key too; ann and the empty one are bytes; big is cut off; cat and eve stay broken
    assert (found["fit"], found["sent"], found["left_out"]) == (2, 0, 2)
    assert found["refused"] == {"cut_off": 1, "missing_field": 2}
    bob = next(one for one in found["examples"]["mended"] if one["key"] == "bob")
    assert '"progress":85' in bob["before"]
    assert '"progress":0.85' in bob["after"]
    assert before == (len(letters.records("watch-events")), len(letters.records("rate-events")))


def test_a_mended_letter_is_applied_and_only_once(letters, map_file):
    """A replay with a map lets the worker count bob's watch and Dan's rating; a second replay sends nothing."""
    chosen = ("replay", "--cause", "bad_field", "--cause", "wrong_key", "--map", f"{map_file}:percent")
    first = letters.json(*chosen)
    assert (first["fit"], first["sent"], first["replayed_before"], first["refused"]) == (2, 2, 0, {})
    await_until(lambda: letters.redis.hget("user:{bob}", "watches") == "1", "bob's watch")
    await_until(lambda: letters.redis.hget("user:{Dan}", "rating_sum") == "4.5", "Dan's rating")
    [sent] = [record for record in letters.records("watch-events") if dict(record.headers).get("replayed_from")]
    origin = letters.places[1]
    assert sent.key == b"bob"
    assert dict(sent.headers) == {
        "replayed_from": f"{origin.topic}:{origin.partition}:{origin.offset}".encode(),
        "dead_letter": letters.found()[b"bob"].letter_id.encode(),
        "cause": b"bad_field",
    }
    second = letters.json(*chosen)
    assert (second["fit"], second["sent"], second["replayed_before"]) == (0, 0, 2)
    rows = {row["key"]: row["replayed"] for row in letters.json("list")["newest"]}
    assert {key for key, replayed in rows.items() if replayed} == {"bob", "dan"}
    assert letters.redis.hget("user:{bob}", "watches") == "1"


def test_letters_can_be_named(letters):
    """A named letter that still breaks its contract is reported with its reason and not sent."""
    letter = letters.found()[b"cat"]
    output = letters.invoke("replay", letter.letter_id).output
    assert "not sent, missing_field: 1" in output
    assert letter.letter_id in output
    assert "0 sent, 0 replayed before, 0 left out, 1 not fit" in output


@pytest.mark.parametrize("name", ["mend.py", "absent.py:percent", "mend.txt:percent", "mend.py:absent"])
def test_a_map_that_is_none_is_refused(empty, map_file, name):
    """A map without a function, without a file, or of another kind is a usage error."""
    result = empty.invoke("replay", "--map", str(map_file.parent / name))
    assert result.exit_code == 2
    assert "--map must" in result.output


def test_copies_of_a_letter_are_one_letter(empty):
    """A letter sent twice, as after a crash, is listed once with its copies, and replayed once."""
    event = {"event_id": "e", "user_id": "u", "item_id": "i", "ts": TS, "progress": 0.5}
    origin = Origin(empty.settings.prefix + "watch-events", 1, 5)
    headers = dead_letter_headers(Rejected(RawRecord(origin, b"u", b""), "bad_field", "why"))
    producer = KafkaProducer(bootstrap_servers=empty.settings.kafka)
    for partition in (0, 1):
        producer.send(
            empty.settings.prefix + "dead-letters",
            key=b"u",
            value=orjson.dumps(event),
            partition=partition,
            headers=list(headers.items()),
        ).get(10)
    producer.send(empty.settings.prefix + "dead-letters", key=b"u", value=b"of somebody else").get(10)
    producer.close()
    found = empty.json("list")
    assert (found["letters"], found["deliveries"], found["foreign"]) == (1, 2, 1)
    assert [row["copies"] for row in found["newest"]] == [2]
    assert empty.json("replay")["sent"] == 1
    assert len(empty.records("watch-events")) == 1
    assert empty.json("replay")["replayed_before"] == 1
    assert len(empty.records("watch-events")) == 1
    assert empty.json("list")["replayed"] == 1


def test_a_letter_that_the_broker_refuses_is_told_and_stays_unnoted(empty):
    """Of three letters one is too large for its topic: two are sent and noted, and a second replay tries that one."""
    with closing(KafkaAdminClient(bootstrap_servers=empty.settings.kafka)) as admin:
        topic = empty.settings.prefix + "watch-events"
        admin.alter_configs([ConfigResource("topic", topic, {"max.message.bytes": "1000"})])
    with closing(KafkaProducer(bootstrap_servers=empty.settings.kafka)) as producer:
        for n, item_id in enumerate(("i", "large", "i")):
            event = {"event_id": f"e{n}", "user_id": "u", "item_id": item_id, "ts": TS, "progress": 0.5}
            body = orjson.dumps(event) + b" " * (2000 if n == 1 else 0)
            headers = dead_letter_headers(Rejected(RawRecord(Origin(topic, 1, n), b"u", b""), "bad_field", "why"))
            producer.send(
                empty.settings.prefix + "dead-letters", key=b"u", value=body, partition=0, headers=list(headers.items())
            ).get(10)
    for sent, before in ((2, 0), (0, 2)):
        result = empty.invoke("replay", "--json")
        assert result.exit_code == 1, result.output
        found = json.loads(result.stdout)
        assert (found["sent"], found["replayed_before"], found["refused"]) == (sent, before, {"broker": 1})
        assert [one["id"] for one in found["examples"]["refused"]] == ["0:1"]
        assert found["examples"]["refused"][0]["reason"].startswith("MessageSizeTooLargeError")
    assert [orjson.loads(record.value)["event_id"] for record in empty.records("watch-events")] == ["e0", "e2"]
    assert empty.json("list")["replayed"] == 2


def test_nothing_is_said_to_be_nothing(empty):
    """An empty topic has no letters to list and none to replay."""
    assert empty.invoke("list").output == "no dead letters\n"
    assert empty.invoke("replay").output == "no such letters\n"


def test_an_absent_topic_is_told_in_one_line(stack):
    """Without the topic the error names the cure."""
    result = CliRunner().invoke(dead_letters, ["list", "--kafka", stack.kafka, "--prefix", "nobody-"])
    assert isinstance(result.exception, TopicError)
    assert "topics create" in str(result.exception)
