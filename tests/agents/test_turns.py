"""Whose turn it is: batches overlap, and who must be alone is."""

import asyncio

from agents.turns import Turns


async def settled():
    """Let every task come as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_so_many_batches_overlap_and_no_more():
    """Of three batches two begin at once, and the third when one of them is over."""
    turns, begun = Turns(2), []

    async def batch(name):
        await turns.begin()
        begun.append(name)

    tasks = [asyncio.create_task(batch(name)) for name in "abc"]
    await settled()
    assert begun == ["a", "b"]
    turns.end()
    await settled()
    assert begun == ["a", "b", "c"]
    await asyncio.gather(*tasks)


async def test_who_is_alone_waits_for_batches_and_lets_none_begin():
    """With a batch under way nobody is alone; a batch that comes then waits until who is alone has left."""
    turns, said = Turns(2), []
    may_leave = asyncio.Event()

    async def alone():
        async with turns.alone():
            said.append("alone")
            await may_leave.wait()

    async def batch():
        await turns.begin()
        said.append("batch")

    await turns.begin()
    tasks = [asyncio.create_task(alone()), asyncio.create_task(batch())]
    await settled()
    assert said == []
    turns.end()
    await settled()
    assert said == ["alone"]
    may_leave.set()
    await asyncio.gather(*tasks)
    assert said == ["alone", "batch"]


async def test_a_batch_can_wait_for_those_before_it():
    """Of two batches under way the second goes on when the first is over; alone it need not wait."""
    turns, said = Turns(2), []
    await turns.begin()
    await turns.begin()

    async def second():
        await turns.others_over()
        said.append("over")

    task = asyncio.create_task(second())
    await settled()
    assert said == []
    turns.end()
    await task
    await turns.others_over()
    assert said == ["over"]
