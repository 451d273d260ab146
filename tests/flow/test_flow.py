"""Records in, lists out: the worker without Kafka, on a real Redis and with a list for a producer."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from aiohttp import web
from aiokafka import ConsumerRecord
from redis import Redis

from agents.worker.app import Driver, join_worker
from agents.worker.batch import answer_batch, consume_events
from agents.worker.catalogue import FeedLetters
from agents.worker.refresh import RefreshConfig
from agents.worker.remaking import ListRemaker
from agents.worker.requests import answer_requests
from agents.worker.runtime import WorkerConfig
from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.ranking.cold_start import Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.hint_lifts import HintLifts
from model.reranking.diversified import DiversityConfig
from replay.prequential.offline_worker import OfflineWorker, OfflineWorkerConfig
from streams.errors import StateAway
from streams.kafka.publisher import Publisher
from streams.kafka.topics import EVENTS
from streams.reading.fetched import FetchedMessage
from streams.records.codec import BadRecord
from streams.records.decoding import RawRecord, Rejected, decode_batch
from streams.records.records import Origin
from streams.records.trace_context import TraceContext
from streams.redis.connection import connect
from streams.redis.heartbeat import SignOfLife
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig
from streams.settings import Settings
from streams.state.keys import CATALOG_REJECTED
from streams.state.store import State
from streams.wording.endpoint import WordingEndpoint
from streams.wording.wording import ListWorder
from tests.toy import toy_snapshot

TS = 1_700_000_000_000
HOUR = 3_600_000
ITEMS = tuple(f"i{n}" for n in range(30))
OWN = (EventKind("like", 0.8, is_positive=True), EventKind("skip", 0.1, is_positive=False))
KINDS = KindTable.of((*DEFAULT_KINDS.rows, *OWN))
CATALOGUE = Catalogue.of(Item(item, f"Film {n}", None, ("Drama",)) for n, item in enumerate(ITEMS))


class Sent(list):
    """A producer that is the list of what was sent: topic, key and value; it refuses while ``refuses`` is set."""

    refuses = False

    def __init__(self):
        super().__init__()
        self.headers = []

    async def send(self, topic, key, value, partition, timestamp, headers):  # noqa: ARG002 - a producer's signature
        """Take a record, delivered at once."""
        if self.refuses:
            raise ConnectionError("the broker is gone")
        self.append((topic, key, value))
        self.headers.append(headers)
        return _delivered()

    def values(self, topic):
        """Return the JSON of everything sent to a topic."""
        return [orjson.loads(value) for at, _, value in self if at == topic]


async def _delivered():
    """Be delivered."""


@pytest.fixture
def sent():
    """Return an empty list that records can be sent to."""
    return Sent()


@pytest.fixture
def config():
    """Return the usual sizes."""
    return WorkerConfig()


@pytest.fixture
async def worker(redis_url, sent, tmp_path, config):
    """Return a worker with a catalogue of thirty films, joined as in production but for Faust."""
    settings = Settings("unused:1", redis_url, str(tmp_path / "models"), partitions=2, kinds=KINDS)
    client = connect(redis_url)
    state = State(client, kinds=KINDS)
    await state.install()

    scoring = BudgetedScorer(30.0, Breaker(BreakerConfig(), time.monotonic))
    serving = Serving(config.serving, scoring, state, lambda: TS)
    driver = Driver(lambda: Publisher(sent), frozenset, lambda origin: origin.offset)
    joined = join_worker(settings, config, state, serving, SignOfLife(client, "worker"), driver)
    joined.catalogue.feed.catalogue = CATALOGUE
    joined.current.recommender = joined.current.recommender.with_catalogue(CATALOGUE, ContentIndex(CATALOGUE))
    yield joined
    scoring.close()
    await client.aclose()


@pytest.fixture
def state(redis_url):
    """Return a client that reads what the worker wrote."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def event(topic, offset, value):
    """Return a record of partition 0, a millisecond after the one before, under its user's key or else ``k``."""
    key = value["user_id"].encode() if isinstance(value, dict) and "user_id" in value else b"k"
    body = orjson.dumps(value) if isinstance(value, dict) else value
    return RawRecord(Origin(topic, 0, offset, TS + offset), key, body)


def watched(user_id, item, offset):
    """Return the event of a watch whose id is of its offset."""
    fields = {"event_id": f"e{offset}", "user_id": user_id, "item_id": item, "ts": TS + offset, "progress": 1.0}
    return event("watch-events", offset, fields)


def serve(worker, *, sick=False):
    """Let the worker serve a small network; a sick one scores NaN."""
    ranker = Ranker(toy_snapshot(ITEMS, seed=2, is_sick=sick))
    worker.current.recommender = worker.current.recommender.with_model(ranker, "v1")


async def test_a_batch_becomes_one_list_for_each_touched_user(worker, sent, state):
    """Three events of two users yield two lists, each triggered by its user's last event and kept as published."""
    await answer_batch(worker, [watched("a", "i1", 0), watched("b", "i2", 1), watched("a", "i3", 2)])
    lists = {value["user_id"]: value for value in sent.values("recommendations")}
    assert len(sent) == len(lists) == 2
    assert (lists["a"]["trigger"]["offset"], lists["a"]["sequence"]) == (2, 2)
    assert (lists["b"]["trigger"]["offset"], lists["b"]["sequence"]) == (1, 1)
    assert {"i1", "i3"}.isdisjoint(item["item_id"] for item in lists["a"]["items"])
    assert {key: value.decode() for _, key, value in sent} == {
        b"a": state.get("user:{a}:recs"),
        b"b": state.get("user:{b}:recs"),
    }


async def test_a_trace_is_carried_on_as_it_is(worker, sent):
    """Where nobody asks for spans a list has the trace headers of its user's last event, and no other header."""
    parents = [f"00-{n:032x}-{n:016x}-01".encode() for n in (1, 2, 3)]
    events = [watched("a", "i1", 0), watched("a", "i2", 1), watched("b", "i2", 2), watched("c", "i3", 3)]
    events = [
        replace(one, trace=TraceContext.of_headers([("traceparent", parent), ("other", b"x")]))
        for one, parent in zip(events, [*parents, b"no parent"], strict=True)
    ]
    await answer_batch(worker, events)
    found = {key: headers for (_, key, _), headers in zip(sent, sent.headers, strict=True)}
    assert found == {b"a": {"traceparent": parents[1]}, b"b": {"traceparent": parents[2]}, b"c": None}


def acted(user_id, kind, item, offset):
    """Return the event of an action whose id is of its offset."""
    fields = {"event_id": f"a{offset}", "user_id": user_id, "item_id": item, "ts": TS + offset, "kind": kind}
    return event("action-events", offset, fields)


def requested(request_id, user_id, **wanted):
    """Return the event of a request."""
    return event("recommendation-requests", 0, {"request_id": request_id, "user_id": user_id, **wanted})


@pytest.mark.parametrize("mode", ["cold_start", "personalized", "degraded"])
async def test_a_hidden_item_leaves_lists_of_every_mode_at_once(worker, sent, mode):
    """The first item is hidden: neither the next list holds it, nor one that is asked for, until it is unhidden."""
    if mode != "cold_start":
        serve(worker)
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(4)])
    if mode == "degraded":
        serve(worker, sick=True)
    first = sent.values("recommendations")[-1]["items"][0]["item_id"]
    await answer_batch(worker, [acted("a", "hide", first, 0)])
    await answer_requests(worker, [requested("r", "a", k=30)])
    hidden, asked = sent.values("recommendations")[-2:]
    assert hidden["mode"] == mode
    assert hidden["trigger"]["topic"] == "action-events"
    assert len(asked["items"]) == 30 - 5  # all but four watched ones and the hidden one
    assert first not in {one["item_id"] for one in (*hidden["items"], *asked["items"])}
    await answer_batch(worker, [acted("a", "unhide", first, 1)])
    await answer_requests(worker, [requested("s", "a", k=30)])
    assert first in {one["item_id"] for one in sent.values("recommendations")[-1]["items"]}


@pytest.mark.parametrize("has_model", [False, True])
async def test_a_hidden_item_is_no_repeat(worker, sent, has_model):
    """Where people come back to items, what is hidden is listed neither as new nor as a repeat."""
    worker.current.recommender = replace(worker.current.recommender, repeats=True)
    if has_model:
        serve(worker)
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(4)])
    await answer_batch(worker, [acted("a", "hide", "i1", 0), acted("a", "hide", "i9", 1)])
    await answer_requests(worker, [requested("r", "a", k=30)])
    asked = {one["item_id"] for one in sent.values("recommendations")[-1]["items"]}
    assert asked >= set(ITEMS[4:]) - {"i9"}
    assert not asked & {"i1", "i9"}


async def test_a_language_model_words_what_is_asked_for(worker, sent):
    """A request's list comes in the model's words and says so; the list of an event is nobody's business."""

    async def answer(request):
        told = orjson.loads(orjson.loads(await request.read())["messages"][-1]["content"])
        items = [one | {"reason": "You may like it."} for one in told["items"]]
        content = orjson.dumps({"items": items}).decode()
        return web.json_response({"choices": [{"message": {"content": content}}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    worker.worder = ListWorder(
        WordingEndpoint(url, "mistral", budget_ms=20_000), Breaker(BreakerConfig(), time.monotonic)
    )
    await answer_batch(worker, [watched("a", "i0", 0)])
    await answer_requests(worker, [requested("r", "a", k=3)])
    await worker.worder.close()
    await runner.cleanup()
    of_event, asked = sent.values("recommendations")
    assert of_event["wording"] is None
    assert asked["wording"] == {"model": "mistral", "status": "worded"}
    assert [one["reason"] for one in asked["items"]] == ["You may like it."] * 3
    assert {one["item_id"] for one in asked["items"]} == {one["item_id"] for one in of_event["items"][:3]}


async def test_nothing_is_listed_because_of_a_hidden_item(worker, sent):
    """Once both watched films are hidden, no reason names one of them."""
    serve(worker)
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(5)])
    named = {one["reason"] for one in sent.values("recommendations")[-1]["items"]}
    assert any(reason.startswith("Because of") for reason in named)
    await answer_batch(worker, [acted("a", "hide", f"i{n}", n) for n in range(5)])
    assert not any("Film" in one["reason"] for one in sent.values("recommendations")[-1]["items"])


async def test_an_unknown_kind_is_a_letter_that_names_the_known_ones(worker, sent):
    """The rest of the batch goes on."""
    await answer_batch(worker, [acted("a", "lik", "i1", 0), acted("a", "like", "i2", 1)])
    assert [one["sequence"] for one in sent.values("recommendations")] == [1]
    assert [topic for topic, _, _ in sent].count("dead-letters") == 1


async def test_a_redelivered_batch_repeats_the_identities_and_changes_nothing(worker, sent, state):
    """Answered twice, a batch publishes the same ids, items and sequence, and counts nothing again."""
    batch = [watched("a", "i1", 0), watched("a", "i2", 1)]
    await answer_batch(worker, batch)
    before = state.hgetall("user:{a}")
    await answer_batch(worker, batch)
    first, second = sent.values("recommendations")
    assert first == second
    assert state.hgetall("user:{a}") == before
    assert (worker.report.events, worker.report.applied) == (4, 2)


async def test_a_bad_record_goes_aside_with_its_bytes(worker, sent):
    """Of three records the bad one is a dead letter and the user's list knows the other two."""
    await answer_batch(worker, [watched("a", "i1", 0), event("watch-events", 1, b"\xff"), watched("a", "i2", 2)])
    assert [(key, value) for topic, key, value in sent if topic == "dead-letters"] == [(b"k", b"\xff")]
    [found] = sent.values("recommendations")
    assert found["sequence"] == 2
    assert worker.report.rejected == 1


async def test_every_letter_is_counted_and_told_in_one_line(worker, sent, caplog):
    """Two bad events, a bad request and a bad film are four letters, four in the report, and one line at once."""
    await answer_batch(worker, [event("watch-events", 0, b"\xff"), event("watch-events", 1, b"[]")])
    await answer_requests(worker, [event("recommendation-requests", 0, {"request_id": "r"})])
    film = RawRecord(Origin("catalog-items", 0, 3), b"f", b"{")
    feed = worker.catalogue.feed
    feed.take_rejected = lambda: (Rejected(film, "not_json", "value must be JSON"),)
    letters = FeedLetters(
        worker.state, RefreshConfig(), lambda: True, feed, CATALOG_REJECTED, worker.publisher, worker.rejections
    )
    await letters.refresh()
    await letters.refresh()  # read again, it is known to be out
    assert [key for topic, key, _ in sent if topic == "dead-letters"] == [b"k", b"k", b"k", b"f"]
    assert worker.report.rejected == 4
    [line] = [message for message in caplog.messages if message.startswith("worker.dead_letters")]
    assert line.startswith(
        "worker.dead_letters 2: not_json 1, not_an_object 1; the first is watch-events[0] offset 0, "
    )


async def test_a_letter_that_could_not_be_sent_is_sent_next(worker, sent, monkeypatch):
    """Where Redis is away when a bad record of a compacted topic is to be reported, it waits for the next time."""
    film = RawRecord(Origin("catalog-items", 0, 3), b"f", b"{")
    feed = worker.catalogue.feed
    feed._reject(film, BadRecord("not_json", "value must be JSON"))
    letters = FeedLetters(
        worker.state, RefreshConfig(), lambda: True, feed, CATALOG_REJECTED, worker.publisher, worker.rejections
    )

    async def away(_):
        raise StateAway("state: away")

    with monkeypatch.context() as patched:
        patched.setattr(worker.state, "rejected", away)
        with pytest.raises(StateAway):
            await letters.refresh()
    for _ in range(2):
        await letters.refresh()
        assert [key for topic, key, _ in sent if topic == "dead-letters"] == [b"f"]


async def test_hints_order_the_first_list_and_are_in_nothing_that_is_sent_or_kept(worker, sent, state):
    """Where women begin with i7 most, it comes first in a woman's first list; neither list nor Redis tells why."""
    trending = Trending.of((item, 30.0 - n) for n, item in enumerate(ITEMS))
    lifts = HintLifts({"gender:woman": {item: 3.0 if item == "i7" else 1.0 for item in ITEMS}})
    worker.current.recommender = worker.current.recommender.with_trending(trending).with_hint_lifts(lifts)
    hints = orjson.dumps({"user_id": "a", "gender": "woman"})
    worker.hints._take([RawRecord(Origin("user-profiles", 0, 0, time.time_ns() // 1_000_000), b"a", hints)])
    for number, user in enumerate("ab"):
        await answer_requests(worker, [event("recommendation-requests", number, {"request_id": user, "user_id": user})])
    await answer_batch(worker, [watched("a", "i1", 0)])
    first = [found["items"][0]["item_id"] for found in sent.values("recommendations")]
    assert first == ["i7", "i0", "i7"]
    assert b"woman" not in b"".join(value for _, _, value in sent)
    kept = [*state.hgetall("user:{a}").values(), state.get("user:{a}:recs")]
    assert not any("woman" in value for value in kept)


async def test_a_future_dated_event_is_the_newest_until_the_next(worker):
    """An event of next month counts as of its record, and the one sent a millisecond later is newer."""
    ahead = {"event_id": "e0", "user_id": "a", "item_id": "i1", "ts": TS + 720 * HOUR, "progress": 1.0}
    await answer_batch(worker, [event("watch-events", 0, ahead), watched("a", "i2", 1)])
    profile = (await worker.state.profiles(["a"]))["a"]
    assert [(one.item_id, one.ts) for one in profile.recent] == [("i2", TS + 1), ("i1", TS)]
    assert profile.last_ts == TS + 1


async def test_what_was_not_published_is_not_kept_and_comes_with_the_next_delivery(worker, sent, state):
    """When the broker refuses, no list or mode is kept; redelivered, the change of mode is announced after all."""
    serve(worker)
    batch = [watched("a", f"i{n}", n) for n in range(5)]
    sent.refuses = True
    with pytest.raises(ConnectionError):
        await answer_batch(worker, batch)
    assert not state.exists("user:{a}:recs")
    assert state.hget("user:{a}", "mode") is None
    sent.refuses = False
    await answer_batch(worker, batch)
    [change] = sent.values("mode-changes")
    assert (change["mode"], change["known_items"]) == ("personalized", 5)
    assert state.hget("user:{a}", "mode") == "personalized"
    await answer_batch(worker, [watched("a", "i9", 5)])
    assert len(sent.values("mode-changes")) == 1


class Stream:
    """The stream of an agent that holds some fetches, each an event, and notes what was acknowledged."""

    def __init__(self, *fetches):
        self.done = []
        self._fetches = fetches

    async def events(self):
        """Give one event for each fetch, all at once."""
        for records in self._fetches:
            of_kafka = [
                ConsumerRecord(*at, 0, one.key, one.value, None, 0, 0, ())
                for one in records
                for at in [(one.origin.topic, one.origin.partition, one.origin.offset, one.origin.timestamp)]
            ]
            yield SimpleNamespace(message=FetchedMessage(of_kafka, 1))

    async def ack(self, event):
        """Note the last offset."""
        self.done.append(event.message.offset)


@pytest.mark.parametrize("config", [WorkerConfig(batch=1, within_s=0.0)])
async def test_batches_that_overlap_announce_a_change_once_and_in_order(worker, sent, state):
    """Four batches of one user, the second of which is its fifth item: one change, lists and offsets in order."""
    serve(worker)
    stream = Stream([watched("a", f"i{n}", n) for n in range(4)], *([watched("a", f"i{n}", n)] for n in range(4, 10)))
    worker._ready.set()
    await consume_events(worker, stream)
    assert stream.done == [3, 4, 5, 6, 7, 8, 9]
    assert [value["sequence"] for value in sent.values("recommendations")] == [4, 5, 6, 7, 8, 9, 10]
    assert len(sent.values("mode-changes")) == 1
    assert state.hget("user:{a}", "mode") == "personalized"


async def test_a_degraded_list_writes_no_mode(worker, sent, state):
    """With a sick model the list is degraded, and the user is cold until a sound one has answered."""
    serve(worker, sick=True)
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(6)])
    [found] = sent.values("recommendations")
    assert (found["mode"], found["model_version"]) == ("degraded", None)
    assert sent.values("mode-changes") == []
    assert state.hget("user:{a}", "mode") == "cold_start"
    serve(worker)
    await answer_batch(worker, [watched("a", "i9", 6)])
    assert [change["mode"] for change in sent.values("mode-changes")] == ["personalized"]
    assert state.hget("user:{a}", "mode") == "personalized"
    assert worker.report.degraded == 1


async def test_a_personalised_user_stays_so_through_a_degraded_list(worker, sent, state):
    """A sick model takes nobody's mode away."""
    serve(worker)
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(6)])
    serve(worker, sick=True)
    await answer_batch(worker, [watched("a", "i9", 6)])
    assert [value["mode"] for value in sent.values("recommendations")] == ["personalized", "degraded"]
    assert state.hget("user:{a}", "mode") == "personalized"
    assert len(sent.values("mode-changes")) == 1


def remaker(worker, *partitions):
    """Return what makes degraded lists again, of a worker that has these partitions of watches."""
    return ListRemaker(worker, lambda: {("watch-events", partition) for partition in partitions})


async def test_a_degraded_list_is_made_again_once_there_is_scoring(worker, sent, state):
    """For the same event, under another id, with the mode and its change, in its trace; once, and not before."""
    serve(worker, sick=True)
    events = [watched("a", f"i{n}", n) for n in range(6)]
    parent = f"00-{1:032x}-{1:016x}-01".encode()
    events[-1] = replace(events[-1], trace=TraceContext.of_headers([("traceparent", parent)]))
    await answer_batch(worker, events)
    again = remaker(worker, 0)
    await again.refresh()
    assert len(sent) == 1  # it is still sick
    serve(worker)
    await again.refresh()
    await again.refresh()
    degraded, made = sent.values("recommendations")
    assert (made["mode"], made["model_version"], made["sequence"]) == ("personalized", "v1", 6)
    assert made["trigger"] == degraded["trigger"]
    assert made["rec_id"] != degraded["rec_id"]
    assert orjson.loads(state.get("user:{a}:recs")) == made
    assert state.hget("user:{a}", "mode") == "personalized"
    assert [change["mode"] for change in sent.values("mode-changes")] == ["personalized"]
    assert [headers for (topic, *_), headers in zip(sent, sent.headers, strict=True) if topic == "recommendations"] == [
        {"traceparent": parent}
    ] * 2
    await answer_batch(worker, [watched("a", "i9", 6)])
    assert len(sent.values("mode-changes")) == 1


async def test_only_lists_that_are_the_last_and_ours_are_made_again(worker, sent):
    """Neither who has a newer list by now, nor whose events another worker has, nor a request gets one more."""
    worker.current.recommender = worker.current.recommender.without_model()
    await answer_batch(worker, [watched("a", "i1", 0), watched("b", "i2", 1)])
    await answer_requests(worker, [requested("r", "c")])
    serve(worker)
    await answer_batch(worker, [watched("a", "i3", 2)])
    assert len(worker.degraded) == 1
    await remaker(worker, 1).refresh()
    assert len(worker.degraded) == 0
    assert [one["user_id"] for one in sent.values("recommendations")] == ["a", "b", "c", "a"]


async def test_who_is_behind_makes_no_list_again(worker, sent):
    """With more than a batch to do, or without a version, what is degraded waits; then all are made, few at a time."""
    worker.current.recommender = worker.current.recommender.without_model()
    await answer_batch(worker, [watched(f"u{n}", f"i{n % 30}", n) for n in range(40)])
    again = remaker(worker, 0)
    await again.refresh()
    serve(worker)
    worker.report.lag = worker.config.batch + 1
    await again.refresh()
    assert len(sent) == 40
    worker.report.lag = 0
    await again.refresh()
    assert [one["mode"] for one in sent.values("recommendations")[40:]] == ["cold_start"] * 40
    assert len(worker.degraded) == 0


async def test_a_user_who_has_seen_everything_gets_an_empty_list(worker, sent):
    """After all thirty films a list is published all the same, with no items."""
    await answer_batch(worker, [watched("a", item, n) for n, item in enumerate(ITEMS)])
    [found] = sent.values("recommendations")
    assert (found["items"], found["sequence"]) == ([], 30)


async def test_a_request_leaves_no_trace_in_the_state(worker, sent, state):
    """Answered with a personalised list, a request keeps neither list nor mode and announces nothing."""
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(5)])
    before = {key: state.dump(key) for key in state.keys("user:*")}
    serve(worker)
    request = {"request_id": "r", "user_id": "a", "k": 4, "exclude": ["i29"]}
    await answer_requests(worker, [event("recommendation-requests", 0, request)])
    found = sent.values("recommendations")[-1]
    assert (found["mode"], found["trigger"], found["k"]) == ("personalized", {"request_id": "r"}, 4)
    assert len(found["items"]) == 4
    assert (found["sequence"], found["ts"]) == (5, TS + 4)
    assert sent.values("mode-changes") == []
    assert {key: state.dump(key) for key in state.keys("user:*")} == before


async def test_every_request_of_a_wave_is_answered_with_its_own_list(worker, sent):
    """Three sound requests and two bad ones are five answers, in one publication for the sound ones' own wishes."""
    await answer_batch(worker, [watched("a", f"i{n}", n) for n in range(5)])
    serve(worker)
    wave = [
        requested("first", "a", k=3),
        requested("long", "a", k=500),
        requested("genre", "b", genres={"must": ["Dramma"]}),
        requested("years", "b", years=[2000, 1990]),
        requested("seen", "a", k=30, allow_seen=True),
    ]
    await answer_requests(worker, wave)
    found = {one["trigger"]["request_id"]: one for one in sent.values("recommendations")[1:]}
    assert [len(found[name]["items"]) for name in ("first", "long", "genre", "years", "seen")] == [3, 0, 0, 0, 30]
    assert (found["first"]["tier"], found["first"]["error"], found["first"]["unfilled"]) == ("personalized", None, [])
    assert (found["long"]["mode"], found["long"]["tier"]) == ("refused", None)
    assert found["long"]["error"] == (
        "recommendation-requests: k must be a whole number from 1 to 200, got 500; "
        "mend it and ask again under another request_id"
    )
    assert "years must be the first and then the last, got [2000, 1990]" in found["years"]["error"]
    assert found["genre"]["unfilled"] == [
        "genres: no genre 'Dramma'; the catalogue has Drama (nearest: Drama)",
        "no item of the catalogue fits all that was asked for strictly",
        "0 of 10 items",
    ]
    assert found["seen"]["items"][0]["rank"] == 1
    assert [topic for topic, _, _ in sent if topic == "dead-letters"] == []
    assert worker.report.refused == 2


async def test_an_answer_to_somebody_without_events_is_of_its_request(worker, sent):
    """A stranger's list and a refusal have the time of the request's record, which is never 0."""
    await answer_requests(worker, [requested("r", "stranger"), requested("s", "stranger", k=0)])
    assert [(one["ts"], one["event_ts"]) for one in sent.values("recommendations")] == [(TS, TS)] * 2


async def test_a_repeated_request_is_answered_under_the_same_identity(worker, sent):
    """A request that is read again repeats its list, and so does one that was refused."""
    for _ in range(2):
        await answer_requests(worker, [requested("r", "a"), requested("s", "a", k=0)])
    refused, first, refused_again, again = sent.values("recommendations")
    assert (first, refused) == (again, refused_again)
    assert first["rec_id"] != refused["rec_id"]


def mixed_log(n):
    """Return n events of 9 users in batches of 1 to 20: of each topic, some late, of films new and known."""
    draw, offsets, batches = np.random.default_rng(5), dict.fromkeys(EVENTS, 0), [[]]
    for number in range(n):
        topic = EVENTS[int(draw.integers(3))]
        offset = offsets[topic]
        offsets[topic] += 1
        late = int(draw.integers(50)) if draw.random() < 0.1 else 0
        fields = {"event_id": f"e{number}", "user_id": f"u{draw.integers(9)}", "item_id": f"i{draw.integers(30)}"}
        fields["ts"] = TS + HOUR * (number - late - n)
        kind = KINDS.own[int(draw.integers(len(KINDS.own)))]
        told = ({"progress": 0.7}, {"rating": float(draw.integers(1, 11)) / 2}, {"kind": kind})
        fields |= told[EVENTS.index(topic)]
        if len(batches[-1]) >= draw.integers(1, 21):
            batches.append([])
        batches[-1].append(event(topic, offset, fields))
    return batches


DISCOUNTING = WorkerConfig(serving=ServingConfig(diversity=DiversityConfig(impression_discount=0.5)))


@pytest.mark.parametrize("config", [WorkerConfig(), DISCOUNTING])
async def test_both_roads_give_the_same_lists(worker, sent, config):
    """One log in the same batches, with Redis and offline, trending and a version changed alike: the same lists."""
    explaining = OfflineWorkerConfig(serving=config.serving)  # a replay need not read reasons, but can
    offline, made = OfflineWorker(CATALOGUE, explaining, kinds=KINDS), []
    for number, batch in enumerate(mixed_log(240)):
        await answer_batch(worker, batch)
        made += offline.take([decode_batch(batch, kinds=KINDS).events])  # type: ignore[list-item]  # no withdrawals
        if number % 4 == 3:
            await worker.state.merge_trending(2, CATALOGUE)
            trending, newcomers = await worker.state.trending(500), await worker.state.newcomers(500)
            worker.current.recommender = worker.current.recommender.with_trending(
                Trending.of(trending), Trending.of(newcomers)
            )
            offline.merge_trending()
        if number == 10:
            serve(worker)
            offline.use(worker.current.recommender.ranker, "v1")
    published = sent.values("recommendations")
    assert len(published) == len(made) > 60
    for online, offline_list in (
        (worker.current.recommender.trending, offline.recommender.trending),
        (worker.current.recommender.newcomers, offline.recommender.newcomers),
    ):
        assert len(online) > 20
        assert dict(online.scores) == pytest.approx(dict(offline_list.scores))
    assert {one["mode"] for one in published} == {"cold_start", "personalized"}
    profiles = await worker.state.profiles(f"u{n}" for n in range(9))
    shown = {user_id: profile.impressions for user_id, profile in profiles.items() if profile.impressions}
    assert shown == offline.state.impressions()
    assert bool(shown) is (config is DISCOUNTING)
    for online, offline in zip(published, map(orjson.loads, map(orjson.dumps, made)), strict=True):
        assert online.pop("published_ts") != offline.pop("published_ts")
        places, others = online.pop("items"), offline.pop("items")
        assert online == offline
        assert [one.pop("score") for one in places] == pytest.approx([one.pop("score") for one in others], abs=2e-6)
        assert places == others
