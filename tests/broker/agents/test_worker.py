"""The worker as a process, on a real Kafka and a real Redis: what goes in, what comes out, and what survives."""

from itertools import count, islice

import numpy as np
import orjson
import pandas as pd
import pytest

from streams.registry.registry import Registry
from tests.toy import toy_snapshot

ITEMS = [f"i{n}" for n in range(30)]
GENRES = ("Drama", "Comedy")
TS = 1_700_000_000_000


def watch(event_id, user_id, item_id, ts=TS):
    """Return the JSON of a watch to the end."""
    return {"event_id": event_id, "user_id": user_id, "item_id": item_id, "ts": ts, "progress": 1.0}


def send_catalogue(installation):
    """Send thirty films, of even numbers dramas and of odd numbers comedies."""
    installation.send_all(
        "catalog-items",
        [
            (item, {"item_id": item, "title": f"Film {n}", "year": 1990 + n, "genres": [GENRES[n % 2]]})
            for n, item in enumerate(ITEMS)
        ],
    )


def serve_a_version(installation):
    """Put a small network in the registry, point to it, and return its version."""
    item_genres = [[n % 2 == 0, n % 2 == 1] for n in range(len(ITEMS))]
    version = Registry(installation.settings.registry).save(
        toy_snapshot(ITEMS, genres=GENRES, item_genres=item_genres),
        parent=None,
        metrics={"hr@10": 0.5},
        offsets={},
        created_ms=TS,
        seed=1,
        code_revision="test",
    )
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": TS}
    installation.redis.hset("model:current", mapping=pointer)
    return version.version_id


def stream(users, n, seed):
    """Return ``n`` watches as a frame: event_id, user_id, item_id, ts."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event_id": [f"{seed}-{at}" for at in range(n)],
            "user_id": [f"s{user}" for user in rng.integers(0, users, n)],
            "item_id": [ITEMS[item] for item in rng.integers(0, len(ITEMS), n)],
            "ts": [TS + at for at in range(n)],
        }
    )


def send_frame(installation, frame):
    """Send the rows of a frame as watches keyed by user."""
    rows = frame.itertuples(index=False)
    installation.send_all("watch-events", [(row.user_id, watch(*row)) for row in rows])


def counters_equal(installation, frame):
    """Return whether the counters in Redis are those that pandas computes from what was sent."""
    return (
        installation.counts("watches") == frame.groupby("user_id").size().to_dict()
        and installation.item_counts("watches") == frame.groupby("item_id").size().to_dict()
    )


def lists_complete(installation, frame):
    """Return whether every user has got a list that was made after the last of the user's events."""
    lists = pd.DataFrame(installation.values("recommendations"), columns=["user_id", "sequence"])
    return lists.groupby("user_id")["sequence"].max().to_dict() == frame.groupby("user_id").size().to_dict()


@pytest.fixture(scope="module")
def running(install):
    """Return an installation with a catalogue and one worker that answers events."""
    installation = install()
    send_catalogue(installation)
    with installation.process("worker", "--expose", "0") as worker:
        worker.await_ready()
        yield installation
        assert worker.child.poll() is None, worker.said()


def test_an_event_becomes_a_list_with_the_documented_fields(running):
    """A watch yields one list whose fields are those of the architecture, published and kept in Redis alike."""
    sent = running.send("watch-events", "ann", watch("ann-1", "ann", "i3")).get(10)
    found = running.await_value("recommendations", lambda value: value["user_id"] == "ann")
    assert set(found) == {
        "rec_id", "user_id", "ts", "mode", "model_version", "k", "items", "trigger", "sequence", "event_ts",
        "published_ts", "experiment", "arm", "tier", "unfilled", "error", "query_method", "wording",
    }  # fmt: skip
    assert (found["ts"], found["event_ts"], found["mode"], found["model_version"]) == (TS, TS, "cold_start", None)
    assert (found["k"], found["sequence"], len(found["items"])) == (10, 1, 10)
    assert (found["experiment"], found["arm"]) == (None, None)
    assert (found["tier"], found["unfilled"], found["error"]) == ("hybrid", [], None)
    assert (found["query_method"], found["wording"]) == (None, None)
    trigger = {"topic": sent.topic, "partition": sent.partition, "offset": sent.offset, "event_id": "ann-1"}
    assert found["trigger"] == {**trigger, "timestamp": found["trigger"]["timestamp"]}
    assert found["published_ts"] >= found["trigger"]["timestamp"]
    assert [item["rank"] for item in found["items"]] == list(range(1, 11))
    fields = {"item_id", "rank", "score", "source", "reason", "propensity", "because"}
    assert all(set(item) == fields for item in found["items"])
    assert "i3" not in {item["item_id"] for item in found["items"]}


def test_the_profile_and_the_list_are_in_redis(running, until):
    """After a watch and a rating Redis holds both counters, the seen items, and the list last published."""
    running.send("watch-events", "bob", watch("bob-1", "bob", "i1"))
    rating = {"event_id": "bob-2", "user_id": "bob", "item_id": "i2", "ts": TS + 1, "rating": 4.5}
    running.send("rate-events", "bob", rating)
    until(lambda: running.redis.hget("user:{bob}", "list_sequence") == "2", 30, lambda: "two events applied")
    user = running.redis.hgetall("user:{bob}")
    assert (user["watches"], user["ratings"], user["rating_sum"], user["mode"]) == ("1", "1", "4.5", "cold_start")
    assert running.redis.smembers("user:{bob}:seen") == {"i1", "i2"}
    kept = orjson.loads(running.redis.get("user:{bob}:recs"))
    published = running.await_value("recommendations", lambda value: value["rec_id"] == kept["rec_id"])
    assert kept == published
    assert kept["sequence"] == 2


@pytest.mark.parametrize(
    ("value", "cause"),
    [(b"{not json", "not_json"), (b'{"event_id":"x"}', "missing_field"), (None, "empty"), (b"\xff\x00", "not_json")],
)
def test_a_bad_record_becomes_one_dead_letter_and_the_rest_goes_on(running, value, cause):
    """A bad record between two good ones is one dead letter with its place and bytes; both neighbours are answered."""
    user = f"bad-{cause}-{value and len(value)}"
    running.send("watch-events", user, watch(f"{user}-1", user, "i1"), partition=0)
    sent = running.send("watch-events", user, value, partition=0)
    running.send("watch-events", user, watch(f"{user}-2", user, "i2"), partition=0)
    place = sent.get(10)
    running.await_value("recommendations", lambda found: (found["user_id"], found["sequence"]) == (user, 2))
    [letter] = [record for record in running.records("dead-letters") if record.key == user.encode()]
    headers = dict(letter.headers)
    assert letter.value == value
    assert headers["reason"]
    assert {name: headers[name].decode() for name in ("topic", "partition", "offset", "cause")} == {
        "topic": place.topic,
        "partition": "0",
        "offset": str(place.offset),
        "cause": cause,
    }


def test_a_record_without_a_key_is_answered_by_its_value(running):
    """The user is the one in the value; a producer that forgets the key still gets a list."""
    running.send("watch-events", None, watch("nokey-1", "nokey", "i1"))
    assert running.await_value("recommendations", lambda found: found["user_id"] == "nokey")["sequence"] == 1


def test_a_repeated_event_counts_once(running):
    """Of three deliveries of one event id and one other event, two are counted for user and item."""
    for event_id in ("dup-1", "dup-1", "dup-1", "dup-2"):
        running.send("watch-events", "dup", watch(event_id, "dup", "i29"))
    running.await_value("recommendations", lambda found: found["trigger"].get("event_id") == "dup-2")
    running.await_value("recommendations", lambda found: (found["user_id"], found["sequence"]) == ("dup", 2))
    assert running.redis.hget("user:{dup}", "watches") == "2"


def test_a_request_is_answered_with_its_wishes(running):
    """A strict wish for three dramas without i0 gets three dramas, none of them i0, and makes no user."""
    wish = {"request_id": "r1", "user_id": "asks", "k": 3, "genre": "Drama", "strict": True, "exclude": ["i0"]}
    running.send("recommendation-requests", "asks", wish)
    found = running.await_value("recommendations", lambda value: value["user_id"] == "asks")
    listed = [item["item_id"] for item in found["items"]]
    assert found["trigger"] == {"request_id": "r1"}
    assert len(listed) == 3
    assert all(int(item[1:]) % 2 == 0 for item in listed)  # dramas have even numbers
    assert "i0" not in listed
    assert not running.redis.exists("user:{asks}")


def test_a_request_in_words_is_answered_by_what_it_says(running):
    """Who asks for something funny of late gets comedies of late, as soon as the worker has read the catalogue."""

    def asked(number):
        query = {"request_id": f"words-{number}", "user_id": "words", "k": 5, "query": "sth funny, not before 2005"}
        running.send("recommendation-requests", "words", query)
        return running.await_value(
            "recommendations", lambda found: found["trigger"] == {"request_id": f"words-{number}"}
        )

    answers = map(asked, count())
    found = next(answer for answer in islice(answers, 300) if "not read" not in str(answer["unfilled"]))
    numbers = [int(item["item_id"][1:]) for item in found["items"]]
    assert len(numbers) == 5
    assert all(number % 2 == 1 for number in numbers)  # comedies have odd numbers
    assert min(numbers) >= 15  # film 15 is of 2005


def test_similar_items_are_in_redis(running, until):
    """Of a drama of 1990 the most similar is another drama of about then, by content and by both."""
    until(lambda: running.redis.exists("similar:i0"), 30, lambda: "similar items")
    found = orjson.loads(running.redis.get("similar:i0"))
    assert set(found) == {"content", "behaviour", "both"}
    assert found["content"][0][0] == found["both"][0][0] == "i2"


def test_a_bad_request_becomes_a_dead_letter(running, until):
    """A request without a user is a dead letter from the requests topic, and the next one is answered."""
    running.send("recommendation-requests", "badreq", {"request_id": "r2"})
    running.send("recommendation-requests", "badreq", {"request_id": "r3", "user_id": "badreq"})
    running.await_value("recommendations", lambda value: value["trigger"] == {"request_id": "r3"})
    until(
        lambda: [letter for letter in running.records("dead-letters") if letter.key == b"badreq"],
        10,
        lambda: "a dead letter",
    )
    [letter] = [letter for letter in running.records("dead-letters") if letter.key == b"badreq"]
    assert dict(letter.headers)["cause"] == b"missing_field"


def test_a_new_version_changes_modes_without_a_restart(running):
    """A user with five known items gets personalised lists once the pointer moves, announced once by an event."""
    for n in range(5):
        running.send("watch-events", "eve", watch(f"eve-{n}", "eve", f"i{n}"))
    before = running.await_value("recommendations", lambda found: (found["user_id"], found["sequence"]) == ("eve", 5))
    assert before["mode"] == "cold_start"
    version = serve_a_version(running)

    def personalized(found):
        return found["user_id"] == "eve" and found["mode"] == "personalized"

    def asked(number):
        request = {"request_id": f"eve-{number}", "user_id": "eve"}
        running.send("recommendation-requests", "eve", request)
        return running.await_value("recommendations", lambda found: found["trigger"] == {"request_id": f"eve-{number}"})

    answers = map(asked, count())
    by_request = next(answer for answer in islice(answers, 1000) if personalized(answer))
    assert by_request["model_version"] == version
    assert [change for change in running.values("mode-changes") if change["user_id"] == "eve"] == []
    running.send("watch-events", "eve", watch("eve-5", "eve", "i5"))
    after = running.await_value("recommendations", lambda found: personalized(found) and found["sequence"] == 6)
    assert {item["source"] for item in after["items"]} == {"neumf"}
    assert {f"i{n}" for n in range(6)}.isdisjoint(item["item_id"] for item in after["items"])
    running.send("watch-events", "eve", watch("eve-6", "eve", "i6"))
    running.await_value("recommendations", lambda found: personalized(found) and found["sequence"] == 7)
    [change] = [change for change in running.values("mode-changes") if change["user_id"] == "eve"]
    assert change == {
        "user_id": "eve",
        "ts": TS,
        "previous": "cold_start",
        "mode": "personalized",
        "known_items": 6,
        "model_version": version,
        "trigger": after["trigger"],
    }
    assert running.redis.hget("user:{eve}", "mode") == "personalized"


def test_an_item_described_just_before_its_event_is_known(running, until):
    """An event on an item sent to the catalogue just before gives its user that item's genre."""
    running.send("catalog-items", "new", {"item_id": "new", "title": "New", "genres": ["Western"]}).get(10)
    running.send("watch-events", "kim", watch("kim-1", "kim", "new"))
    until(lambda: running.redis.hgetall("user:{kim}:genres"), 30, lambda: "kim's genres")
    assert set(running.redis.hgetall("user:{kim}:genres")) == {"Western"}


def test_a_bad_catalogue_record_becomes_one_dead_letter(running, until):
    """A film without a title is one dead letter with its place, which is then noted in Redis."""
    sent = running.send("catalog-items", "untitled", {"item_id": "untitled"}).get(10)

    def letters():
        return [record for record in running.records("dead-letters") if record.key == b"untitled"]

    until(letters, 20, lambda: "a dead letter")
    until(lambda: running.redis.hgetall("catalog:rejected"), 10, lambda: "its place noted")
    [letter] = letters()
    headers = dict(letter.headers)
    assert (headers["topic"].decode(), headers["offset"].decode()) == (sent.topic, str(sent.offset))
    assert headers["cause"] == b"missing_field"


@pytest.mark.parametrize("topic", ["recommendations", "mode-changes", "dead-letters", "recommendation-requests"])
def test_what_was_published_above_keeps_its_contract(running, topic):
    """Every record that the tests above led to is valid by the schema of its topic, and there are some of each."""
    assert running.records(topic)
    refused_above = ['recommendation-requests: "user_id" is a required property']
    assert running.breaches(topic) == (refused_above if topic == "recommendation-requests" else [])


def test_counters_survive_a_kill(install, until):
    """Killed in the middle of 4,000 watches and started again, a worker counts each once and omits no user's list."""
    installation = install()
    send_catalogue(installation)
    frame = stream(200, 4000, seed=1)
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        send_frame(installation, frame)
        until(lambda: sum(installation.counts("watches").values()) > 0, 30, lambda: "a first batch")
        worker.child.kill()
        worker.child.wait()
    between = sum(installation.counts("watches").values())
    assert 0 < between < len(frame)  # it was killed in the middle
    with installation.process("worker", "--id", "w"):
        until(lambda: counters_equal(installation, frame), 40, lambda: "counters as pandas computes them")
        until(lambda: lists_complete(installation, frame), 20, lambda: "a list for every user that knows every event")


def test_two_workers_share_the_partitions(install, until):
    """Two workers each apply events of their own; together they count every one once and omit no user's list."""
    installation = install()
    send_catalogue(installation)
    frame = stream(100, 1000, seed=2)
    first, second = installation.process("worker", "--id", "a"), installation.process("worker", "--id", "b")
    with first, second:
        first.await_ready()
        second.await_ready()

        def applied():
            return sorted(report.get("applied", 0) for report in installation.reports("worker"))

        sent = []

        def both_have_applied():
            part = stream(100, 200, seed=100 + len(sent))
            send_frame(installation, part)
            sent.append(part)
            return len(applied()) == 2 and applied()[0] > 0

        until(both_have_applied, 40, lambda: f"events applied by both, got {applied()}")
        send_frame(installation, frame)
        whole = pd.concat([*sent, frame])
        until(lambda: counters_equal(installation, whole), 40, lambda: "counters as pandas computes them")
        until(lambda: lists_complete(installation, whole), 20, lambda: "a list for every user that knows every event")
        assert first.terminate(10) == 0
        assert second.terminate(10) == 0


def test_sigterm_in_the_middle_of_a_stream_ends_in_order(install, until):
    """SIGTERM during 3,000 watches: exit status 0 within ten seconds, and no list was degraded by the shutdown."""
    installation = install()
    send_catalogue(installation)
    frame = stream(200, 3000, seed=3)
    with installation.process("worker") as worker:
        worker.await_ready()
        send_frame(installation, frame)
        until(lambda: sum(installation.counts("watches").values()) > 0, 30, lambda: "a first batch")
        assert worker.terminate(10) == 0
        assert "Traceback" not in worker.said()
    until(lambda: installation.values("recommendations"), 10, lambda: "lists")
    modes = {value["mode"] for value in installation.values("recommendations")}
    assert modes == {"cold_start"} or "scoring.late" in worker.said(), worker.said()  # a busy machine, no shutdown
