"""The contracts as files: one JSON Schema a topic, and the AsyncAPI document.

They are the same wherever they are made: nothing in them depends on the installation.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

from streams.contracts.asyncapi import asyncapi_document
from streams.contracts.json_types import Schema
from streams.contracts.messages import CONTRACT_VERSION, topic_messages
from streams.errors import DataError

__all__ = ["ASYNCAPI", "as_text", "contract_files", "schema_document", "stale_files", "write_files"]

ASYNCAPI = "asyncapi.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_document(topic: str) -> Schema:
    """Return the JSON Schema of a topic's values; of ``dead-letters`` that of its headers.

    Raises
    ------
    KeyError
        If there is no such topic.
    """
    message = {one.topic: one for one in topic_messages()}[topic]
    major = CONTRACT_VERSION.partition(".")[0]
    return {
        "$schema": _DIALECT,
        "$id": f"urn:reelstream:contract:{major}:{topic}",
        **deepcopy(message.schema),
        "examples": [message.example],
    }


def contract_files() -> Mapping[str, str]:
    """Return the text of each file by its name."""
    schemas = {f"{one.topic}.schema.json": schema_document(one.topic) for one in topic_messages()}
    return {name: as_text(document) for name, document in {ASYNCAPI: asyncapi_document(), **schemas}.items()}


def as_text(document: object) -> str:
    """Return a document as it is kept and printed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_files(folder: Path) -> tuple[str, ...]:
    """Write all files and return their names.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    files = contract_files()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise DataError(f"contracts: a folder that can be written is required, got {error}") from error
    return tuple(files)


def stale_files(folder: Path) -> tuple[str, ...]:
    """Return the names of files that are missing, differ, or are of no contract that there is."""
    files = contract_files()
    found = {path.name: path for path in folder.glob("*.json")}
    differing = {name for name, path in found.items() if files.get(name) != path.read_text("utf-8")}
    return tuple(sorted(differing | (files.keys() - found.keys())))
