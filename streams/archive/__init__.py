"""Accepted events as Parquet files, each event once.

``scanning`` turns the records of one partition into what goes into the next files, without duplicates and split by day.
``parquet`` writes and reads the files, and tells from their names how far they go. This room imports ``records`` alone.
The archiver writes through it; ``rebuild`` and the commands that train and compare read through it.
"""

__all__: list[str] = []
