"""The cells of a log: from bytes to columns of numbers, a block of rows at a time and without an object for each row.

``blocks`` gives the blocks of a table, ``objects`` those of lines of JSON, and ``netflix`` those of Netflix' own form;
``rejects`` counts what is no row there. ``coding`` turns ids into numbers, ``numbers`` and ``moments`` read numbers and
dates, and ``gathering`` puts a log's columns together. ``times``, ``ratings`` and ``judging`` decide what they mean and
which rows cannot be; ``lines`` finds the line of such a row.
"""

__all__: list[str] = []
