"""The command line, one file for each command; ``reelstream.py`` joins them.

``run`` has the commands that run something, ``operate`` those that look at a running installation or change it,
``study`` those that measure on recorded logs, ``people`` those that do what people ask of their data, ``setup`` those
about the program itself, and ``parts`` what they share. ``groups`` is what every group of commands is made of.
Each module defines click commands and imports what is heavy (torch, pandas, faust, kafka) inside them, so that
``--help`` answers at once. Nothing here computes: commands read arguments, call, and print. Commands may import every
other package, and nobody imports them but ``reelstream.py``.
"""

__all__: list[str] = []
