"""What a change of the contracts breaks for whoever relies on an older set.

What comes in may be wider than it was, and what goes out may be narrower. Beside that, what goes out may have more
fields and more words, as consumers leave alone what they do not know.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from streams.contracts.documents import schema_document
from streams.contracts.json_types import Schema
from streams.contracts.messages import topic_messages
from streams.errors import DataError

__all__ = ["breaking_changes"]

_SUFFIX = ".schema.json"
_LOWER, _UPPER = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems")
_AS_IT_IS = ("pattern", "not", "additionalProperties", "minProperties", "anyOf")


def breaking_changes(older: Path) -> tuple[str, ...]:
    """Return what breaks for users of the schemas in a folder, one line each.

    Raises
    ------
    DataError
        If the folder holds no schemas, or one cannot be read.
    """
    files = sorted(older.glob(f"*{_SUFFIX}"))
    if not files:
        raise DataError(f"contracts: a folder of *{_SUFFIX} is required, got none in {older}")
    found: list[str] = []
    directions = {one.topic: one.direction for one in topic_messages()}
    for file in files:
        topic = file.name.removesuffix(_SUFFIX)
        if topic not in directions:
            found.append(f"{topic}: the topic is gone")
            continue
        old, new = _read(file), schema_document(topic)
        is_received = directions[topic] == "receive"
        found += _lost(old, new, topic) if is_received else _lost(new, old, topic, words_may_grow=True)
        found += _gone(old, new, topic)
    return tuple(found)


def _read(file: Path) -> Schema:
    try:
        schema: Schema = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"contracts: a JSON Schema is required in {file}, got {error}") from error
    return schema


def _gone(old: Schema, new: Schema, at: str) -> Iterator[str]:
    """Give the fields that there are no more, those of inner objects and of the places of lists too."""
    before, now = old.get("properties", {}), new.get("properties", {})
    yield from (f"{at}: {name} is gone" for name in sorted(before.keys() - now.keys()))
    for name in sorted(before.keys() & now.keys()):
        yield from _gone(before[name], now[name], f"{at}.{name}")
    if "items" in old and "items" in new:
        yield from _gone(old["items"], new["items"], f"{at}[]")


def _lost(given: Schema, taken: Schema, at: str, *, words_may_grow: bool = False) -> Iterator[str]:
    """Give where ``taken`` refuses what ``given`` allows: who sends the one is not understood by the other."""
    for kind in sorted(_kinds(given) - _kinds(taken)):
        if not (kind == "integer" and "number" in _kinds(taken)):
            yield f"{at}: {kind} on one side is not known on the other"
    if "enum" in taken and "enum" not in given:
        yield f"{at}: any word on one side is one of a list on the other"
    elif "enum" in taken and not words_may_grow and not set(given["enum"]) <= set(taken["enum"]):
        yield f"{at}: words on one side are not known on the other"
    yield from (
        f"{at}: {limit} is {given.get(limit)} on one side and {taken[limit]} on the other"
        for limit in (*_LOWER, *_UPPER)
        if limit in taken and not _is_within(limit, given.get(limit), taken[limit])
    )
    yield from (f"{at}: {rule} differs" for rule in _AS_IT_IS if given.get(rule) != taken.get(rule))
    for name in sorted(_required(taken) - _required(given)):
        yield f"{at}.{name}: is required on one side and may be missing on the other"
    mine, theirs = given.get("properties", {}), taken.get("properties", {})
    for name in sorted(mine.keys() & theirs.keys()):
        yield from _lost(mine[name], theirs[name], f"{at}.{name}", words_may_grow=words_may_grow)
    if "items" in given and "items" in taken:
        yield from _lost(given["items"], taken["items"], f"{at}[]", words_may_grow=words_may_grow)


def _required(schema: Schema) -> set[str]:
    """Return the fields that are required, also those that a withdrawal alone may lack."""
    return {*schema.get("required", []), *schema.get("else", {}).get("required", [])}


def _kinds(schema: Schema) -> set[str]:
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _is_within(limit: str, given: float | None, taken: float) -> bool:
    if given is None:
        return False
    return given >= taken if limit in _LOWER else given <= taken
