"""When things happen: four programs, each a process of its own, none of which imports another.

``worker`` answers events and requests with lists, ``trainer`` makes model versions of the events, ``scorekeeper``
counts how often lists were right, and ``archiver`` keeps the events as files. They meet on topics, in Redis and in the
registry. ``retry`` waits for servers that are away, ``side_by_side`` runs a process's loops together, ``turns`` says
who may be at the state, and ``memory`` gives back what was freed; all programs may use these.

An agent's body is decode, call, publish, acknowledge. Arithmetic lives in ``model``, records and Redis keys in
``streams``. Nobody imports this package but the command line.
"""

__all__: list[str] = []
