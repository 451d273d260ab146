"""Commands about the program itself, before anything runs.

``config`` shows every setting and where its value is from, and ``doctor`` looks for what is wrong. This folder imports
``parts``, and no other commands.
"""

__all__: list[str] = []
