"""The worker process: events and requests in, lists out."""

__all__: list[str] = []
