"""``reelstream health`` on a real Redis."""

import json
import time

import pytest
from click.testing import CliRunner
from redis import Redis

from commands.run.health import health
from streams.errors import StateError


@pytest.fixture
def invoke(redis_url, monkeypatch):
    """Return a function that runs ``reelstream health`` on this test's database."""
    monkeypatch.setenv("REELSTREAM_REDIS", redis_url)
    return lambda *arguments: CliRunner().invoke(health, arguments)


@pytest.fixture
def signs(redis_url):
    """Return a function that writes a sign of life."""
    with Redis.from_url(redis_url) as client:

        def sign(role, name, report):
            client.set(f"alive:{role}:{name}", json.dumps(report), ex=60)
            client.zadd(f"alive:{role}", {name: time.time()})

        yield sign


def test_nobody_alive_is_status_1(invoke):
    """Without a sign of life the status is 1, and stderr says so."""
    result = invoke("worker", "--host", "here")
    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == ("", "no worker of here has shown a sign of life lately\n")


def test_a_living_process_of_this_host_is_status_0(invoke, signs):
    """A worker here makes it 0 with its figures; one elsewhere and a trainer do not count."""
    signs("worker", "there:9", {"events": 1})
    signs("trainer", "here:8", {"rounds": 1})
    assert invoke("worker", "--host", "here").exit_code == 1
    signs("worker", "here:7", {"events": 5, "model_version": None})
    result = invoke("worker", "--host", "here")
    assert (result.exit_code, result.stdout) == (0, "worker here:7: events 5, model_version None\n")


def test_a_fault_is_status_1(invoke, signs):
    """One of two workers here lives and is at fault: the status is 1, and stderr says which one and why."""
    signs("worker", "here:7", {"events": 5, "fault": None})
    assert invoke("worker", "--host", "here").exit_code == 0
    signs("worker", "here:8", {"events": 5, "fault": "v1 cannot be loaded"})
    result = invoke("worker", "--host", "here")
    assert (result.exit_code, result.stderr) == (1, "worker here:8: v1 cannot be loaded\n")
    assert invoke("worker", "--host", "here", "--json").exit_code == 1


def test_json_for_machines(invoke, signs):
    """One object with the role and the living, and the same statuses."""
    result = invoke("trainer", "--host", "here", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"role": "trainer", "alive": {}})
    signs("trainer", "here:8", {"rounds": 1})
    result = invoke("trainer", "--host", "here", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"role": "trainer", "alive": {"here:8": {"rounds": 1}}}


def test_an_absent_redis_is_a_state_error():
    """Where no Redis listens the check fails with the error that the command line prints in one line."""
    result = CliRunner().invoke(health, ["worker", "--redis", "redis://127.0.0.1:1/0"])
    assert isinstance(result.exception, StateError)
