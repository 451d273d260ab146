"""Everything that reads topics: the worker's app and driver, the readers of whole topics, and what cannot be read."""

__all__: list[str] = []
