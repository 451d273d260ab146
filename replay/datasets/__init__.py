"""Recorded logs, read as one ordered stream whatever their format."""

__all__: list[str] = []
