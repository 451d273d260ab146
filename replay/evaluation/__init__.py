"""Offline evaluation: splits, protocols, and what their runs come to."""

__all__: list[str] = []
