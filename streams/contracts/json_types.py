"""From a record type to JSON Schema, in the part of it that 2020-12 and AsyncAPI's own format share."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from streams.contracts.descriptions import parameters_of, summary_of

__all__ = ["Schema", "nullable", "schema_of_incoming", "schema_of_outgoing"]

Schema = dict[str, Any]
_PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of_incoming(cls: type, limits: Mapping[str, Schema]) -> Schema:
    """Return what a producer may send: the limits of each field; one with a default may be absent or null.

    Parameters
    ----------
    cls : the record type, a dataclass.
    limits : of each of its fields, by name.
    """
    names = {one.name: _is_required(one) for one in fields(cls)}
    properties = {name: limits[name] if required else nullable(limits[name]) for name, required in names.items()}
    return _object(cls, properties, [name for name, required in names.items() if required])


def schema_of_outgoing(cls: type, narrowed: Mapping[str, Schema] | None = None) -> Schema:
    """Return what a consumer gets: every field of the record type, each as its annotation says.

    Parameters
    ----------
    cls : the record type, a dataclass.
    narrowed : in the place of an annotation that says less than is known, by name.
    """
    hints, known = get_type_hints(cls), narrowed or {}
    properties = {one.name: dict(known.get(one.name) or _of_annotation(hints[one.name])) for one in fields(cls)}
    return _object(cls, properties, list(properties))


def nullable(schema: Schema) -> Schema:
    """Return a schema that allows null beside what it allows."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    widened = schema | {"type": [*kinds, "null"]}
    return widened | {"enum": [*schema["enum"], None]} if "enum" in schema else widened


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _object(cls: type, properties: Mapping[str, Schema], required: list[str]) -> Schema:
    words = parameters_of(cls)
    return {
        "title": cls.__name__,
        "description": summary_of(cls),
        "type": "object",
        "properties": {name: {"description": words[name], **schema} for name, schema in properties.items()},
        "required": required,
    }


def _of_annotation(annotation: Any) -> Schema:
    arguments = get_args(annotation)
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    if is_dataclass(annotation) and isinstance(annotation, type):
        return schema_of_outgoing(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        (inner,) = (one for one in arguments if one is not types.NoneType)
        return nullable(_of_annotation(inner))
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(arguments)}
    if get_origin(annotation) is tuple and arguments[1:] == (...,):
        return {"type": "array", "items": _of_annotation(arguments[0])}
    raise TypeError(f"contracts: a type that JSON Schema can say is required, got {annotation!r}; narrow it by hand")
