"""Dead letters: read back, counted, mended and sent again.

``reading`` gives each letter once, finds one, and counts them. ``replaying`` mends letters by a function, checks them
against the contract, sends them and notes that. This room imports ``kafka``, ``reading`` and ``records``. No other room
imports it: one command does.
"""

__all__: list[str] = []
