"""The archiver process: events in, Parquet files out.

``archiver`` joins the parts and belongs to a consumer group. ``work`` reads and writes in turn; ``share`` holds the
partitions that are its own for now, ``placing`` finds where each goes on, and ``writing`` makes files of what was read.
``forgetting`` takes users out of them. ``store_away`` waits for a store that takes none. ``config`` says when a file is
due, and ``report`` is what ``reelstream health`` prints.
"""

__all__: list[str] = []
