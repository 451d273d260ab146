"""Commands about the program itself, before anything runs.

``config`` shows every setting and where its value is from, ``doctor`` looks for what is wrong, and
``completion`` prints what makes a shell complete commands. This folder imports ``parts``, and no other commands.
"""

__all__: list[str] = []
