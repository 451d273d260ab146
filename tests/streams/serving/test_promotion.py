"""One way for a version to serve, on a real Redis: moved, announced, and finished by whoever comes next."""

from dataclasses import replace

import orjson
import pytest

from streams.errors import StateError, TopicError
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.redis.connection import connect_to_read
from streams.registry.versions import Lineage, VersionStore
from streams.serving.promotion import Promotion, decide, pointer_to, withdraw
from streams.state.pointer import ModelPointer, ModelStanding, find_decisions
from streams.state.store import State

FIRST = ModelVersion("v1", "promoted", None, "file:///v1", 5, {"hr@10": 0.5})
SECOND = ModelVersion("v2", "rolled_back", "v1", "file:///v2", 6, {}, "v1 drifted")


class Topic:
    """A topic that takes announcements, or refuses them for a while."""

    def __init__(self):
        self.taken = []
        self.is_away = False

    async def announce(self, decided):
        """Take one."""
        if self.is_away:
            raise TopicError("model: no")
        self.taken.append(decided)


@pytest.fixture
async def state(client):
    """Return the state with its functions."""
    state = State(client)
    await state.install()
    return state


@pytest.fixture
def topic():
    """Return an empty topic."""
    return Topic()


def test_a_decision_holds_what_the_version_is_and_why(tmp_path):
    """Figures are the version's own unless others decided, and the pointer goes to its folder since the decision."""
    lineage = Lineage("v0", {"hr@10": 0.5}, {}, 1, 0, "test")
    version = VersionStore(str(tmp_path)).put({"content.json": b"1"}, {}, lineage)
    promoted = decide(version, "promoted", by="trainer")
    assert (promoted.version, promoted.parent, promoted.metrics) == (version.version_id, "v0", {"hr@10": 0.5})
    assert pointer_to(promoted) == ModelPointer(version.version_id, version.uri, promoted.ts)
    back = decide(version, "rolled_back", "it drifted", {"z": -4.0}, by="scorekeeper")
    assert (back.status, back.cause, back.metrics) == ("rolled_back", "it drifted", {"z": -4.0})
    assert (promoted.by, back.by) == ("trainer", "scorekeeper")


async def test_a_decision_is_stored_until_it_is_announced(state, client, topic):
    """While it is announced the pointer has moved and holds the record; afterwards it holds nothing more."""
    seen = []

    async def announce(decided):
        seen.append(await client.hgetall("model:current"))
        await topic.announce(decided)

    assert await Promotion(state, announce).serve(FIRST, expected=None)
    pointer = {b"version": b"v1", b"uri": b"file:///v1", b"promoted_at": b"5"}
    assert seen == [pointer | {b"announcing": encode(FIRST)}]
    assert topic.taken == [FIRST]
    assert await client.hgetall("model:current") == pointer


async def test_a_withdrawal_is_a_move_like_any_other(state, client, topic):
    """It is announced until the topic takes it, and then nothing of it is left but a pointer to no version."""
    promotion = Promotion(state, topic.announce)
    assert await promotion.serve(FIRST, standing=ModelStanding("v0"))
    assert await state.measured_model() == (pointer_to(FIRST), ModelStanding("v0"))
    decision = withdraw(pointer_to(FIRST), "it drifted", {"z": -4.0}, by="scorekeeper")
    assert (decision.version, decision.status, decision.uri) == ("v1", "withdrawn", None)
    topic.is_away = True
    with pytest.raises(TopicError):
        await promotion.serve(decision, pointer_to(FIRST))
    topic.is_away = False
    assert await promotion.finish() == decision
    assert topic.taken == [FIRST, decision]
    ts = str(decision.ts).encode()
    assert await client.hgetall("model:current") == {b"version": b"", b"uri": b"", b"promoted_at": ts}


async def test_what_could_not_be_announced_is_finished_by_another(state, topic):
    """A topic that refuses leaves the decision to the next process, which announces it once."""
    topic.is_away = True
    with pytest.raises(TopicError):
        await Promotion(state, topic.announce).serve(FIRST)
    assert await state.current_model() == pointer_to(FIRST)
    topic.is_away = False
    next_one = Promotion(state, topic.announce)
    assert await next_one.finish() == FIRST
    assert await next_one.finish() is None
    assert topic.taken == [FIRST]


async def test_it_may_be_asked_for_again(state, topic):
    """After a refusal the same decision is announced, though the version that it expected serves no more."""
    promotion = Promotion(state, topic.announce)
    await promotion.serve(FIRST)
    topic.is_away = True
    with pytest.raises(TopicError):
        await promotion.serve(SECOND, pointer_to(FIRST))
    topic.is_away = False
    assert await promotion.serve(SECOND, pointer_to(FIRST))
    assert topic.taken == [FIRST, SECOND]
    assert await state.unannounced() is None


async def test_who_expected_another_version_changes_nothing(state, topic):
    """Where somebody else has chosen meanwhile nothing moves and nothing is announced."""
    promotion = Promotion(state, topic.announce)
    await promotion.serve(SECOND)
    assert not await promotion.serve(FIRST, expected="v0")
    assert await state.current_model() == pointer_to(SECOND)
    assert topic.taken == [SECOND]


async def test_what_was_overtaken_is_not_announced(state, topic):
    """A decision that was not announced yet goes with the pointer's next move, and is not asked for again."""
    promotion = Promotion(state, topic.announce)
    topic.is_away = True
    with pytest.raises(TopicError):
        await promotion.serve(FIRST)
    topic.is_away = False
    await promotion.serve(SECOND)
    assert await promotion.finish() is None
    assert not await promotion.serve(FIRST, expected=None)
    assert topic.taken == [SECOND]


async def test_a_later_decision_stays_to_be_announced(state, topic):
    """Whose announcement was overtaken while it was made does not remove what the later one has stored."""

    async def overtaken(decided):
        await topic.announce(decided)
        await state.move_model(pointer_to(SECOND), announcing=SECOND)

    assert await Promotion(state, overtaken).serve(FIRST)
    assert await state.unannounced() == SECOND


async def test_what_is_no_record_is_told(state, client, topic):
    """Somebody else's value beside the pointer is one error with its cure."""
    await state.move_model(ModelPointer("v1", "file:///v1", 5))
    await client.hset("model:current", "announcing", "?")
    with pytest.raises(StateError, match=r"in the field announcing of model:current, got b'\?': .* delete that field"):
        await Promotion(state, topic.announce).finish()


async def test_what_serves_is_in_the_history_once(state, client, topic):
    """A move is noted with who made it; one that is finished by another process is not noted twice."""
    promotion = Promotion(state, topic.announce)
    first, second = replace(FIRST, by="trainer"), replace(SECOND, by="ann@host")
    await promotion.serve(first)
    topic.is_away = True
    with pytest.raises(TopicError):
        await promotion.serve(second)
    topic.is_away = False
    assert await Promotion(state, topic.announce).finish() == second
    assert [orjson.loads(one) for one in await client.zrange("model:history:moves", 0, -1)] == [
        orjson.loads(encode(first)),
        orjson.loads(encode(second)),
    ]


async def test_what_was_refused_is_not_in_the_history(state, client, topic):
    """A decision that another move was quicker than has changed nothing, so nothing is told of it."""
    promotion = Promotion(state, topic.announce)
    await promotion.serve(SECOND)
    assert not await promotion.serve(FIRST, expected="v0")
    assert await client.zcard("model:history:moves") == 1


async def test_the_history_is_bounded(state, redis_url):
    """Of rounds that changed nothing the latest 1,000 are kept, and they push no move out."""
    await state.note_decision(FIRST)
    rounds = [ModelVersion(None, "held", "v1", None, 10 + n, by="trainer") for n in range(1002)]
    for one in rounds:
        await state.note_decision(one)
    with connect_to_read(redis_url) as reader:
        found = find_decisions(reader, 2000)
        assert found == [*reversed(rounds[2:]), FIRST]
        assert find_decisions(reader, 3) == [rounds[1001], rounds[1000], rounds[999]]
        assert find_decisions(reader, 3, moves_only=True) == [FIRST]
