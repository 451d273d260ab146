"""Steps side by side: all are waited for, and none goes on behind an error."""

import asyncio

import pytest

from agents.side_by_side import all_done


async def test_all_steps_are_done_when_it_returns():
    """The slower of two steps is over as well, and they were under way at once."""
    done, met = [], asyncio.Event()

    async def first():
        await asyncio.wait_for(met.wait(), 5.0)
        done.append("first")

    async def second():
        met.set()
        done.append("second")

    await all_done(first(), second())
    assert done == ["second", "first"]


async def test_an_error_ends_the_other_steps():
    """A step that would wait for ever is cancelled before the error is raised."""
    ended = []

    async def waits():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        await all_done(waits(), fails())
    assert ended == [True]
