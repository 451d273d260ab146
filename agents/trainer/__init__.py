"""The trainer process: events in, model versions out."""

__all__: list[str] = []
