"""The cluster: its clients, topics and partitions, and everything that is sent."""

__all__: list[str] = []
