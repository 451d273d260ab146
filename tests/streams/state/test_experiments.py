"""An experiment and chosen modes as they rest in Redis: there and back, and what cannot be understood."""

import json

import pytest

from model.experiment import Arm, Experiment
from streams.errors import StateError
from streams.redis.connection import connect
from streams.state.experiments import decode_experiment, decode_overrides, encode_experiment
from streams.state.store import State

DEPTH = Experiment("depth", 0.25, Arm("a", version="v1"), Arm("b", personalize_at=3, explore=2), 7)
WRITTEN = {
    "name": "depth",
    "share": 0.25,
    "a": {"name": "a", "version": "v1", "personalize_at": None, "explore": None},
    "b": {"name": "b", "version": None, "personalize_at": 3, "explore": 2},
    "started_ms": 7,
}


@pytest.fixture
async def state(redis_url):
    """Return the state of an empty database, with its client to write by hand."""
    client = connect(redis_url)
    yield State(client), client
    await client.aclose()


def test_an_experiment_is_written_with_the_documented_fields():
    """The JSON has the fields of docs/reference/redis.md, and gives the same experiment back."""
    assert json.loads(encode_experiment(DEPTH)) == WRITTEN
    assert decode_experiment(encode_experiment(DEPTH)) == DEPTH


async def test_an_experiment_is_read_from_its_key(state):
    """None before one is stored, then the one that is."""
    read, client = state
    assert await read.experiment() is None
    await client.set("experiment:current", json.dumps(WRITTEN))
    assert await read.experiment() == DEPTH


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        json.dumps({**WRITTEN, "share": "half"}).encode(),
        json.dumps({**WRITTEN, "arms": 3}).encode(),
        json.dumps({**WRITTEN, "b": None}).encode(),
        json.dumps({**WRITTEN, "b": {**WRITTEN["b"], "explore": 1.5}}).encode(),
        json.dumps({**WRITTEN, "a": {**WRITTEN["a"], "version": 7}}).encode(),
        json.dumps({name: WRITTEN[name] for name in ("name", "share", "b", "started_ms")}).encode(),
    ],
)
def test_what_is_no_experiment_is_told_with_its_cure(value):
    """Text that is not JSON, other values, missing, unknown and ill-typed fields are one error that names the cure."""
    with pytest.raises(
        StateError, match=r"an experiment is required under experiment:current, got .*`reelstream ab stop`"
    ):
        decode_experiment(value)


async def test_chosen_modes_are_read_by_user(state):
    """Each field of the hash is a user, whatever the id holds, and its mode."""
    read, client = state
    assert await read.mode_overrides() == ({}, ())
    await client.hset("modes:chosen", mapping={"é {1}": "personalized", "2": "cold_start"})
    assert await read.mode_overrides() == ({"é {1}": "personalized", "2": "cold_start"}, ())


async def test_more_choices_than_allowed_are_not_read(state):
    """Whoever writes past the command cannot make every worker read without end."""
    read, client = state
    await client.hset("modes:chosen", mapping={str(user): "cold_start" for user in range(10_001)})
    with pytest.raises(StateError, match="at most 10,000 fields are required under modes:chosen, got 10,001"):
        await read.mode_overrides()


def test_fields_that_choose_no_mode_are_told_and_the_others_hold():
    """Another value than the two modes and bytes that are no text are named; the user beside them keeps the choice."""
    chosen, wrong = decode_overrides({b"7": b"warm", b"\xff\xfe": b"personalized", b"8": b"cold_start"})
    assert chosen == {"8": "cold_start"}
    assert "for user '7' under modes:chosen, got 'warm'; set it with" in wrong[0]
    assert "as UTF-8 are required" in wrong[1]
