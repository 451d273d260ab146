"""The AsyncAPI document, by the schema that AsyncAPI publishes of its documents."""

import json

from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from streams.contracts.asyncapi import asyncapi_document
from tests.npm import npm_packages

PUBLISHED = "@asyncapi/specs@6.11.1"


def test_the_document_is_asyncapi(tmp_path):
    """It is valid by the published schema, which refuses it where a part is of another name."""
    schemas = npm_packages(tmp_path, PUBLISHED) / "@asyncapi" / "specs" / "schemas"
    schema = json.loads((schemas / "3.0.0.json").read_text("utf-8"))
    parts = {part["$id"]: DRAFT7.create_resource(part) for part in schema["definitions"].values() if "$id" in part}
    published = Draft7Validator(schema, registry=Registry().with_resources(parts.items()))
    document = asyncapi_document()
    assert [f"{error.json_path}: {error.message[:200]}" for error in published.iter_errors(document)] == []
    document["channels"]["watch-events"]["adress"] = "watch-events"
    assert not published.is_valid(document)
