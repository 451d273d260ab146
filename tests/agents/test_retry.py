"""Waiting: a server that is away is asked again, whichever it is, and what cannot be cured by waiting is raised."""

import logging

import pytest

from agents.retry import Retry
from streams.errors import ClusterAway, StateAway, StateMoved, TopicError
from streams.reading.range_reader import committed_offsets
from streams.settings import Settings


def failing(*errors):
    """Return a call that raises these errors in turn and then returns 7."""
    left = list(errors)

    async def call():
        if left:
            raise left.pop(0)
        return 7

    return call


@pytest.mark.parametrize(("error", "name"), [(StateAway("gone"), "redis"), (ClusterAway("gone"), "kafka")])
async def test_a_server_that_is_away_is_waited_for(caplog, error, name):
    """Two failures are said once with the server's name, and its return with the number of attempts."""
    caplog.set_level(logging.WARNING)
    assert await Retry("trainer").until_available(failing(error, error)) == 7
    first, second = [record.getMessage() for record in caplog.records]
    assert first == f"{name}.unavailable trainer for 0 s: gone"
    assert second.startswith(f"{name}.available trainer after ")
    assert second.endswith("2 attempts")
    assert [record.role for record in caplog.records] == ["trainer", "trainer"]


@pytest.mark.parametrize("error", [TopicError("no such topic"), StateMoved("another")])
async def test_what_waiting_does_not_cure_is_raised(error):
    """A topic that is wrong, and another Redis where nobody knows what to do about it, end the call."""
    with pytest.raises(type(error)):
        await Retry("worker").until_available(failing(error))


async def test_a_cluster_that_does_not_listen_is_away():
    """The offsets of a group at a closed port are a thing to wait for, and the address is told."""
    settings = Settings("127.0.0.1:1", "redis://unused", "unused")
    with pytest.raises(ClusterAway, match=r"required from 127\.0\.0\.1:1"):
        await committed_offsets(settings, "g", [("t", 0)])
