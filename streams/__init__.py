"""What a record is, where it rests, and how it is read, stored and served.

A record comes from Kafka as bytes: ``kafka`` has the clients and topics, ``reading`` the consumers, ``records`` turns
bytes into checked values, and ``contracts`` says for other programs what they are. ``state`` applies events to Redis by
guarded functions, over the connections of ``redis``; ``serving`` makes lists from what they left, ``wording`` may say
them in other words, and ``reports`` tells people of them. ``registry`` stores model versions, ``archive`` accepted
events. ``withdrawals`` finds the events that are taken back, ``dead_letters`` brings back what was refused,
``diagnosis`` says what is wrong with an installation, ``people`` forgets users, ``rebuild`` makes the whole state anew,
``metrics`` names what is measured, ``tracing`` takes traces along, and ``stack`` runs Kafka and Redis on this machine.
Beside them lie what every room needs: ``errors`` is the tree of errors, ``settings`` the addresses, ``setting_table``
lists all that can be set and ``config_file`` reads it, with ``security``, ``tokens`` and ``token_providers`` for Kafka
and ``redis_url`` for Redis; ``kinds`` reads the table of kinds of events, ``files`` writes files whole,
``availability`` says that a server is away, ``connected`` leaves no client connected, ``awake`` notices that this
process stood still, and ``sentence_weights`` finds what reads sentences. Nothing here decides what to recommend: that
is ``model``, which this package uses. ``agents``, ``replay`` and ``commands`` use this one, and it imports none of
them.
"""

__all__: list[str] = []
