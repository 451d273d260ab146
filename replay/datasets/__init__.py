"""Recorded logs, read as one ordered stream whatever their format.

``readers`` is the door: it reads a log by its name or its path. ``fetch`` downloads and checks a release of MovieLens,
``formats`` finds out which format lies at a path, and ``files`` lists what lies there. ``movielens``, ``recbole`` and
``csvlog`` each know one family of formats; ``ratings`` parses their rows and ``titles`` their titles, and ``tags``
reads what people said of films. ``archive`` reads the Parquet files of an installation. All of them end in ``dataset``,
which puts the events in order. The room imports the catalogue of ``model`` and nothing else of ``replay``; the rest of
``replay`` knows little more of it than ``dataset``.
"""

__all__: list[str] = []
