"""Refreshing again and again: a Redis that is away is told once, and ends nothing."""

import asyncio
import logging

import pytest

from agents.worker.refresh import keep_refreshing
from streams.errors import StateAway, StateError, TopicError


class Failing:
    """A refresher that fails with each of some errors in turn; None is a success, and at the end it is cancelled."""

    period_s = 0.0
    is_needed_to_serve = False

    def __init__(self, *errors):
        self.left = list(errors)

    async def refresh(self):
        """Fail with the next error."""
        if not self.left:
            raise asyncio.CancelledError
        error = self.left.pop(0)
        if error is not None:
            raise error


async def test_each_absence_of_redis_is_told_once_and_so_is_its_end(caplog):
    """Two failures in a row are one line, the success after them another, and the next failure a third."""
    caplog.set_level(logging.WARNING)
    refresher = Failing(StateAway("gone"), StateAway("gone"), None, StateError("refused"))
    with pytest.raises(asyncio.CancelledError):
        await keep_refreshing(refresher)
    assert caplog.messages == [
        "redis.unavailable worker for 0 s: gone",
        "redis.available worker after 0.0 s and 2 attempts",
        "redis.unavailable worker for 0 s: refused",
    ]


async def test_what_is_no_error_of_redis_ends_the_loop():
    """A topic that is wrong is for the process to end by."""
    with pytest.raises(TopicError):
        await keep_refreshing(Failing(TopicError("no such topic")))
