"""The contracts that are checked in: they are those of the code, they are sound, and their examples keep them."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from model.catalogue import Item
from model.hints import UserHints
from streams.contracts.documents import ASYNCAPI, contract_files, schema_document, stale_files, write_files
from streams.contracts.messages import topic_messages
from streams.errors import DataError
from streams.kafka.topics import EVENTS, TOPICS
from streams.records.data_requests import DataRequest
from streams.records.records import Action, ModeChange, ModelVersion, Rating, Recommendation, Request, Watch

ROOT = Path(__file__).parents[3]
CONTRACTS = ROOT / "contracts"
RECORDS = {
    "watch-events": Watch,
    "rate-events": Rating,
    "action-events": Action,
    "catalog-items": Item,
    "user-profiles": UserHints,
    "data-requests": DataRequest,
    "recommendation-requests": Request,
    "recommendations": Recommendation,
    "mode-changes": ModeChange,
    "model-versions": ModelVersion,
}
NAMES = [topic.name for topic in TOPICS]


def test_what_is_checked_in_is_what_the_code_says():
    """``reelstream contracts --out contracts`` would change nothing."""
    assert stale_files(CONTRACTS) == ()


@pytest.mark.parametrize("topic", NAMES)
def test_a_schema_is_sound_and_has_an_example(topic):
    """It is JSON Schema by the dialect that it names and by the one of AsyncAPI, and its example is valid."""
    schema = schema_document(topic)
    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)
    for kind in (Draft7Validator, Draft202012Validator):
        assert [error.message for example in schema["examples"] for error in kind(schema).iter_errors(example)] == []


@pytest.mark.parametrize("topic", RECORDS)
def test_a_schema_has_every_field_with_its_words(topic):
    """Its properties are the fields of the record type, and each says what it is."""
    properties = schema_document(topic)["properties"]
    of_events = ["withdraws"] if topic in EVENTS else []
    assert list(properties) == [one.name for one in fields(RECORDS[topic])] + of_events
    assert [name for name, schema in properties.items() if len(schema["description"]) < len("who.")] == []


def test_what_goes_out_is_complete():
    """Every field of a record that this program sends is required, so consumers need not ask."""
    for topic in ("recommendations", "mode-changes", "model-versions"):
        schema = schema_document(topic)
        assert schema["required"] == list(schema["properties"])


def test_the_document_leads_everywhere():
    """Every reference of the AsyncAPI document names a part of it, and every topic is a channel with an operation."""
    text = contract_files()[ASYNCAPI]
    document = json.loads(text)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        part = document
        for name in reference.split("/"):
            part = part[name]
    assert list(document["channels"]) == NAMES
    assert {one["channel"]["$ref"] for one in document["operations"].values()} == {f"#/channels/{n}" for n in NAMES}
    assert document["channels"]["catalog-items"]["messages"].keys() == {"Item", "ItemRemoval"}
    assert document["operations"]["receive-recommendation-requests"]["reply"] == {
        "channel": {"$ref": "#/channels/recommendations"}
    }


def test_the_page_of_records_keeps_the_schemas():
    """Each example of docs/reference/records.md is valid for its topic."""
    page = (ROOT / "docs" / "reference" / "records.md").read_text("utf-8")
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    topics = [one.topic for one in topic_messages() if one.direction == "receive"]
    shown = [*topics[:3], topics[0], *topics[3:], topics[-1]]  # a withdrawal after the events, and a second request
    for topic, example in zip(shown, examples, strict=True):
        assert list(Draft202012Validator(schema_document(topic)).iter_errors(example)) == []


def test_what_is_stale_is_named(tmp_path):
    """A file that differs, one that is missing and one of no topic are named; written anew, all are current."""
    write_files(tmp_path)
    (tmp_path / "films.schema.json").write_text("{}")
    (tmp_path / "rate-events.schema.json").unlink()
    (tmp_path / ASYNCAPI).write_text("{}")
    assert stale_files(tmp_path) == (ASYNCAPI, "films.schema.json", "rate-events.schema.json")
    (tmp_path / "films.schema.json").unlink()
    write_files(tmp_path)
    assert stale_files(tmp_path) == ()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """Where a file is in the way, the reason says so."""
    (tmp_path / "there").touch()
    with pytest.raises(DataError, match="a folder that can be written is required"):
        write_files(tmp_path / "there")
