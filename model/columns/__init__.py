"""Many events as arrays, for logs that are too long for a Python object each.

``events`` holds events as columns, and ``histories`` is each user's history in such columns.
"""

__all__: list[str] = []
