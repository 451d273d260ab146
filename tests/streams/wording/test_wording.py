"""Wording by a language model: a real server of that protocol, which answers well, late, wrongly, or not at all."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest
from aiohttp import web

from model.because import Because
from streams.errors import SettingsError
from streams.records.records import ListedItem, ListWording, Recommendation
from streams.serving.budget import Breaker, BreakerConfig
from streams.wording.checking import WordingError, checked
from streams.wording.endpoint import WordingEndpoint
from streams.wording.prompt import PlaceToWord
from streams.wording.wording import ListWorder

PLACES = (
    PlaceToWord("1", "Heat", ("Crime", "Thriller"), "history", "Because of Alien"),
    PlaceToWord("2", "Toy Story", ("Animation",), "newcomers", "Trending with newcomers this week"),
)
LISTED = tuple(
    ListedItem(place.item_id, rank, 1.0 / rank, "neumf", place.reason, because=Because(place.kind))
    for rank, place in enumerate(PLACES, 1)
)
MADE = Recommendation("r", "u", 1, "personalized", "v", 2, LISTED, {"request_id": "q"}, 3, 1, 2)
GOOD = [
    {"item_id": "2", "title": "Toy Story", "kind": "newcomers", "reason": "Newcomers love it this week."},
    {"item_id": "1", "title": "Heat", "kind": "history", "reason": "You liked Alien, so try Heat."},
]


def completion(items):
    """Return the body of a chat completion that says this."""
    content = items if isinstance(items, str) else orjson.dumps({"items": items}).decode()
    return orjson.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


def changed(place, **fields):
    """Return the good answer with another entry at a place."""
    return [entry | fields if number == place else entry for number, entry in enumerate(GOOD)]


@asynccontextmanager
async def server_that(answers):
    """Run a server on a port of its own; yield its address and the requests that it got."""
    got = []

    async def handle(request):
        got.append((request.headers.get("Authorization"), orjson.loads(await request.read())))
        return await answers(request)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", got
    finally:
        await runner.cleanup()


def answering(body, status=200):
    """Return a handler that always answers this."""

    async def answer(_):
        return web.Response(body=body, status=status, content_type="application/json")

    return answer


async def worded_by(answers, budget_ms=5000, failures=3):
    """Return the list after one model had its say."""
    async with server_that(answers) as (url, got):
        worder = ListWorder(
            WordingEndpoint(url, "mistral", "secret", budget_ms), Breaker(BreakerConfig(failures), time.monotonic)
        )
        try:
            return await worder.worded(MADE, PLACES), got
        finally:
            await worder.close()


async def test_a_good_answer_gives_reasons_and_order():
    """The list comes in the model's order and words, says so, and keeps items, scores and signals as they were."""
    found, got = await worded_by(answering(completion(GOOD)))
    assert found.wording == ListWording("mistral", "worded")
    assert [(item.item_id, item.rank, item.reason) for item in found.items] == [
        ("2", 1, "Newcomers love it this week."),
        ("1", 2, "You liked Alien, so try Heat."),
    ]
    assert {item.item_id: (item.score, item.because) for item in found.items} == {
        item.item_id: (item.score, item.because) for item in LISTED
    }
    (key, told), *_ = got
    assert key == "Bearer secret"
    assert told["model"] == "mistral"
    assert [place["title"] for place in orjson.loads(told["messages"][-1]["content"])["items"]] == ["Heat", "Toy Story"]


@pytest.mark.parametrize(
    "items",
    [
        changed(0, item_id="3"),
        changed(0, title="Toy Story 2"),
        changed(0, kind="history"),
        changed(0, reason="Like Jaws, it is a hit."),
        changed(0, reason="A hit of 1995."),
        changed(0, reason="Steven Spielberg loves it."),
        changed(0, reason=""),
        changed(0, reason="x" * 201),
        changed(0, reason="two\nlines"),
        changed(0, reason=7),
        GOOD[:1],
        [GOOD[0], GOOD[0], GOOD[1]],
        [*GOOD, "more"],
        "{",
        "not JSON at all",
        '{"items": "none"}',
    ],
)
async def test_an_answer_that_says_what_it_was_not_told_is_refused(items):
    """An item, title, kind, name or number from elsewhere leaves the list exactly as it was, and it says so."""
    found, _ = await worded_by(answering(completion(items)))
    assert found == replace(MADE, wording=ListWording("mistral", "refused"))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}']
)
async def test_a_body_of_another_protocol_is_refused(body):
    """What is no chat completion leaves the list as it was."""
    found, _ = await worded_by(answering(body))
    assert found == replace(MADE, wording=ListWording("mistral", "refused"))


async def test_a_server_that_fails_leaves_the_list_as_it_was():
    """An HTTP 500 and a connection that is closed are failures."""

    async def hang_up(request):
        request.transport.close()
        return web.Response()

    for answers in (answering(b"{}", status=500), hang_up):
        found, _ = await worded_by(answers)
        assert found == replace(MADE, wording=ListWording("mistral", "failed"))


async def test_nobody_waits_longer_than_the_budget():
    """A slow model, and one that sends its answer byte by byte, are left alone after 200 ms."""

    async def sleep(_):
        await asyncio.sleep(3.0)
        return web.Response(body=completion(GOOD))

    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in completion(GOOD):
            await response.write(bytes([byte]))
            await asyncio.sleep(0.05)
        return response

    for answers in (sleep, drip):
        async with server_that(answers) as (url, _):
            worder = ListWorder(
                WordingEndpoint(url, "mistral", budget_ms=200), Breaker(BreakerConfig(), time.monotonic)
            )
            began = time.monotonic()
            found = await worder.worded(MADE, PLACES)
            assert time.monotonic() - began < 1.5  # seconds; the machine may be busy, but not the model's three
            assert found == replace(MADE, wording=ListWording("mistral", "late"))
            await worder.close()


async def test_nobody_listens():
    """A port without a server is a failure, and after three of them nobody is asked for a while."""
    async with server_that(answering(b"")) as (url, _):
        pass
    clock = [0.0]
    worder = ListWorder(WordingEndpoint(url, "mistral"), Breaker(BreakerConfig(3, rest_s=5.0), lambda: clock[0]))
    statuses = [(await worder.worded(MADE, PLACES)).wording.status for _ in range(5)]
    assert statuses == ["failed", "failed", "failed", "skipped", "skipped"]
    clock[0] = 6.0
    assert (await worder.worded(MADE, PLACES)).wording.status == "failed"
    await worder.close()


async def test_what_chance_placed_keeps_its_place():
    """A list with a place that is left to chance gets other words and no other order."""
    items = (LISTED[0], replace(LISTED[1], propensity=0.1))
    async with server_that(answering(completion(GOOD))) as (url, _):
        worder = ListWorder(WordingEndpoint(url, "mistral"), Breaker(BreakerConfig(), time.monotonic))
        found = await worder.worded(replace(MADE, items=items), PLACES)
        await worder.close()
    assert [item.item_id for item in found.items] == ["1", "2"]
    assert found.items[0].reason == "You liked Alien, so try Heat."


async def test_more_lists_than_are_asked_about_at_once_go_out_unworded():
    """Of twelve lists at once eight are worded, and the others wait for nobody."""

    async def answer(_):
        await asyncio.sleep(0.1)
        return web.Response(body=completion(GOOD))

    async with server_that(answer) as (url, _):
        worder = ListWorder(WordingEndpoint(url, "mistral", budget_ms=5000), Breaker(BreakerConfig(), time.monotonic))
        found = await asyncio.gather(*(worder.worded(MADE, PLACES) for _ in range(12)))
        await worder.close()
    assert sorted(one.wording.status for one in found) == ["skipped"] * 4 + ["worded"] * 8


def test_words_of_the_request_may_be_said():
    """A name that the person typed is no invention."""
    answer = completion(changed(1, reason="You asked for Pacino."))
    assert checked(answer, PLACES, "something with Pacino")[1].reason == "You asked for Pacino."
    with pytest.raises(WordingError, match="Pacino"):
        checked(answer, PLACES)


def test_an_answer_in_a_fence_is_read():
    """Models wrap JSON in a code block however they are asked not to."""
    body = completion("```json\n" + orjson.dumps({"items": GOOD}).decode() + "\n```")
    assert [place.item_id for place in checked(body, PLACES)] == ["2", "1"]


def test_the_endpoint_is_read_from_the_environment():
    """Without a URL there is none; what cannot be used names its variable; the key is in no repr."""
    assert WordingEndpoint.from_environment({}) is None
    given = {"REELSTREAM_WORDING_URL": "http://h:1/v1/", "REELSTREAM_WORDING_MODEL": "mistral"}
    found = WordingEndpoint.from_environment(given | {"REELSTREAM_WORDING_KEY": "secret"})
    assert found.completions == "http://h:1/v1/chat/completions"
    assert found.budget_ms == 800
    assert "secret" not in repr(found)
    for wrong, variable in (
        ({"REELSTREAM_WORDING_URL": "h:1"}, "REELSTREAM_WORDING_URL"),
        ({"REELSTREAM_WORDING_MODEL": ""}, "REELSTREAM_WORDING_MODEL"),
        ({"REELSTREAM_WORDING_BUDGET_MS": "soon"}, "REELSTREAM_WORDING_BUDGET_MS"),
        ({"REELSTREAM_WORDING_BUDGET_MS": "0"}, "REELSTREAM_WORDING_BUDGET_MS"),
    ):
        with pytest.raises(SettingsError, match=variable):
            WordingEndpoint.from_environment(given | wrong)
