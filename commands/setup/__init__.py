"""Commands about the program itself, before anything runs.

``config`` shows every setting and where its value is from. This folder imports ``parts``, and no other commands.
"""

__all__: list[str] = []
