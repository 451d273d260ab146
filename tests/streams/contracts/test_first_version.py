"""Records that the first version wrote are read by this one: logs are kept for good, and programs are not all updated.

The files hold what the code of the first commit with records encodes, and what its contract allowed beside that.
"""

from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from model.catalogue import Item
from streams.contracts.documents import schema_document
from streams.records.codec import decode_item
from streams.records.decoding import RawRecord, decode_batch, decode_request_record
from streams.records.published import shown_list
from streams.records.records import Origin, Rating, Request, Watch

FOLDER = Path(__file__).parents[2] / "data" / "first_records"
WRITTEN = 1795863630412  # Kafka's timestamp of the records, milliseconds
LIST = "4784b39a4cbd068b2c3758a2"


def records(topic, key="user_id"):
    """Return the raw records of a file, each under the key that its producer gave it."""
    lines = (FOLDER / f"{topic}.jsonl").read_bytes().splitlines()
    return [
        RawRecord(Origin(topic, 0, offset, WRITTEN), str(orjson.loads(line)[key]).encode(), line)
        for offset, line in enumerate(lines)
    ]


def test_watches_are_read():
    """Whole numbers are ids, a time of zero is kept, and one that is ahead counts as that of its record."""
    batch = decode_batch(records("watch-events"))
    assert batch.rejected == ()
    assert [event for _, event in batch.events] == [
        Watch("e-41", "ann", "195", 1795863630408, 0.97),
        Watch("e-42", "bob", "1", 0, 0.0, LIST),
        Watch("7", "12", "13", WRITTEN, 1.0),
    ]


def test_ratings_are_read():
    """Fields that nobody knows are left alone."""
    batch = decode_batch(records("rate-events"))
    assert batch.rejected == ()
    assert [event for _, event in batch.events] == [
        Rating("e-6", "ann", "181", 1795863567395, 4.0),
        Rating("e-7", "ann", "172", 1795863567396, 0.5, LIST),
        Rating("e-8", "1", "2", 1, 5.0),
    ]


def test_items_are_read():
    """An item without year and genres is one."""
    assert [decode_item(record.key, record.value) for record in records("catalog-items", "item_id")] == [
        Item("195", "The Terminator", 1984, ("Action", "Sci-Fi", "Thriller")),
        Item("267", "unknown"),
        Item("1", "Toy Story"),
    ]


def test_requests_are_read():
    """Null asks for what is usual."""
    assert [decode_request_record(record) for record in records("recommendation-requests")] == [
        Request("r-1", "ann"),
        Request("r-2", "ann", 5, "Sci-Fi", strict=True, exclude=("96", "195")),
        Request("3", "4"),
    ]


def test_lists_are_read_by_who_judges_them():
    """A list without what came later (propensities, experiments, tiers) is one all the same."""
    first, second = map(shown_list, records("recommendations"))
    assert (first.user_id, first.version, first.items) == ("ann", "v000002-08a2f8da", ("174", "96"))
    assert (second.user_id, second.mode, second.items) == ("bob", "degraded", ())


@pytest.mark.parametrize("topic", ["watch-events", "rate-events", "catalog-items", "recommendation-requests"])
def test_what_came_in_is_allowed_by_the_schemas(topic):
    """Who sent by the first contract need change nothing."""
    schema = Draft202012Validator(schema_document(topic))
    sent = [orjson.loads(line) for line in (FOLDER / f"{topic}.jsonl").read_bytes().splitlines()]
    assert [error.message for one in sent for error in schema.iter_errors(one)] == []
