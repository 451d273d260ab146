"""What is told of lists, users, items, versions and experiments, as plain values: the same on every surface.

``lookups`` describes what Redis holds, with titles; ``items`` finds an item by a title that somebody typed and tells
what is similar. ``versions`` describes the model versions, ``promoting`` lets one serve, ``history`` tells what was
decided; ``quality`` and ``experiments`` add intervals to what the scorekeeper has counted, and ``comparison`` says what
may be said of two arms. Commands print these values, and the HTTP API answers with them.
"""

__all__: list[str] = []
