"""The contracts of the topics as documents that other programs read, made from the record types.

``messages`` is the table of what each topic carries, ``incoming`` holds the limits that decoding sets, and ``examples``
one record of each. ``json_types`` turns a record type into JSON Schema, with the words of its docstring, which
``descriptions`` takes out. ``asyncapi`` makes one document of them, and ``documents`` all files, and compares them with
a folder. ``compatibility`` says what would break who relies on an older set. ``checking`` compares what lies on topics
with the schemas.
"""

__all__: list[str] = []
