"""The scorekeeper process: lists and events in, live figures out."""

__all__: list[str] = []
