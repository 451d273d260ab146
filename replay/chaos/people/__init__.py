"""What people ask of their data, under chaos: in the stream, in the expected state, and in the table of differences.

``asking`` makes the records, and ``outcome`` computes from the topic alone who was forgotten up to where, and whose
guest is whose. ``looking`` reads what Redis says of it, and ``rows`` compares the two. Like the rest of the room it
shares no code with what it checks.
"""

__all__: list[str] = []
