"""What a Redis lacks, on a real one: which ranges are named, and how long a check stays open."""

import asyncio
from types import SimpleNamespace

import pytest

from agents.worker.batch import _apply_next
from agents.worker.recovery import LISTS_BEHIND, OffsetRange, Ownership, StateRecovery
from streams.errors import StateMoved
from streams.people.forgetting import StateForgetter
from streams.people.merging import GuestMerger
from streams.records.records import Origin, Watch
from streams.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.store import State
from streams.withdrawals.originals import OriginalEvents

TS = 1_700_000_000_000
N_HANDLED = 4000  # more than lists may be behind
PARTITION = "watch-events", 0


@pytest.fixture
async def state(client):
    """Return a state that knows two thousand events of one partition."""
    installed = State(client)
    await installed.install()
    await installed.know_servers()
    await installed.apply([(at, Watch(f"e{at.offset}", "u", "i", TS, 1.0), ()) for at in origins(0, N_HANDLED)])
    return installed


@pytest.fixture
def recovery(state):
    """Return the recovery of a worker that owns the partition and has handled those events."""
    settings = Settings("unused:1", "redis://unused", "unused")
    made = StateRecovery(settings, "unused", state, lambda: frozenset({PARTITION}), lambda origin: origin.offset)
    made.note(origins(0, N_HANDLED))
    return made


def origins(first, end):
    """Return the places of the records from one offset up to another."""
    return [Origin(*PARTITION, offset, TS) for offset in range(first, end)]


async def test_a_batch_that_follows_lacks_nothing(recovery):
    """Records that begin where the last batch ended name no range, nor do those that were handled before."""
    assert await recovery.catch_up_to(origins(N_HANDLED, N_HANDLED + 10)) == ()
    assert await recovery.catch_up_to(origins(N_HANDLED - 10, N_HANDLED + 10)) == ()


async def test_a_gap_before_a_batch_is_named(recovery):
    """A batch that begins three behind what was handled lacks three, and so does one with the gap inside."""
    missing = OffsetRange(PARTITION, first=N_HANDLED, unapplied=N_HANDLED, end=N_HANDLED + 3)
    assert await recovery.catch_up_to(origins(N_HANDLED + 3, N_HANDLED + 10)) == (missing,)
    assert await recovery.catch_up_to(
        [*origins(N_HANDLED - 5, N_HANDLED), *origins(N_HANDLED + 3, N_HANDLED + 10)]
    ) == (missing,)


async def test_lists_are_missing_where_another_server_wrote_the_position(recovery, client):
    """A position that an unknown server wrote makes the lists of the 3,072 records before it doubtful, no event."""
    await client.hset(PartitionKeys.of(0).at, "server", "another")
    assert await recovery.check_positions() == (
        OffsetRange(PARTITION, first=N_HANDLED - LISTS_BEHIND, unapplied=N_HANDLED, end=N_HANDLED),
    )


async def test_an_emptied_database_lacks_everything(recovery, client):
    """After FLUSHDB all that was handled is named, from the first offset on."""
    await client.flushdb()
    assert await recovery.check_state() == (OffsetRange(PARTITION, first=0, unapplied=0, end=N_HANDLED),)


async def test_a_check_stays_open_until_its_ranges_are_applied(recovery, client):
    """What was named once is named again by the next check, if whoever applied it was cut off; afterwards no more."""
    await client.flushdb()
    [missing] = await recovery.check_state()
    assert recovery.has_unchecked
    assert await recovery.check_positions() == (missing,)
    assert not recovery.handled
    recovery.note_recovered()
    assert recovery.handled == {PARTITION: N_HANDLED}
    assert not recovery.has_unchecked
    assert await recovery.check_positions() == ()


async def test_a_partition_that_came_back_is_checked_anew(recovery, state):
    """Another worker may have owned it meanwhile, also while it was looked at."""
    assert await recovery.check_positions() == ()
    recovery.ownership.revoke([PARTITION])
    assert not recovery.handled
    recovery.note_recovered()
    assert (await state.positions([PARTITION]))[PARTITION].handled == 0
    recovery._committed[PARTITION] = N_HANDLED  # no broker is here that would be asked
    recovery.ownership.begin([PARTITION])
    assert recovery.ownership.owned == {PARTITION}
    assert recovery.partitions == frozenset()  # the other topics' are somebody else's
    assert recovery.has_unchecked
    assert not recovery.handled


def test_what_is_assigned_while_one_asks_is_asked_for_again():
    """Of a partition that went and came back meanwhile the answer is old; a number is ours with all of its topics."""
    at = [(topic, number) for topic in ("a", "b") for number in (0, 1)]
    ours = Ownership(lambda: frozenset(at[:3]), ("a", "b"))
    ours.begin(at[:3])
    assert ours.partitions == {0}
    assert ours.look() == set(at[:3])
    ours.begin(at[:1])
    ours.note_asked(at[:3])
    ours.note_compared()
    assert ours.begun == {at[0]}
    assert ours.look() == {at[0]}


async def test_others_know_how_far_this_worker_is(state, recovery, client):
    """What is handled never goes back, and is refused by another server, and by one whose database was emptied."""
    await recovery.check_positions()
    assert (await state.positions([PARTITION]))[PARTITION].handled == 0
    recovery.note(origins(N_HANDLED, N_HANDLED + 2))  # bad ones: Redis is told nothing of them
    recovery.note_recovered()
    await state.note_handled(recovery.handled)
    assert (await state.positions([PARTITION]))[PARTITION].handled == N_HANDLED + 2
    await state.note_handled({PARTITION: 5})
    other = State(client)
    assert (await other.positions([PARTITION]))[PARTITION].handled == N_HANDLED + 2
    other._servers = frozenset({"0" * 40})
    with pytest.raises(StateMoved):
        await other.note_handled({PARTITION: N_HANDLED + 3})
    await client.flushdb()
    with pytest.raises(StateMoved):
        await state.note_handled(recovery.handled)
    assert await client.keys() == []


async def test_a_recovery_that_waits_for_a_batch_knows_of_it(state, recovery):
    """What is applied is handled before anybody else may look, or another Redis would lack it for good."""
    settings = Settings("unused:1", "redis://unused", "unused")
    await recovery.check_positions()
    recovery.note_recovered()
    forgetter = StateForgetter(settings, state)
    originals = OriginalEvents(settings, state, lambda _: (), "worker")
    worker = SimpleNamespace(
        applying=asyncio.Lock(),
        state=state,
        forgetter=forgetter,
        merger=GuestMerger(forgetter.feed.merges, state),
        originals=originals,
        recovery=recovery,
    )
    events = [(at, Watch(f"e{at.offset}", "u", "i", TS, 1.0), ()) for at in origins(N_HANDLED, N_HANDLED + 5)]
    begun = asyncio.create_task(_apply_next(worker, events, origins(N_HANDLED, N_HANDLED + 5)))
    await asyncio.sleep(0)  # it holds the lock
    assert worker.applying.locked()
    async with worker.applying:
        assert recovery.handled[PARTITION] == N_HANDLED + 5
    await begun
