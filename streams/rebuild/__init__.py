"""The whole event state once more, from the first event on, in another database."""

__all__: list[str] = []
