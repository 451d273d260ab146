"""Commands that run something: processes, stacks, the demo and the chaos run.

``worker``, ``trainer``, ``scorekeeper`` and ``archiver`` are the four programs of an installation, and ``health``
says whether one of them lives. ``api`` answers over HTTP. ``topics`` makes the topics that they need, and
``redis_keys`` deletes or renames the keys that they have in Redis. ``stack`` runs Kafka and Redis on this machine, and
``up`` everything together. ``demo`` measures the main job while it runs, and ``chaos`` breaks it on purpose. This
folder alone imports ``agents``. It shares ``parts`` with ``operate`` and ``study``, and imports neither.
"""

__all__: list[str] = []
