"""Forgetting in Redis, without Kafka: what comes back is set apart, and what is read again counts for nobody."""

import pytest

from streams.errors import StateAway, StateMoved
from streams.kafka import topics
from streams.people.forgetting import StateForgetter
from streams.people.waits import EarlierEvents
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import DataRequest
from streams.records.records import Origin, Rating, Watch
from streams.settings import Settings
from streams.state.keys import UserKeys
from streams.state.store import State

BELOW = {"watch-events": (12, 0), "rate-events": (5, 0), "action-events": (0, 0)}
ANSWERED = DataRequest("ann", "f-1", 7).answered(0, BELOW)
ENDS = {("watch-events", 0): 12, ("rate-events", 0): 5}
NOBODY = ANSWERED.forgotten[0].nobody


def watches(user, first, end):
    """Return watches of a user, an event at each offset."""
    return [
        (Origin("watch-events", 0, at), Watch(f"w{at}", user, f"i{at % 4}", 1000 * at, 1.0), ("Drama",))
        for at in range(first, end)
    ]


@pytest.fixture
async def state(client):
    """Return a prepared state."""
    state = State(client)
    await state.install()
    await state.know_servers()
    return state


@pytest.fixture
def forgetter(state):
    """Return one that knows of ann's forgetting."""
    found = StateForgetter(Settings("localhost:1", "redis://localhost:1", "/nowhere", partitions=2), state)
    found.feed.note(0, ANSWERED)
    return found


async def users(client):
    """Return the ids of all users in Redis."""
    return {key.decode().partition("{")[2].partition("}")[0] async for key in client.scan_iter("user:*")}


async def test_events_of_before_count_for_nobody_who_is_deleted(client, state, forgetter):
    """Read again, they are in the counters as before, and nobody is left; later ones make the user anew."""
    applied = await state.apply(forgetter.relabelled([*watches("ann", 0, 14), *watches("ben", 14, 15)]))
    assert set(forgetter.without_nobodies(applied).profiles) == {"ann", "ben"}
    assert await users(client) == {"ann", "ben", NOBODY}
    await forgetter.clear_handled({0, 1}, ENDS)
    assert await users(client) == {"ann", "ben"}
    assert (await state.profiles(["ann"]))["ann"].watches == 2
    counted = await client.hgetall("items:{p0}:watches")
    assert sum(map(int, counted.values())) == 15


async def test_a_redis_of_before_is_set_apart(client, state, forgetter):
    """A profile that stands before the forgetting is nobody's, with its events and without its list."""
    await state.apply([*watches("ann", 0, 6), *watches("ben", 6, 7)])
    await client.set(UserKeys.of("ann").recs, b"{}")
    await client.hset("modes:chosen", "ann", "personalized")
    await forgetter.set_apart({0, 1})
    assert await users(client) == {NOBODY, "ben"}
    assert not await client.hexists("modes:chosen", "ann")
    await state.apply(forgetter.relabelled(watches("ann", 6, 12)))
    assert (await state.profiles([NOBODY]))[NOBODY].watches == 12
    await forgetter.clear_handled({0, 1}, ENDS)
    assert await users(client) == {"ben"}


async def test_who_came_back_stays(client, state, forgetter):
    """A profile of later events alone is another one, and is left as it is, however often it is looked."""
    await state.apply(watches("ann", 12, 15))
    for _ in range(2):
        await forgetter.set_apart({0, 1})
        await forgetter.clear_handled({0, 1}, ENDS)
    assert await users(client) == {"ann"}


async def test_only_what_is_within_the_ends_is_cleared(client, state, forgetter):
    """While not all events of before are applied nobody stays, as they must be counted together."""
    await state.apply(forgetter.relabelled(watches("ann", 0, 6)))
    await forgetter.clear({0, 1}, {("watch-events", 0): 6, ("rate-events", 0): 5})
    assert await users(client) == {NOBODY}
    await forgetter.clear({0, 1}, ENDS)
    assert await users(client) == set()


async def test_between_batches_nobody_is_kept_until_all_of_before_is_applied(client, state, forgetter):
    """What Redis has applied counts, and what was handled without an event, in all partitions."""
    forgetter.feed.note(0, DataRequest("ben", "f-2", 9).answered(0, {"watch-events": (10, 7)}))
    elsewhere = {("watch-events", 1): 7}
    await state.apply(forgetter.relabelled([*watches("ann", 0, 6), *watches("ben", 6, 7)]))
    await forgetter.clear_handled({0}, {("watch-events", 0): 7} | elsewhere)
    assert len(await users(client)) == 2
    await state.apply(forgetter.relabelled(watches("ben", 7, 10)))
    await forgetter.clear_handled({0}, {("watch-events", 0): 7})
    assert len(await users(client)) == 2  # events of ben may lie there that a Redis which went back has lost
    await state.note_handled(elsewhere)  # as who owns it tells
    await forgetter.clear_handled({0}, {("watch-events", 0): 7})
    assert await users(client) == {NOBODY}
    await forgetter.clear_handled({1}, ENDS)
    assert await users(client) == {NOBODY}
    for _ in range(2):  # also of what is read once more
        await forgetter.clear_handled({0}, ENDS)
        assert await users(client) == set()
        await state.apply(forgetter.relabelled(watches("ann", 0, 1)))
        assert await users(client) == {NOBODY}


async def test_what_is_counted_makes_nobody_anew(client, state, forgetter):
    """Read once more, also by who has lost the partition, events of before leave nothing; a lost one is counted."""
    await state.apply(await forgetter.uncounted(forgetter.relabelled(watches("ann", 0, 10))))
    assert await users(client) == {NOBODY}
    await state.remove_users([NOBODY])
    again = await forgetter.uncounted(forgetter.relabelled([*watches("ann", 0, 14), *watches("ben", 3, 4)]))
    assert [origin.offset for origin, _, _ in again] == [10, 11, 12, 13, 3]
    assert [event.user_id for _, event, _ in again] == [NOBODY, NOBODY, "ann", "ann", "ben"]


def test_a_second_forgetting_holds_beside_the_first(forgetter):
    """Each event belongs to the first forgetting that it lies before, and a later request loses none of them."""
    later = {"watch-events": (20, 0), "rate-events": (9, 0), "action-events": (0, 0)}
    forgetter.feed.note(0, DataRequest("ann", "f-2", 9).answered(0, later))
    names = {event.user_id for _, event, _ in forgetter.relabelled(watches("ann", 11, 21))}
    assert len(names) == 3
    assert {NOBODY, "ann"} < names
    assert len(forgetter.feed.untold["ann"][1].forgotten) == 2  # which the record does not tell, so it is said anew
    assert not forgetter.feed.open
    forgetter.feed.note(0, DataRequest("ann", "f-3", 11))
    assert set(forgetter.feed.open) == {"ann"}
    assert len(forgetter.feed.forgotten.all()) == 2


def test_of_two_answers_the_higher_offsets_hold(forgetter):
    """Whichever comes last: a worker that lost the partition may answer behind the one that has it."""
    lower = {"watch-events": (9, 4), "rate-events": (5, 0), "action-events": (0, 0)}
    forgetter.feed.note(0, DataRequest("ann", "f-1", 7).answered(0, lower))
    [one] = forgetter.feed.forgotten.of("ann")
    assert one.below == BELOW | {"watch-events": (12, 4)}
    assert forgetter.feed.untold["ann"][1].forgotten == (one,)  # the topic's latest record tells of less
    forgetter.feed.note(0, forgetter.feed.untold["ann"][1])
    assert not forgetter.feed.untold


def test_the_order_of_forgettings_is_the_same_for_all(forgetter):
    """Two workers may hear of two requests in either order; the one that reaches further is the later one."""
    first, second = ({"watch-events": (offset, 0)} for offset in (4, 9))
    one, two = DataRequest("eva", "f-9", 9).answered(0, first), DataRequest("eva", "f-8", 8).answered(0, second)
    other = DataRequestsFeed(Settings("localhost:1", "redis://localhost:1", "/nowhere"))
    for feed, order in ((forgetter.feed, (one, two)), (other, (two, one))):
        [feed.note(0, request) for request in order]
    found = [feed.forgotten.of("eva") for feed in (forgetter.feed, other)]
    assert found[0] == found[1]
    assert [each.request_id for each in found[0]] == ["f-9", "f-8"]
    said = forgetter.feed.untold["eva"][1]
    [feed.note(0, said) for feed in (forgetter.feed, other)]
    assert not forgetter.feed.untold
    assert not other.untold


def test_another_topic_and_another_partition_have_offsets_of_their_own(forgetter):
    """A rating at an offset that a watch is forgotten at counts, and so does what lies elsewhere."""
    events = [
        (Origin("rate-events", 0, 4), Rating("r", "ann", "i", 1, 4.0), ()),
        (Origin("rate-events", 0, 5), Rating("s", "ann", "i", 1, 4.0), ()),
        (Origin("watch-events", 1, 0), Watch("w", "ann", "i", 1, 1.0), ()),
    ]
    assert [event.user_id for _, event, _ in forgetter.relabelled(events)] == [NOBODY, "ann", "ann"]


async def test_of_two_forgettings_each_is_compared_with_its_own_offsets(client, state, forgetter):
    """One that came back between the two is the second's nobody, and one that came back after both stays."""
    later = DataRequest("ann", "f-2", 9).answered(0, {"rate-events": (9, 0), "watch-events": (20, 0)})
    forgetter.feed.note(0, later)
    rated = Origin("rate-events", 0, 10), Rating("r", "ann", "i", 1, 4.0), ()
    await state.apply([*watches("ann", 20, 22), rated])
    await forgetter.set_apart({0, 1})
    assert await users(client) == {"ann"}
    await state.remove_users(["ann"])
    await state.apply([(Origin("watch-events", 0, 22), Watch("b", "ben", "i", 1, 1.0), ())])
    forgetter.feed.note(0, DataRequest("ben", "f-3", 9).answered(0, {"watch-events": (23, 0)}))
    forgetter.feed.note(0, DataRequest("ben", "f-4", 9).answered(0, {"watch-events": (30, 0), "rate-events": (1, 0)}))
    await forgetter.set_apart({0, 1})
    assert await users(client) == {forgetter.feed.forgotten.of("ben")[0].nobody}


class Asked:
    """Carries out the forgetting of ben, whose every event is applied, and may lose the partition meanwhile."""

    def __init__(self, forgetter):
        names = [(topic, number) for topic in topics.EVENTS for number in range(2)]
        forgetter.feed.note(0, DataRequest("ben", "f-5", 9))
        ends = dict.fromkeys(names, 0) | {("watch-events", 0): 6}
        forgetter._earlier["f-5"] = EarlierEvents("f-5", ends)
        self._forgetter = forgetter
        self.owned = self.kept = {0, 1}
        self.said = []
        self.meanwhile = lambda: None
        self.handled = {}

    async def publish(self, *said):
        """Note what is said."""
        self.said.append(said)
        self.meanwhile()
        self.owned = self.kept

    async def again(self):
        """Return who is forgotten now."""
        return await self._forgetter.carry_out(lambda: self.owned, self.handled, self.publish)


@pytest.fixture
async def asked(state, forgetter):
    """Return one whose user has six events."""
    await state.apply(watches("ben", 0, 6))
    return Asked(forgetter)


async def test_who_could_not_be_deleted_is_deleted_next(client, state, forgetter, asked, monkeypatch):
    """Redis may go away once the forgetting is said; then it is said no more, and the user goes all the same."""

    async def away(_):
        raise StateAway("state: away")

    with monkeypatch.context() as patched:
        patched.setattr(state, "remove_users", away)
        with pytest.raises(StateAway):
            await asked.again()
    assert forgetter.has_open({0, 1})
    assert await asked.again() == ("ben",)
    assert len(asked.said) == 1
    assert not forgetter.has_open({0, 1})
    assert await users(client) == set()


@pytest.mark.parametrize("n_waiting", [1, 5])
async def test_a_look_asks_once_how_far_all_is_applied(client, forgetter, asked, n_waiting):
    """However many wait, and once more for those behind one that was answered; they are answered in the same look."""
    forgetter._earlier["f-5"].ends[("watch-events", 0)] = 9
    for n in range(1, n_waiting):
        forgetter.feed.note(0, DataRequest(f"user{n}", f"g-{n}", 9))
        forgetter._earlier[f"g-{n}"] = EarlierEvents(f"g-{n}", dict(forgetter._earlier["f-5"].ends))
    assert await asked.again() == ()  # whatever a first call does
    before = await calls_of(client, "hmget")
    assert await asked.again() == ()
    assert await calls_of(client, "hmget") - before == 2 * len(topics.EVENTS)  # a call for each partition of a topic
    asked.handled = {("watch-events", 0): 9}
    assert len(await asked.again()) == len(asked.said) == n_waiting


async def calls_of(client, command):
    """Return how often a Redis was asked so."""
    return (await client.info("commandstats"))[f"cmdstat_{command}"]["calls"]


async def test_a_redis_that_may_have_gone_back_deletes_nobody(client, state, forgetter, asked):
    """It may lack events that were handled, and these would be a newcomer's when they are applied again."""
    forgetter._earlier["f-5"].ends[("watch-events", 0)] = 9  # three were lost with the server that was known
    known, state._servers = state._servers, frozenset({"0" * 40})
    asked.handled = {("watch-events", 0): 9}
    with pytest.raises(StateMoved):
        await asked.again()
    assert await users(client) == {"ben"}
    state._servers = known
    await forgetter.set_apart({0, 1})
    nobody = forgetter.feed.forgotten.of("ben")[0].nobody
    assert await users(client) == {nobody}
    await state.apply(forgetter.relabelled(watches("ben", 6, 9)))
    assert (await state.profiles([nobody]))[nobody].watches == 9
    assert await asked.again() == ("ben",)
    await forgetter.clear_handled({0, 1}, {})
    assert await users(client) == set()


async def test_who_lost_the_partition_deletes_nobody(client, forgetter, asked):
    """What it would delete may be of events that the next owner has applied."""
    asked.kept = {1}
    assert await asked.again() == ()
    assert await users(client) == {"ben"}
    assert not forgetter.has_open({0, 1})


@pytest.mark.parametrize("how", ["answer", "again"])
async def test_a_later_request_stays_open(client, forgetter, asked, how):
    """An answer to the one before it, or that one again, is the topic's latest record: the owner says it anew."""
    answered = DataRequest("ben", "f-5", 9).answered(0, {"watch-events": (2, 0)})
    forgetter.feed.note(0, answered if how == "again" else DataRequest("ben", "f-6", 10))
    forgetter.feed.note(0, DataRequest("ben", "f-6", 10) if how == "again" else answered)
    if how == "again":
        forgetter.feed.note(0, DataRequest("ben", "f-5", 9))
    assert forgetter.feed.open["ben"][1].request_id == "f-6"
    forgetter._earlier["f-6"] = forgetter._earlier["f-5"]
    asked.owned = {1}
    assert await asked.again() == ()
    after = DataRequestsFeed(Settings("localhost:1", "redis://localhost:1", "/nowhere"))  # of a compacted topic
    [(_, said)] = forgetter.feed.untold.values()
    after.note(0, said)
    assert set(after.open) == {"ben"}
    asked.owned = {0}
    assert await asked.again() == ("ben",)
    assert await users(client) == set()
    assert [one.request_id for one in forgetter.feed.forgotten.of("ben")] == ["f-5", "f-6"]
    assert not forgetter.has_open({0, 1})


async def test_events_elsewhere_than_the_request_are_their_owners(client, state, forgetter):
    """Keys of another form lead to another partition: who owns the events sets them apart, and deletes nobody then."""
    forgetter.feed.note(1, DataRequest("zoe", "f-7", 9).answered(1, {"watch-events": (6, 0)}))
    nobody = forgetter.feed.forgotten.of("zoe")[0].nobody
    await state.apply(watches("zoe", 0, 3))
    await forgetter.set_apart({1})
    assert await users(client) == {"zoe"}
    await forgetter.set_apart({0})
    assert await users(client) == {nobody}
    await state.apply(forgetter.relabelled(watches("zoe", 3, 5)))
    await forgetter.clear_handled({1}, {})
    await forgetter.clear_handled({0}, {})
    assert await users(client) == {nobody}
    await forgetter.clear_handled({1}, {("watch-events", 0): 6})
    assert await users(client) == {nobody}
    await forgetter.clear_handled({0}, {("watch-events", 0): 6})
    assert await users(client) == set()


MERGE = DataRequest("ben", "m-1", 10, "merge", (), "ann")


async def test_a_merge_ends_no_forgetting_and_no_answer_ends_a_merge(client, forgetter, asked):
    """Asked for before the forgetting is done, a merge is said with the answer, and carried out after it."""
    forgetter.feed.note(0, MERGE)
    assert set(forgetter.feed.open) == {"ben"}
    forgetter.feed.merges.changed.clear()
    assert await asked.again() == ("ben",)
    [(answer, partition)] = asked.said
    assert (answer.request_id, answer.into, partition) == ("m-1", "ann", 0)
    assert [one.request_id for one in answer.forgotten] == ["f-5"]
    assert await users(client) == set()
    assert forgetter.feed.merges.changed == {"ben": 0}
    assert not forgetter.has_open({0, 1})


async def test_a_request_that_comes_while_the_answer_is_said_keeps_nobody(client, state, forgetter, asked):
    """The user is deleted before anything of later is applied, though another forgetting waits for that."""

    def ask_again():
        asked.meanwhile = lambda: None
        forgetter.feed.note(0, DataRequest("ben", "f-6", 10))

    asked.meanwhile = ask_again
    forgetter._earlier["f-6"] = EarlierEvents("f-6", {**forgetter._earlier["f-5"].ends, ("watch-events", 0): 8})
    assert await asked.again() == ("ben",)
    assert asked.said[0][0].request_id == "f-5"
    assert await users(client) == set()
    assert forgetter.feed.open["ben"][1].request_id == "f-6"
    applied = await state.apply(watches("ben", 6, 8))
    assert applied.profiles["ben"].watches == 2
    assert await asked.again() == ("ben",)
    assert await users(client) == set()
    assert not forgetter.has_open({0, 1})


async def test_a_merge_that_comes_while_the_answer_is_said_stays(forgetter, asked):
    """The answer is the latest record then, and tells of no merge; it is said anew with it, by the owner."""
    asked.meanwhile = lambda: forgetter.feed.note(0, MERGE)
    assert await asked.again() == ("ben",)
    assert [one.action for one, _ in asked.said] == ["forget", "merge"]
    assert [one.request_id for one in asked.said[1][0].forgotten] == ["f-5"]
    read = DataRequestsFeed(Settings("localhost:1", "redis://localhost:1", "/nowhere"))
    for record in (DataRequest("ben", "f-5", 9), MERGE, *(one for one, _ in asked.said)):
        read.note(0, record)
    assert read.merges.account_of("ben") == forgetter.feed.merges.account_of("ben") == "ann"
    assert (read.open, read.untold) == ({}, {})


async def test_a_merge_is_said_with_what_was_forgotten(forgetter, asked):
    """A record that knows of no forgetting would be all that the topic keeps of the user: the owner says it anew."""
    forgetter.feed.open.pop("ben")
    forgetter.feed.note(0, DataRequest("ann", "m-2", 10, "merge", (), "ben"))
    asked.owned = {1}
    await asked.again()
    assert (asked.said, forgetter.has_open({0, 1})) == ([], True)
    asked.owned = {0}
    await asked.again()
    [(said, partition)] = asked.said
    assert (said.request_id, said.forgotten, partition) == ("m-2", ANSWERED.forgotten, 0)
    assert not forgetter.has_open({0, 1})
    after = DataRequestsFeed(Settings("localhost:1", "redis://localhost:1", "/nowhere"))  # of a compacted topic
    after.note(0, said)
    assert after.forgotten.of("ann") == ANSWERED.forgotten


async def test_a_request_that_comes_again_does_not_undo_its_answer(forgetter, asked):
    """It is the topic's latest record then, and tells of no answer: the owner says that anew."""
    forgetter.feed.open.pop("ben")
    forgetter.feed.note(0, DataRequest("ann", "f-1", 7))
    await asked.again()
    [(said, partition)] = asked.said
    assert (said.request_id, said.forgotten, partition) == ("f-1", ANSWERED.forgotten, 0)
    assert not forgetter.has_open({0, 1})
    after = DataRequestsFeed(Settings("localhost:1", "redis://localhost:1", "/nowhere"))  # of a compacted topic
    after.note(0, said)
    assert (after.open, after.untold, after.forgotten.of("ann")) == ({}, {}, ANSWERED.forgotten)


async def test_what_is_put_again_is_no_change(forgetter):
    """Whoever looks at all forgettings when one is new need not look for a merge."""
    before = forgetter.feed.forgotten.changes
    forgetter.feed.note(0, ANSWERED)
    forgetter.feed.note(0, MERGE)
    assert forgetter.feed.forgotten.changes == before


def test_what_is_known_is_found_by_name(forgetter):
    """Put anew it is there once, and taken back it is gone."""
    forgotten, one = forgetter.feed.forgotten, ANSWERED.forgotten[0]
    forgotten.put("ann", [one])
    assert forgotten.is_nobody(NOBODY)
    assert forgotten.all() == (("ann", one),)
    forgotten.put("ann", [])
    assert not forgotten.is_nobody(NOBODY)
    assert forgotten.all() == ()
