"""The API beside a real worker, over HTTP: every road, every kind of problem, keys, and servers that are away."""

import json
import subprocess
import sys
import time

import httpx
import orjson
import pytest

from reelstream import cli
from web.api.keys import KeyFile

PROBLEM = "application/problem+json"


def problem(answer):
    """Return the problem that an answer is."""
    assert answer.headers["content-type"] == PROBLEM, answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert {"type", "title", "detail", "instance"} <= told.keys()
    return told


def profile_with(api, until, watches):
    """Return ann's profile once it counts so many watches."""
    until(lambda: api.get("/users/ann").json()["watches"] >= watches, 30, lambda: f"{watches} watches")
    return api.get("/users/ann").json()


def test_lists_are_stored_short_titled_or_made_now(api, served):
    """The stored list is the very bytes of Redis; wishes make a new one; who has none gets what trends."""
    stored = api.get("/users/ann/recommendations")
    assert stored.text == served.redis.get("user:{ann}:recs")
    assert len(stored.json()["items"]) == 3
    short = api.get("/users/ann/recommendations?k=1&titles=true").json()
    assert [item["title"] for item in short["items"]] == ["A Long Winter"]
    wished = api.get("/users/ann/recommendations", params={"genres": "Family", "strict": True, "exclude": "2"}).json()
    assert [item["item_id"] for item in wished["items"]] == ["3"]
    assert wished["rec_id"] != stored.json()["rec_id"]
    assert wished["stale"] is False if "stale" in wished else True
    nobody = api.get("/users/nobody/recommendations").json()
    assert (nobody["rec_id"], nobody["tier"], [item["item_id"] for item in nobody["items"]]) == (
        None,
        "trending",
        ["1"],
    )


def test_a_fresh_list_that_is_late_is_the_stored_one(start, served):
    """With a budget that nobody can keep, the answer is the stored list, and says that it is stale."""
    with start("--budget-ms", "1") as (_, api):
        late = api.get("/users/ann/recommendations?fresh=true")
    assert late.status_code == 200
    assert late.json()["stale"] is True
    assert late.json()["rec_id"] == json.loads(served.redis.get("user:{ann}:recs"))["rec_id"]


def test_two_roads_of_older_apps_answer(api, until):
    """A genre and words lead to fresh lists with titles; words that a busy worker cannot read in time count nothing."""
    by_genre = api.get("/recommendations?user_id=ann&genre=Comedy&top_k=1&strict=true").json()
    assert [item["title"] for item in by_genre["items"]] == ["Night Ferry"]
    words = {"q": "a comedy", "user_id": "ann", "top_k": 2, "genre_alpha": 3, "pop_alpha": 0, "embed_alpha": 0.5}

    def by_words():
        told = api.get("/intent_recommendations", params=words).json()
        assert told["k"] == 2
        return told["items"][0]["title"]

    until(lambda: by_words() == "Night Ferry", 30, by_words)


def test_the_catalogue_and_what_operators_see(api):
    """Items, similar ones, genres, search, users, what trends, versions, experiment, quality and health answer."""
    assert api.get("/items/3").json()["title"] == "Night Ferry"
    assert api.get("/items/1/similar?by=content&k=1").json()["content"][0]["title"] == "A Long Winter"
    assert [one["genre"] for one in api.get("/genres").json()["genres"]] == ["Comedy", "Drama", "Family"]
    assert [one["item_id"] for one in api.get("/search?q=ngiht fery").json()["items"]] == ["3"]
    assert "ann" in api.get("/users?prefix=a").json()["users"]
    assert api.get("/hot?genre=Drama&k=1").json()["items"][0]["title"] == "The Glass Lantern"
    assert api.get("/models").json() == {"current": None, "anchor": None, "versions": []}
    assert problem(api.get("/models/v000001-00000000"))["status"] == 404
    assert problem(api.post("/models/rollback"))["status"] == 404
    assert api.get("/experiments").json() == {"experiment": None}
    assert api.get("/quality").json()["figures"] is None
    assert api.get("/health/live").json() == {"status": "alive"}
    assert api.get("/health/ready").json()["status"] == "ready"
    figures = api.get("/metrics").text
    assert 'reelstream_api_requests_total{method="GET",route="/genres",status="200"}' in figures
    assert 'reelstream_cache_lookups_total{cache="catalogue",outcome="hit"}' in figures


def test_events_are_accepted_one_by_one_and_count_once(api, until):
    """A batch is answered event by event; what was sent before counts once; a batch of bad ones is a problem."""
    batch = [
        {"event_id": "b1", "user_id": "ann", "item_id": "2", "progress": 0.95},
        {"event_id": "b2", "user_id": "ann", "item_id": "3", "rating": 7},
        {"event_id": "b3", "user_id": "ann", "item_id": "4", "kind": "hide"},
    ]
    sent = api.post("/events", json=batch)
    assert (sent.status_code, sent.json()["accepted"], sent.json()["refused"]) == (207, 2, 1)
    assert sent.json()["results"][1] == {
        "event_id": "b2",
        "status": "refused",
        "cause": "bad_field",
        "detail": "rating must be a number from 0.5 to 5.0, got 7",
    }
    assert profile_with(api, until, 2)["hidden"] in (0, 1)
    assert api.post("/events", json=batch[0]).status_code == 200
    assert api.post("/events", json={"user_id": "ann", "item_id": "2", "progress": 0.2}).status_code == 200
    assert profile_with(api, until, 3)["watches"] == 3
    refused = problem(api.post("/events", json=[batch[1]]))
    assert (refused["status"], refused["refused"], refused["detail"][:10]) == (422, 1, "bad_field:")


def test_new_lists_are_streamed(api):
    """The stored list comes first, and the list that an event leads to follows it."""
    with api.stream("GET", "/users/ann/recommendations/stream?limit=2") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        api.post("/events", json={"user_id": "ann", "item_id": "3", "progress": 0.5})
        second = next(line for line in lines if line.startswith("data: "))
    assert json.loads(second[6:])["sequence"] > json.loads(first[6:])["sequence"]


def test_a_trace_goes_from_a_request_to_its_records(api, served, until):
    """Events that are sent and lists that are asked for carry the caller's trace on; one that is none is dropped."""
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1"}
    api.post("/events", json={"user_id": "traced", "item_id": "3", "rating": 4}, headers=trace)
    api.post("/events", json={"user_id": "broken", "item_id": "3", "rating": 4}, headers={"traceparent": "none"})
    api.get("/users/asked/recommendations?fresh=true&budget_ms=10000", headers=trace)

    def headers_of(topic, user):
        found = [one.headers for one in served.records(topic) if one.key == user.encode()]
        return {name: value.decode() for name, value in found[0]} if found else None

    until(lambda: headers_of("rate-events", "broken") is not None, 30, lambda: "the ratings")
    assert headers_of("rate-events", "traced") == trace
    assert headers_of("rate-events", "broken") == {}
    assert headers_of("recommendation-requests", "asked") == trace


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/users/nobody", {}, 404),
        ("GET", "/items/none", {}, 404),
        ("GET", "/items/none/similar", {}, 404),
        ("GET", f"/users/{'x' * 65}/recommendations", {}, 422),
        ("GET", "/users/ann%00/recommendations?fresh=true", {}, 404),
        ("GET", "/hot?k=none", {}, 422),
        ("GET", "/search", {}, 422),
        ("PATCH", "/events", {"json": {}}, 405),
        ("POST", "/events", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/events", {"content": b"a=b"}, 415),
        ("POST", "/events", {"json": []}, 422),
        ("POST", "/events", {"json": [{}] * 1001}, 413),
        (
            "POST",
            "/events",
            {"content": b"[" + b" " * 2_000_000 + b"]", "headers": {"content-type": "application/json"}},
            413,
        ),
        ("POST", "/events", {"json": {}, "headers": {"origin": "http://elsewhere.example"}}, 403),
        ("GET", "/hot", {"headers": {"host": "elsewhere.example"}}, 421),
        ("DELETE", "/users/%20ann", {}, 404),
        ("DELETE", "/users/ann?wait_ms=-1", {}, 422),
        ("DELETE", "/users/ann/events/e-1", {}, 422),
        ("DELETE", "/users/ann/events/e-1?kind=heard", {}, 422),
        ("DELETE", "/users/%20ann/events/e-1?kind=watch", {}, 404),
        ("DELETE", "/users/ann/events/%20e?kind=watch", {}, 404),
        ("DELETE", f"/users/ann/events/{'e' * 65}?kind=watch", {}, 422),
        ("POST", "/users/%20ann/merge", {"json": {"into": "bob"}}, 404),
        ("POST", "/users/ann/merge", {"json": {"into": "ann"}}, 409),
        ("POST", "/users/ann/merge", {"json": {"into": " bob"}}, 422),
        ("POST", "/users/ann/merge", {"json": {}}, 422),
        ("POST", "/users/ann/merge?wait_ms=-1", {"json": {"into": "bob"}}, 422),
        ("POST", "/users/ann/merge", {"content": b"into=bob"}, 415),
    ],
)
def test_every_problem_has_one_form(api, method, path, options, status):
    """Whatever is wrong is answered with problem details that say what was required."""
    assert problem(api.request(method, path, **options))["status"] == status


def test_a_user_is_forgotten(api, served, until):
    """DELETE answers 200 where nothing is left, says what was erased and what Kafka holds; the user is unknown then."""
    event = {"event_id": "x-1", "user_id": "xaver", "item_id": "2", "progress": 0.9}
    assert api.post("/events", json=event).status_code == 200
    until(lambda: served.redis.exists("user:{xaver}:recs"), 60, lambda: "a list of xaver's")
    answer = api.delete("/users/xaver?wait_ms=10000")
    told = answer.json()
    assert (answer.status_code, told["done"], told["known"], told["pending"]) == (200, True, True, []), told
    assert "user:{xaver}" in told["erased"]["redis"]
    assert {one["topic"].rpartition("-events")[1] for one in told["kafka"]} == {"-events", ""}
    assert told["forgotten"]["request_id"] == told["request_id"]
    assert served.breaches("data-requests") == []
    assert api.get("/users/xaver").status_code == 404
    assert served.redis.keys("user:*xaver*") == []
    assert api.delete("/users/nobody-at-all?wait_ms=10000").json()["known"] is False


def test_an_event_is_taken_back(start, served, until):
    """DELETE is answered once Kafka has the withdrawal, and again is the same one; a key that may write is enough."""
    path = served.folder / "taking-back-keys.json"
    keys = KeyFile(path)
    writer, reader = (
        {"authorization": f"Bearer {keys.add(scope, (scope, *more), 0)[0]}"}
        for scope, more in (("write", ("read",)), ("read", ()))
    )
    with start("--keys", str(path)) as (_, api):

        def watches():
            return api.get("/users/wim", headers=reader).json().get("watches", 0)

        for n, item in enumerate(("1", "2")):
            event = {"event_id": f"wim-{n}", "user_id": "wim", "item_id": item, "progress": 0.9}
            assert api.post("/events", json=event, headers=writer).status_code == 200
        until(lambda: watches() == 2, 30, lambda: "two watches")
        road = "/users/wim/events/wim-0?kind=watch"
        assert problem(api.delete(road, headers=reader))["status"] == 403
        assert problem(api.delete("/users/wim", headers=writer))["status"] == 403
        first = api.delete(road, headers=writer)
        told = first.json()
        assert (first.status_code, told["withdraws"], told["user_id"], told["kind"]) == (202, "wim-0", "wim", "watch")
        until(lambda: watches() == 1, 30, lambda: "one watch")
        assert api.delete(road, headers=writer).json() == told
        assert api.get("/users/wim", headers=reader).json()["recent"][0]["item_id"] == "2"
    sent = [orjson.loads(one.value) for one in served.records("watch-events") if one.key == b"wim"]
    assert [one.get("withdraws") for one in sent] == [None, None, "wim-0", "wim-0"]
    assert served.breaches("watch-events") == []


def test_a_guest_becomes_a_user(api, served, until):
    """POST merge answers 200 once the account has the guest, the same again, and 409 for another one or a circle."""
    for user, item in (("guest-1", "2"), ("gina", "3")):
        event = {"event_id": f"{user}-1", "user_id": user, "item_id": item, "progress": 0.9}
        assert api.post("/events", json=event).status_code == 200
        until(lambda user=user: served.redis.exists(f"user:{{{user}}}:recs"), 60, lambda: "a list")
    first = api.post("/users/guest-1/merge?wait_ms=10000", json={"into": "gina"})
    told = first.json()
    nobody = [api.post("/users/nobody/merge?wait_ms=10000", json={"into": "gina"}).json() for _ in range(2)]
    assert (told["known"], [one["known"] for one in nobody]) == (True, [False, False])
    assert (first.status_code, told["done"], told["account"], told["into"]) == (200, True, "gina", "gina"), told
    assert api.post("/users/guest-1/merge", json={"into": "gina"}).json() == told
    assert api.get("/users/guest-1").status_code == 404
    assert api.get("/users/gina").json()["watches"] == 2
    assert served.breaches("data-requests") == []
    for user, into in (("guest-1", "ann"), ("gina", "guest-1")):
        refused = api.post(f"/users/{user}/merge", json={"into": into})
        assert problem(refused)["status"] == 409
        assert into in refused.json()["detail"] or user in refused.json()["detail"]


def test_a_body_without_a_length_is_bounded_too(api):
    """A body that comes in pieces is cut off at the limit."""
    pieces = (b" " * 100_000 for _ in range(25))
    answer = api.post("/events", content=pieces, headers={"content-type": "application/json"})
    assert problem(answer)["status"] == 413


def test_keys_open_what_their_scopes_say(start, served):
    """Without a key nothing but health is answered; a key may what its scopes say, as often as its rate says."""
    path = served.folder / "keys.json"
    keys = KeyFile(path)
    reading, made = keys.add("app", ("read",), None)
    writing, _ = keys.add("producer", ("write",), 0.001)
    assert reading not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    with start("--keys", str(path)) as (_, api):
        assert api.get("/health/ready").status_code == 200
        assert problem(api.get("/hot"))["status"] == 401
        assert api.get("/hot").headers["www-authenticate"] == "Bearer"
        app, producer = ({"authorization": f"Bearer {key}"} for key in (reading, writing))
        assert api.get("/users/ann/recommendations", headers=app).status_code == 200
        assert api.get("/hot", headers=app).status_code == 200
        assert problem(api.post("/events", json={}, headers=app))["status"] == 403
        assert problem(api.post("/models/rollback", headers=app))["status"] == 403
        assert problem(api.post("/events", json={}, headers=producer))["status"] == 422
        late = api.post("/events", json={}, headers=producer)
        assert problem(late)["status"] == 429
        assert 900 <= int(late.headers["retry-after"]) <= 1000
        keys.remove(made.key_id[:6])
        time.sleep(1.1)  # the file is looked at once a second
        assert problem(api.get("/hot", headers=app))["status"] == 401


def test_a_browser_signs_in_with_a_key(start, served):
    """The cookie is a session and no key, opens the page alone, and counts no more when it or its key has ended."""
    path = served.folder / "browser-keys.json"
    keys = KeyFile(path)
    key, made = keys.add("team", ("read",), None)
    writing, _ = keys.add("producer", ("write",), None)
    with start("--keys", str(path)) as (_, api):
        for there in ("/", "/operator", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
            away = api.get(there)
            assert (away.status_code, away.headers["location"]) == (303, "/sign-in")
        assert problem(api.post("/_nicegui_ws/socket.io/?EIO=4&transport=polling"))["status"] == 401
        assert "script" not in api.get("/sign-in").text
        assert api.post("/sign-in", data={"key": "rs_none"}).status_code == 401
        elsewhere = api.post("/sign-in", data={"key": key}, headers={"origin": "https://elsewhere.example"})
        assert problem(elsewhere)["status"] == 403
        signed_in = api.post("/sign-in", data={"key": key}, headers={"x-forwarded-proto": "https"})
        cookie = signed_in.headers["set-cookie"]
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=Strict", "Path=/", "Secure"} <= set(cookie.split("; "))
        assert key not in cookie
        api.cookies.clear()
        session = {"cookie": cookie.partition(";")[0]}
        assert api.get("/", headers=session).status_code == 200
        assert problem(api.get("/hot", headers=session))["status"] == 401
        elsewhere = session | {"origin": "https://elsewhere.example"}
        assert problem(api.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling", headers=elsewhere))["status"] == 403
        blind = api.post("/sign-in", data={"key": writing}).headers["set-cookie"].partition(";")[0]
        api.cookies.clear()
        assert api.get("/", headers={"cookie": blind}).status_code == 303
        assert api.post("/sign-out", headers=session).status_code == 303
        api.cookies.clear()
        assert api.get("/", headers=session).status_code == 303
        again = api.post("/sign-in", data={"key": key}).headers["set-cookie"].partition(";")[0]
        api.cookies.clear()
        assert api.get("/", headers={"cookie": again}).status_code == 200
        keys.remove(made.key_id)
        time.sleep(1.1)  # the file is looked at once a second
        assert api.get("/", headers={"cookie": again}).status_code == 303


def test_it_listens_for_others_only_with_keys(served, tmp_path):
    """On another address it refuses to start without a key, and names the cure."""
    with served.process("api", "--host", "0.0.0.0", "--port", "0", "--keys", str(tmp_path / "none.json")) as api:  # noqa: S104
        assert api.end(60) == 1
    assert "reelstream keys add" in api.said()


def test_the_document_is_printed_without_servers(api):
    """`reelstream api --openapi` prints what the process serves, and who needs a key."""
    command = [sys.executable, "-m", "reelstream", "api", "--openapi"]
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    served_document = api.get("/openapi.json").json()
    assert printed["paths"].keys() == served_document["paths"].keys()
    assert printed["paths"]["/events"]["post"]["security"] == [{"key": []}]
    assert "security" not in served_document["paths"]["/events"]["post"]
    assert "api" in cli.list_commands(None)


def test_limits_are_told_and_figures_are_elsewhere_too(start, unused_tcp_port):
    """A process takes what its options say, and answers Prometheus at a port of its own, without a key."""
    with start("--batch", "2", "--body-bytes", "500", "--metrics-port", str(unused_tcp_port)) as (_, api):
        assert problem(api.post("/events", json=[{}] * 3))["status"] == 413
        assert problem(api.post("/events", json=["x" * 600]))["status"] == 413
        figures = httpx.get(f"http://127.0.0.1:{unused_tcp_port}/metrics").text
    assert 'reelstream_process_info{role="api"' in figures
    assert 'reelstream_api_requests_total{method="POST",route="/events",status="413"} 1.0' in figures


def test_sigterm_ends_it_after_the_last_answer(start):
    """It ends with status 0 within seconds, although somebody follows lists."""
    with start() as (process, api), api.stream("GET", "/users/ann/recommendations/stream") as answer:
        assert answer.status_code == 200
        assert process.terminate(20) == 0


def test_redis_away_is_a_503_and_passes(api, served, until):
    """While Redis is away every road says so and when to come again, without a trace; then all is as before."""
    served.valkey.stop(5)
    try:
        for path in ("/users/ann/recommendations", "/users/ann", "/hot", "/health/ready"):
            answer = api.get(path)
            assert problem(answer)["status"] == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "Traceback" not in answer.text
        assert api.get("/health/live").status_code == 200
        assert 'route="/users/{user_id}/recommendations",status="503"}' in api.get("/metrics").text
    finally:
        served.valkey.restart()
    until(lambda: api.get("/users/ann").status_code == 200, 60, lambda: "ann's profile")
    until(lambda: api.get("/users/ann/recommendations").status_code == 200, 60, lambda: "ann's list")
