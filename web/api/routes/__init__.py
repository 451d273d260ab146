"""All roads but the stored list, by subject.

``users`` has lists and profiles, ``people`` forgets users and merges guests, ``events`` takes what users did,
``catalogue`` shows items and what trends, ``seed`` answers two roads that older apps use, ``operating`` shows and
chooses versions, and ``health`` says how the process is.
"""

__all__: list[str] = []
