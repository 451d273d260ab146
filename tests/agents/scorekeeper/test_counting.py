"""What a scorekeeper makes of single records, without a broker."""

import orjson
import pytest

from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import Counting
from agents.scorekeeper.report import ScorekeeperReport
from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.errors import StateError
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import DataRequest
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings
from streams.state.quality import LiveQuality, restored


@pytest.fixture
def counting(tmp_path):
    """Return a counting that stands at the start of every topic."""
    return counting_at(tmp_path, 0)


@pytest.fixture
def fresh(tmp_path):
    """Return a counting after a start, which stands behind the first list and the first watch."""
    return counting_at(tmp_path, 1)


def counting_at(tmp_path, offset):
    """Return a counting that stands at an offset of lists and watches, and at the start of the other topics."""
    own = (EventKind("buy", 1.0, is_positive=True), EventKind("skip", 0.1, is_positive=False))
    kinds = KindTable.of((*DEFAULT_KINDS.rows, *own))
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), kinds=kinds)
    counting = Counting(settings, ScorekeeperConfig(), ScorekeeperReport(), DataRequestsFeed(settings))
    counting.offsets = {
        "recommendations": {0: offset},
        "watch-events": {0: offset},
        "rate-events": {0: 0},
        "action-events": {0: 0},
    }
    return counting


def tell(counting, topic, fields):
    """Tell of the first record of a topic: a list at 10, an event at 20."""
    at_ms = 10 if topic == "recommendations" else 20
    counting.tell(RawRecord(Origin(topic, 0, 0, at_ms), fields["user_id"].encode(), orjson.dumps(fields)))


@pytest.mark.parametrize("began", [0, 100])
def test_the_guard_sees_what_is_counted(counting, began):
    """A counted test is the guard's too, also where topics made anew have offsets below those counting began at."""
    counting.began = {topic: {0: began} for topic in counting.offsets}
    items = [{"item_id": "a"}]
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": items}
    tell(counting, "recommendations", a_list)
    tell(counting, "watch-events", {"event_id": "e", "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
    assert counting.board.total.tests == 1
    assert len(counting.guard._tests["v1"]) == 1


@pytest.mark.parametrize(("kind", "tests", "hits"), [("buy", 1, 1), ("skip", 0, 0), ("hide", 0, 0), ("unhide", 0, 0)])
def test_only_a_positive_action_is_tested(counting, kind, tests, hits):
    """A purchase of what was listed is a hit; a skip, and hiding the item, is neither a test nor a hit."""
    listed = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    tell(counting, "recommendations", listed)
    tell(counting, "action-events", {"event_id": "e", "user_id": "u", "item_id": "a", "ts": 1, "kind": kind})
    assert (counting.board.total.tests, counting.board.total.hits) == (tests, hits)


def test_a_skipped_item_is_known(counting):
    """A watch of what was skipped before is no test, as no list after the skip held it."""
    listed = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    tell(counting, "recommendations", listed)
    tell(counting, "action-events", {"event_id": "e", "user_id": "u", "item_id": "a", "ts": 1, "kind": "skip"})
    tell(counting, "watch-events", {"event_id": "f", "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
    assert counting.board.total.tests == 0


def test_a_guests_event_is_tested_on_the_accounts_list(counting):
    """Once a guest was merged, the account has the lists, and a watch of the guest is a hit of one."""
    counting._asked.note(0, DataRequest("guest", "m-1", 7, "merge", (), "ann"))
    items = [{"item_id": "a"}]
    a_list = {"rec_id": "r", "user_id": "ann", "mode": "personalized", "model_version": "v1", "items": items}
    tell(counting, "recommendations", a_list)
    tell(counting, "watch-events", {"event_id": "e", "user_id": "guest", "item_id": "a", "ts": 1, "progress": 1.0})
    assert (counting.board.total.tests, counting.board.total.hits) == (1, 1)


@pytest.mark.parametrize("named", ["old", "new"])
@pytest.mark.parametrize("listed", ["old", "new"])
def test_a_renamed_item_is_a_hit_by_any_id(counting, named, listed):
    """A list names the id of today and an app still sends the one of before, or the other way round."""
    catalogue = Catalogue.of([Item("new", "Film", was=("old",))]).under_first_ids()
    counting._catalogue = lambda: catalogue
    items = [{"item_id": listed, "source": "exposure"}]
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": items}
    tell(counting, "recommendations", a_list)
    tell(counting, "watch-events", {"event_id": "e", "user_id": "u", "item_id": named, "ts": 1, "progress": 1.0})
    assert (counting.board.total.tests, counting.board.total.hits) == (1, 1)
    assert counting.board.describe()["exposure"]["items"] == {"old": [1, 1]}


@pytest.mark.parametrize(
    ("away", "tests"),
    [
        (None, 0),
        (Item("hot", "Film", hidden=True), 0),
        (Item("hot", "Film", expires=20), 0),
        (Item("hot", "Film", released=21), 0),
        (Item("hot", "Film", released=20, expires=21), 1),
    ],
)
def test_what_lists_may_not_hold_is_no_test_and_not_popular(counting, away, tests):
    """No list can hold an item that is hidden, away by its dates or removed, so popularity gets nothing for it."""
    catalogue = Catalogue.of([Item("a", "Other"), *([] if away is None else [away])])
    counting._catalogue = lambda: catalogue
    for _ in range(3):
        counting.board.add_event("others", "hot", 20)
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    tell(counting, "recommendations", a_list)
    tell(counting, "watch-events", {"event_id": "e", "user_id": "u", "item_id": "hot", "ts": 1, "progress": 1.0})
    assert (counting.board.total.tests, counting.board.total.popularity_hits) == (tests, tests)
    credit = counting.board.add_event("u", "a", 20)
    assert credit.rank == 1
    assert counting.board._popularity.top((), 10, lambda one: counting._may_list(one, 20)) == ("hot",) * tests


def test_a_duplicate_is_no_repeat(tmp_path):
    """Where repeats are kept a second event with an item is tested, and a second delivery of the first one is not."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), keep_repeats=True)
    counting = Counting(settings, ScorekeeperConfig(), ScorekeeperReport(), DataRequestsFeed(settings))
    counting.offsets = {"recommendations": {0: 0}, "watch-events": {0: 0}, "rate-events": {0: 0}}
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    tell(counting, "recommendations", a_list)
    for event_id in ("e", "e", "f"):
        tell(counting, "watch-events", {"event_id": event_id, "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
        counting.offsets["watch-events"][0] = 0
    assert counting.board.total.tests == 2


def test_one_id_of_two_users_is_two_events(tmp_path):
    """Ids are a user's own: where repeats are kept both users' events are tested, under whichever id."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), keep_repeats=True)
    counting = Counting(settings, ScorekeeperConfig(), ScorekeeperReport(), DataRequestsFeed(settings))
    counting.offsets = {"recommendations": {0: 0}, "watch-events": {0: 0}, "rate-events": {0: 0}}
    a_list = {"mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    for user in ("u", "v"):
        tell(counting, "recommendations", {"rec_id": user, "user_id": user, **a_list})
        counting.offsets["recommendations"][0] = 0
        tell(counting, "watch-events", {"event_id": "1", "user_id": user, "item_id": "a", "ts": 1, "progress": 1.0})
        counting.offsets["watch-events"][0] = 0
    assert counting.board.total.tests == 2


def stored_of(counting):
    """Return what Redis would hold of a counting, as JSON."""
    quality = LiveQuality(counting.board.describe(), counting.began, counting.offsets, 1, recent=counting.recent())
    return orjson.dumps(quality, option=orjson.OPT_NON_STR_KEYS)


def popular_then_listed(counting):
    """Tell of three watches of a hot item, then of a list without it and a watch of it, and return the latter two."""
    watched = {"item_id": "hot", "ts": 1, "progress": 1.0}
    for user in "vwx":
        tell(counting, "watch-events", {"event_id": user, "user_id": user, **watched})
        counting.offsets["watch-events"][0] = 0
    items = [{"item_id": "a"}]
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": items}
    records = [("recommendations", a_list), ("watch-events", {"event_id": "e", "user_id": "u", **watched})]
    for record in records:
        tell(counting, *record)
    return records


def test_what_was_measured_is_the_same_after_a_restart(counting, fresh):
    """Popularity had the item; asked again with an empty count it would not, yet all that is stored stays as it was."""
    records = popular_then_listed(counting)
    assert counting.board.latest().popularity_hits == 1
    before = stored_of(counting)
    fresh.restore(restored(before), {})
    assert stored_of(fresh) == before
    for record in records:
        tell(fresh, *record)
    assert stored_of(fresh) == before
    assert fresh.guard._tests == counting.guard._tests


def test_a_list_that_was_tested_before_a_restart_is_no_new_one_to_the_guard(counting, fresh):
    """A second event on the list of a test that was read again counts, and is no further test of the guard's."""
    records = popular_then_listed(counting)
    fresh.restore(restored(stored_of(counting)), {})
    for record in records:
        tell(fresh, *record)
    fresh.offsets["watch-events"][0] = 0
    tell(fresh, "watch-events", {"event_id": "f", "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
    assert (fresh.board.total.tests, fresh.board.latest().tests, len(fresh.guard._tests["v1"])) == (2, 2, 1)


def test_what_an_earlier_build_stored_is_taken_up(counting, fresh):
    """Without the latest tests the totals come back, and the window and the guard's tests of the records read again."""
    records = popular_then_listed(counting)
    older = orjson.loads(stored_of(counting))
    del older["recent"]
    fresh.restore(restored(orjson.dumps(older)), {})
    assert (fresh.board.total, fresh.board.latest().tests) == (counting.board.total, 0)
    for record in records:
        tell(fresh, *record)
    assert (fresh.board.total.tests, fresh.board.latest().tests, len(fresh.guard._tests["v1"])) == (1, 1, 1)


def test_foreign_latest_tests_are_refused_with_their_cure(counting):
    """Latest tests that no scorekeeper stored are an error that names the key to delete."""
    stored = LiveQuality(counting.board.describe(), {}, {}, 1, recent={})
    with pytest.raises(StateError, match="delete the key quality:live"):
        counting.restore(stored, {})


def test_who_came_back_is_not_forgotten_again(counting):
    """A forgetting is done once, also after a restart, and a new one is found where another went."""
    feed, first = counting._asked, DataRequest("ann", "f-1", 7).answered(0, {})
    second = DataRequest("ben", "f-2", 8).answered(0, {})
    feed.note(0, first)
    assert not counting.forget_users()
    stored = LiveQuality(counting.board.describe(), {}, {}, 1, forgotten=tuple(counting.forgotten))
    counting.forgotten = frozenset()
    counting.restore(stored, {})
    counting.board._experiment_users |= {("deep", "ann"): (1, 1), ("deep", "ben"): (2, 1)}
    feed.forgotten.put("ann", ())
    feed.note(0, second)
    assert counting.forget_users()
    feed.note(0, first)
    assert not counting.forget_users()
    assert {user for _, user in counting.board._experiment_users} == {"ann", second.forgotten[0].nobody}
    assert counting.n_forgotten == 2
