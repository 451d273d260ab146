"""Records: what the model sees of them, and the identity of a list."""

import dataclasses
from hashlib import blake2b

import orjson
import pytest

from model.because import Because
from model.feedback import RatingTallies
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.records.codec import encode
from streams.records.records import (
    Action,
    ListedItem,
    ModelVersion,
    Rating,
    Recommendation,
    Watch,
    judged,
    recommendation_id,
)


def test_a_watch_weighs_its_progress():
    """Three quarters seen weigh 0.75."""
    assert Watch("e", "u", "i", 5, 0.75).interaction() == Interaction("i", 5, "watch", 0.75)


def test_a_rating_weighs_its_share_of_five_stars():
    """Four stars of five weigh 0.8, half a star 0.1, five stars 1."""
    for stars, weight in ((4.0, 0.8), (0.5, 0.1), (5.0, 1.0)):
        assert Rating("e", "u", "i", 5, stars).interaction() == Interaction("i", 5, "rate", weight)


def test_an_action_weighs_as_its_kind_says():
    """A like of weight 0.8 is positive, a skip of weight 0.1 is not, and hiding is nothing that the model sees."""
    own = (EventKind("like", 0.8, is_positive=True), EventKind("skip", 0.1, is_positive=False))
    kinds = KindTable.of((*DEFAULT_KINDS.rows, *own))
    assert Action("e", "u", "i", 5, "like").interaction(kinds) == Interaction("i", 5, "like", 0.8, is_positive=True)
    assert Action("e", "u", "i", 5, "skip").interaction(kinds) == Interaction("i", 5, "skip", 0.1, is_positive=False)
    assert Action("e", "u", "i", 5, "hide").interaction(kinds) is None
    assert Action("e", "u", "i", 5, "unhide").interaction(kinds) is None
    with pytest.raises(ValueError, match="got 'like'"):
        Action("e", "u", "i", 5, "like").interaction()


def test_the_table_may_scale_watches_and_ratings():
    """With half their weight, and never positive, half a watch weighs 0.25 and four stars 0.4."""
    own = (EventKind("watch", 0.5, is_positive=False), EventKind("rate", 0.5, is_positive=False))
    kinds = KindTable.of((*own, *(row for row in DEFAULT_KINDS.rows if row.effect)))
    watch, rating = Watch("e", "u", "i", 5, 0.5), Rating("e", "u", "i", 5, 4.0)
    assert watch.interaction(kinds) == Interaction("i", 5, "watch", 0.25, is_positive=False)
    assert rating.interaction(kinds) == Interaction("i", 5, "rate", 0.4, is_positive=False)


def test_events_are_written_under_their_documented_names():
    """The JSON of an event holds what its producer sends and no more."""
    assert orjson.loads(encode(Watch("e", "u", "i", 5, 0.5))).keys() == {
        *("event_id", "user_id", "item_id", "ts", "progress", "rec_id")
    }
    assert orjson.loads(encode(Action("e", "u", "i", 5, "like"))).keys() == {
        *("event_id", "user_id", "item_id", "ts", "kind", "rec_id")
    }


def test_a_lists_identity_is_the_hash_of_user_trigger_and_version():
    """It is 12 bytes of BLAKE2b over the three joined by line breaks, in hex."""
    expected = blake2b(b"u1\nwatch-events:0:7\nv000001-0123abcd", digest_size=12).hexdigest()
    assert recommendation_id("u1", "watch-events:0:7", "v000001-0123abcd") == expected
    assert len(expected) == 24


def test_a_lists_identity_differs_with_each_part():
    """Another user, trigger or version is another list, and no version is not a version of its own."""
    parts = [("u1", "t:0:1", "v1"), ("u2", "t:0:1", "v1"), ("u1", "t:0:2", "v1"), ("u1", "t:0:1", "v2")]
    assert len({recommendation_id(*part) for part in parts} | {recommendation_id("u1", "t:0:1", None)}) == 5


def test_a_list_is_written_under_its_documented_names():
    """The JSON of a recommendation has exactly the fields of the contract, items as objects."""
    listed = ListedItem("i1", 1, 0.5, "trending", "Trending now", because=Because("trending"))
    trigger = {"topic": "watch-events", "partition": 0, "offset": 7, "event_id": "e1", "timestamp": 9}
    record = Recommendation("r", "u1", 5, "cold_start", None, 10, (listed,), trigger, 3, 5, 8, "words", "b")
    assert orjson.loads(encode(record)) == {
        "rec_id": "r",
        "user_id": "u1",
        "ts": 5,
        "mode": "cold_start",
        "model_version": None,
        "k": 10,
        "items": [
            {
                "item_id": "i1",
                "rank": 1,
                "score": 0.5,
                "source": "trending",
                "reason": "Trending now",
                "propensity": 1.0,
                "because": {"kind": "trending", "item_id": None, "genres": []},
            }
        ],
        "trigger": trigger,
        "sequence": 3,
        "event_ts": 5,
        "published_ts": 8,
        "experiment": "words",
        "arm": "b",
        "tier": None,
        "unfilled": [],
        "error": None,
        "query_method": None,
        "wording": None,
    }


def test_a_version_decision_is_written_under_its_documented_names():
    """The JSON of a model version has exactly the fields of the contract."""
    record = ModelVersion("v1", "rolled_back", None, "/models/v1", 5, {"hr_10": 0.25}, "lists drifted", "scorekeeper")
    assert orjson.loads(encode(record)) == {
        "version": "v1",
        "status": "rolled_back",
        "parent": None,
        "uri": "/models/v1",
        "ts": 5,
        "metrics": {"hr_10": 0.25},
        "cause": "lists drifted",
        "by": "scorekeeper",
    }


def test_records_cannot_be_changed():
    """Records are frozen, so what was published is what was decided."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Watch("e", "u", "i", 5, 0.75).progress = 1.0


def test_an_event_is_judged_by_the_ratings_before_it():
    """After five ratings of five stars four are not positive; a watch says for itself, and counts as no rating."""
    tallies = RatingTallies()
    for number in range(5):
        assert judged(Rating(f"e{number}", "u", f"i{number}", 5, 5.0), tallies).is_positive
    assert not judged(Watch("e5", "u", "i5", 5, 0.01), tallies).is_positive
    assert judged(Rating("e6", "v", "i6", 5, 4.0), tallies).is_positive
    assert judged(Rating("e7", "u", "i7", 5, 4.0), tallies) == Interaction("i7", 5, "rate", 0.8, is_positive=False)
