"""What every request meets first, without any server: failures are counted and logged, keys and limits hold."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import httpx
import pytest

from streams.errors import (
    ClusterAway,
    NotAnnounced,
    RegistryError,
    SettingsError,
    StateAway,
    StateError,
    TopicError,
    VersionOvertaken,
)
from streams.records.records import Recommendation
from streams.settings import Settings
from web.api import problems
from web.api.document import application
from web.api.front import Front
from web.api.keys import KeyFile
from web.api.limits import ApiConfig, RateLimits
from web.api.metrics import ApiMetrics
from web.gateway.gateway import Gateway
from web.gateway.sending import EventResult

INNER = "redis.inner.example:6379"


def unreadable():
    """Return the error of a registry whose store refuses."""
    error = RegistryError(f"registry: s3://{INNER}/v1 must be readable")
    error.__cause__ = PermissionError("refused")
    return error


class FailingGateway(Gateway):
    """Fails whoever asks with one error."""

    def __init__(self, error):
        super().__init__(Settings.from_environment({}))
        self.error = error

    async def list_of(self, _user_id):
        """Fail."""
        raise self.error

    async def models(self):
        """Fail."""
        raise self.error


def fronted(keys, error=None):
    """Return an HTTP client of an application whose gateway fails, and its metrics."""
    gateway, config, metrics = FailingGateway(error), ApiConfig(), ApiMetrics()
    roads = application(gateway, config, metrics, needs_key=bool(keys.all()))
    front = Front(roads, None, gateway, config, keys, metrics)
    transport = httpx.ASGITransport(front, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1"), metrics


@pytest.mark.parametrize("path", ["/users/ann/recommendations", "/models"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StateAway(f"no answer of {INNER}"), 503),
        (ClusterAway(f"no answer of {INNER}"), 503),
        (NotAnnounced(f"no answer of {INNER}"), 503),
        (TopicError(f"no topic at {INNER}"), 503),
        (StateError(f"another form at {INNER}"), 500),
        (SettingsError(f"no such URL as {INNER}"), 500),
        (VersionOvertaken("another version was chosen"), 409),
        (RegistryError("model: no version serves"), 404),
        (RegistryError(f"registry s3://{INNER}: a stored version is required"), 404),
        (unreadable(), 503),
        (ValueError(f"unforeseen at {INNER}"), 500),
    ],
)
async def test_a_failure_is_counted_and_logged_as_what_it_is(tmp_path, caplog, path, error, status):
    """No failure counts as an answer; what is ours is in the log, and no address of ours in the answer."""
    problems._said_at.clear()
    client, metrics = fronted(KeyFile(tmp_path / "keys.json"), error)
    with caplog.at_level(logging.WARNING):
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert INNER not in answer.text
    assert f'status="{status}"}} 1.0' in metrics.text().decode()
    assert 'status="200"} 1.0' not in metrics.text().decode()
    assert (INNER in caplog.text) == (INNER in str(error))


async def test_keys_that_cannot_be_read_change_nothing(tmp_path, caplog):
    """While the file is torn the keys read last count, which is said once; where there never was one it is a 503."""
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.add("app", ("read",), None)
    client, _ = fronted(keys, StateAway("away"))
    header = {"authorization": f"Bearer {key}"}
    whole = keys.path.read_bytes()
    keys.path.write_bytes(whole[:40])
    for _ in range(2):
        keys._looked_at = float("-inf")
        assert (await client.get("/models", headers=header)).status_code == 503  # of Redis: the key was taken
        assert (await client.get("/models", headers={"authorization": "Bearer rs_other"})).status_code == 401
    assert caplog.text.count("api.keys_unreadable") == 1
    keys._keys, keys._seen, keys._looked_at = None, None, float("-inf")
    never = await client.get("/models", headers=header)
    assert (never.status_code, never.headers["content-type"]) == (503, problems.PROBLEM_TYPE)
    assert "keys that can be read" in never.json()["detail"]
    keys.path.write_bytes(whole)
    keys._looked_at = float("-inf")
    assert "Redis" in (await client.get("/models", headers=header)).json()["detail"]


def test_of_keys_that_are_added_at_once_none_is_lost(tmp_path):
    """Each of many writers sees what the one before wrote."""
    path = tmp_path / "new" / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: KeyFile(path).add(f"app {n}", ("read",), None), range(24)))
    assert len(KeyFile(path).all()) == 24


def test_a_batch_costs_as_many_tokens_as_it_has_events():
    """A batch passes where there is one token; the next request waits until all of its events are paid."""
    limits = RateLimits()
    assert limits.wait_s("k", 10.0) == 0.0
    limits.owe("k", 10.0, 99)
    assert 8.8 < limits.wait_s("k", 10.0) <= 9.1
    limits.owe("k", 0.0, 99)
    assert limits.wait_s("other", 0.0) == 0.0


class NotingGateway(FailingGateway):
    """Notes what is decided."""

    async def promote(self, version_id, **wish):
        """Note it, and fail."""
        self.decided = (version_id, wish)
        raise self.error

    roll_back = promote

    async def send_events(self, batch, trace=None):  # noqa: ARG002 - as the gateway has it
        """Accept all."""
        return [EventResult(str(n), "accepted") for n in range(len(batch))]


@pytest.mark.parametrize("has_key", [True, False])
async def test_a_decision_says_whose_key_it_was_and_why(tmp_path, has_key):
    """The name of the key stands beside the decision, with the reason that the body gives."""
    keys = KeyFile(tmp_path / "keys.json")
    headers = {"authorization": f"Bearer {keys.add('ops', ('operate',), None)[0]}"} if has_key else {}
    gateway, metrics = NotingGateway(VersionOvertaken("meanwhile")), ApiMetrics()
    roads = application(gateway, ApiConfig(), metrics, needs_key=has_key)
    transport = httpx.ASGITransport(Front(roads, None, gateway, ApiConfig(), keys, metrics))
    by = "ops@api" if has_key else "api"
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        assert (await client.post("/models/v1/promote", json={"because": "it is better"})).status_code == 409
        assert gateway.decided == ("v1", {"by": by, "cause": "it is better"})
        assert (await client.post("/models/v1/promote")).status_code == 409
        assert gateway.decided == ("v1", {"by": by, "cause": None})
        await client.post("/models/rollback", json={"version": "v0", "because": "clicks fell"})
        assert gateway.decided == ("v0", {"by": by, "cause": "clicks fell"})


async def test_events_of_a_batch_are_paid_before_the_next_request(tmp_path):
    """Whoever sends a hundred events with a rate of five waits for twenty seconds."""
    keys = KeyFile(tmp_path / "keys.json")
    headers = {"authorization": f"Bearer {keys.add('producer', ('write',), 5)[0]}"}
    gateway, metrics = NotingGateway(None), ApiMetrics()
    roads = application(gateway, ApiConfig(), metrics, needs_key=True)
    transport = httpx.ASGITransport(Front(roads, None, gateway, ApiConfig(), keys, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        assert (await client.post("/events", json=[{}] * 100)).status_code == 200
        late = await client.post("/events", json={})
    assert late.status_code == 429
    assert 15 <= int(late.headers["retry-after"]) <= 20


class UnlistedGateway(Gateway):
    """Knows nobody, and two items that trend; nothing answers a request in time."""

    def __init__(self):
        super().__init__(Settings.from_environment({}))

    async def list_of(self, _user_id):
        """Find no list."""

    async def hot(self, n=10, genre=None):
        """Return what trends."""
        assert genre is None
        rows = [{"item_id": "7", "score": 2.5}, {"item_id": "3", "score": 1.5}]
        return [{"rank": rank, **row, "title": "T", "reason": "trending"} for rank, row in enumerate(rows[:n], 1)]

    async def ask(self, *_):
        """Be late."""


@pytest.mark.parametrize("query", ["k=1", "fresh=true&k=1"])
async def test_who_has_no_list_gets_what_trends_in_the_form_of_a_list(tmp_path, query):
    """It has every field of a published list but an id to name it by; what was late says that it is stale."""
    gateway, metrics, keys = UnlistedGateway(), ApiMetrics(), KeyFile(tmp_path / "keys.json")
    roads = application(gateway, ApiConfig(), metrics, needs_key=False)
    transport = httpx.ASGITransport(Front(roads, None, gateway, ApiConfig(), keys, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        found = (await client.get(f"/users/ann/recommendations?{query}")).json()
    assert found.pop("stale", False) == ("fresh" in query)
    because = {"kind": "trending", "item_id": None, "genres": []}
    place = {"item_id": "7", "rank": 1, "score": 2.5, "source": "trending", "reason": "Trending now"}
    assert found.keys() == {field.name for field in fields(Recommendation)}
    assert found["items"] == [place | {"propensity": 1.0, "because": because}]
    told = ("rec_id", "user_id", "mode", "model_version", "k", "trigger", "sequence", "tier", "unfilled")
    assert [found[name] for name in told] == [None, "ann", "cold_start", None, 1, {}, 0, "trending", []]
