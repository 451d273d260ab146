"""The local stack: a real Apache Kafka and a real Valkey as child processes, from packages."""

__all__: list[str] = []
