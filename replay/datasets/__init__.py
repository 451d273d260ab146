"""Recorded logs, read as one ordered stream whatever their format.

``readers`` is the door: it reads a log by its name or its path, as ``options`` say. ``fetch`` downloads and checks a
release of MovieLens. ``finding`` finds out which of the ``files`` at a path is the log, by what is in it, and
``reading`` reads it: ``layouts`` says which column is what, and ``cells`` makes numbers of them. ``items`` reads tables
of items beside a log, ``titles`` their titles, ``users`` and ``tags`` what is said of users and of films. ``archive``
reads the Parquet files of an installation. All of them end in ``dataset``, which puts the events in order;
``inspecting`` tells what would be read. The room imports the catalogue of ``model`` and nothing else of ``replay``; the
rest of ``replay`` knows little more of it than ``dataset``.
"""

__all__: list[str] = []
