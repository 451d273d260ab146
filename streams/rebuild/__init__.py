"""The whole event state once more, from the first event on, in another database.

``target`` finds the database and marks it, ``sharing`` tells whether others share one, ``source`` reads every event
from the archive and from Kafka, and ``rebuild`` applies them. ``copy`` copies what is not made of events, and
``switch`` puts the result in the live database's place. ``digest`` makes a fingerprint of a database and compares two;
it shares no code with the others, so it can testify. This room may import all rooms that hold or read events
(``archive``, ``kafka``, ``reading``, ``records``, ``redis`` and ``state``). No other room imports it: two commands do.
"""

__all__: list[str] = []
