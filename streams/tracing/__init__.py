"""Traces from event to list: ``carrying`` takes them along, ``spans`` tells OpenTelemetry of them where somebody asks.

This room imports ``records``; the worker imports it.
"""

__all__: list[str] = []
