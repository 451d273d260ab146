"""Which column of a log says what: by the header where there is one, by the content where there is none, never by name.

``names`` holds the usual names of columns, ``table`` the layouts of public logs, one row each, and ``headless`` those
that have no header and yet cannot be mistaken. ``shape`` finds out how a file is written, from its first bytes, and
``roles`` gives each column its part.
"""

__all__: list[str] = []
