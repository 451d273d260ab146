"""The Kafka cluster: its clients, its topics, and what is sent to them.

``clients`` makes every client of the project, and ``kafka_errors`` turns their errors into ours. ``topics`` names the
topics and makes them, ``partitions`` requires their partition counts, and ``topic_ids`` tells a topic that was made
anew. ``metadata`` asks the cluster for both, and ``cluster_watch`` keeps asking while a process runs. ``publisher``
sends what a worker makes, ``sender`` sends so that one refused record costs no other its delivery, and
``model_versions`` announces one decision, and ``asking`` asks for a list as an app does. This room imports
``records`` and nothing of ``state``: Kafka and Redis do not know each other here, and ``serving`` brings them
together. ``reading``, ``dead_letters`` and ``rebuild`` build on it.
"""

__all__: list[str] = []
