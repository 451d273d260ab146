"""The archiver process: events in, Parquet files out."""

__all__: list[str] = []
