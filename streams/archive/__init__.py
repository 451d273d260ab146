"""Accepted events as Parquet files, each event once."""

__all__: list[str] = []
