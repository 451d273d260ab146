"""Many events as arrays, for logs that are too long for a Python object each.

``events`` holds events as columns, and ``histories`` is each user's history in such columns. ``profiles`` has what
profiles hold of the latest events.
"""

__all__: list[str] = []
