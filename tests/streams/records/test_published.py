"""Lists read back from the topic: what a worker writes comes back, and what no worker writes is none."""

from dataclasses import replace

import orjson
import pytest

from model.metrics.live import PublishedList
from streams.records.codec import encode
from streams.records.decoding import RawRecord
from streams.records.published import shown_list
from streams.records.records import ListedItem, Origin, Recommendation


def published(value):
    """Return a record of ``recommendations`` with Kafka timestamp 77."""
    return RawRecord(Origin("recommendations", 0, 3, 77), b"u", value)


A_LIST = Recommendation(
    rec_id="r",
    user_id="u",
    ts=1,
    mode="personalized",
    model_version="v1",
    k=2,
    items=(ListedItem("a", 1, 0.5, "neumf", "why"), ListedItem("b", 2, 0.25, "neumf", "why")),
    trigger={"request_id": "q"},
    sequence=3,
    event_ts=1,
    published_ts=70,
    experiment="x",
    arm="b",
)


def test_a_workers_list_comes_back():
    """Identity, road, items in order, experiment and the record's Kafka timestamp are those of the list."""
    assert shown_list(published(encode(A_LIST))) == PublishedList(
        "r", "u", 77, "personalized", "v1", ("a", "b"), "x", "b"
    )


def test_a_refused_request_was_shown_nothing():
    """An answer that says what is wrong with a request takes nobody's last list away."""
    assert shown_list(published(encode(replace(A_LIST, mode="refused", items=(), sequence=0)))) is None


def test_a_list_of_an_earlier_release_knows_no_experiment():
    """Without the fields of experiments a list is of none."""
    fields = orjson.loads(encode(A_LIST))
    del fields["experiment"], fields["arm"]
    found = shown_list(published(orjson.dumps(fields)))
    assert (found.experiment, found.arm) == (None, None)


@pytest.mark.parametrize(
    "taking_part", [{"arm": None}, {"experiment": None}, {"arm": "c"}, {"arm": {}}, {"experiment": 3}]
)
def test_half_an_experiment_is_none(taking_part):
    """A list that does not name an experiment and side a or b of it is kept as one without."""
    found = shown_list(published(encode(A_LIST)))
    assert shown_list(published(orjson.dumps(orjson.loads(encode(A_LIST)) | taking_part))) == replace(
        found, experiment=None, arm=None
    )


@pytest.mark.parametrize(("source", "exposed"), [("exploration", None), ("exposure", "b")])
def test_a_place_left_to_chance_is_seen(source, exposed):
    """An item that was drawn makes the list one that chance filled; a new one is named."""
    fields = orjson.loads(encode(A_LIST))
    fields["items"][1] |= {"source": source, "propensity": 0.25}
    found = shown_list(published(orjson.dumps(fields)))
    assert (found.is_by_chance, found.exposed) == (True, exposed)


def test_a_place_that_chance_left_alone_is_given_by_score():
    """An item that has its place by score, and would have lost it in one list of ten, is no chance."""
    fields = orjson.loads(encode(A_LIST))
    fields["items"][1] |= {"propensity": 0.9}
    found = shown_list(published(orjson.dumps(fields)))
    assert (found.is_by_chance, found.exposed) == (False, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rec_id", None),
        ("user_id", 5),
        ("mode", ["x"]),
        ("model_version", 1),
        ("items", None),
        ("items", ["a"]),
        ("items", [{"item_id": 3}]),
        ("items", [{}]),
    ],
)
def test_a_field_of_another_type_makes_it_none(name, value):
    """Each field that is looked at must be of its type."""
    fields = orjson.loads(encode(A_LIST))
    assert shown_list(published(orjson.dumps(fields | {name: value}))) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"3", b'"text"', b"\xff"])
def test_what_is_no_object_is_none(value):
    """Nothing, torn JSON and JSON of another shape are no lists."""
    assert shown_list(published(value)) is None
