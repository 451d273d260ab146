"""The command line, one file per subject; ``reelstream.py`` joins them.

Each module exposes click commands and imports what is heavy (torch, pandas, faust, kafka) inside them,
so that ``--help`` answers at once. Nothing here computes: commands read arguments, call, and print.
"""

__all__: list[str] = []
