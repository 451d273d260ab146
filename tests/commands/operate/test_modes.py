"""``reelstream mode``: what it shows, what it stores, and its bound."""

import json

import pytest
from click.testing import CliRunner
from redis import Redis

from commands.operate.modes import mode
from streams.errors import StateError
from streams.state.experiments import MAX_OVERRIDES


@pytest.fixture
def client(redis_url):
    """Return a Redis client of a database with one personalised user, ann."""
    with Redis.from_url(redis_url, decode_responses=True) as connected:
        counters = {"watches": 6, "ratings": 0, "rating_sum": 0, "first_ts": 1, "last_ts": 2, "mode": "personalized"}
        connected.hset("user:{ann}", mapping=counters)
        yield connected


@pytest.fixture
def invoke(client, redis_url):
    """Return a function that runs the command."""
    assert client

    def run(*arguments):
        return CliRunner().invoke(mode, [*arguments, "--redis", redis_url])

    return run


def test_the_present_mode_is_shown(invoke):
    """Without a mode the command says what the user is and who decided it, and that a stranger is unknown."""
    assert invoke("ann").stdout == "user ann: personalized; decided by the threshold\n"
    found = json.loads(invoke("ann", "--json").stdout)
    assert found == {"user_id": "ann", "unknown": False, "mode": "personalized", "chosen": None}
    assert "unknown, no event of theirs has been applied" in invoke("stranger").stdout


def test_a_mode_is_chosen_and_taken_back(invoke, client):
    """A choice is a field of the hash, shown beside the mode of the last list; auto removes it."""
    assert "cold_start was chosen by hand" in invoke("ann", "cold_start").stdout
    assert client.hgetall("modes:chosen") == {"ann": "cold_start"}
    found = json.loads(invoke("ann", "--json").stdout)
    assert (found["mode"], found["chosen"]) == ("personalized", "cold_start")
    invoke("ann", "personalized")
    assert client.hgetall("modes:chosen") == {"ann": "personalized"}
    assert "decided by the threshold" in invoke("ann", "auto").stdout
    assert not client.exists("modes:chosen")
    assert client.hget("user:{ann}", "mode") == "personalized"


@pytest.mark.parametrize("arguments", [("ann", "warm"), ("", "cold_start"), ("x" * 65, "auto"), ("a\nb", "auto")])
def test_wrong_usage_stores_nothing(invoke, client, arguments):
    """Another mode and ids that no event can have end with 2."""
    assert invoke(*arguments).exit_code == 2
    assert not client.exists("modes:chosen")


def test_more_users_than_workers_should_hold_are_refused(invoke, client):
    """At the bound a further user is refused, one of those chosen may change, and one taken back makes room."""
    client.hset("modes:chosen", mapping={f"u{n}": "cold_start" for n in range(MAX_OVERRIDES)})
    refused = invoke("ann", "personalized").exception
    assert isinstance(refused, StateError)
    assert "at most 10,000 users" in str(refused)
    assert invoke("u7", "personalized").exit_code == 0
    assert client.hget("modes:chosen", "u7") == "personalized"
    assert invoke("u8", "auto").exit_code == 0
    assert invoke("ann", "personalized").exit_code == 0
    assert client.hlen("modes:chosen") == MAX_OVERRIDES
