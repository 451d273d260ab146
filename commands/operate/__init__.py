"""Commands that look at a running installation and change it.

``lookups`` shows lists, profiles and trending, ``asking`` has the wishes of a list that is asked for, and ``similar``
shows what is like an item; ``quality`` shows how often lists were right. ``models`` manages model versions,
``model_diff`` compares two of them, ``experiments`` starts and stops an experiment, and ``modes`` chooses a user's
mode. ``keys`` makes and removes those of the HTTP API. ``dead_letters`` lists and replays refused records, ``kinds``
shows the table of kinds, ``contracts`` what topics carry, and ``archive`` checks the archived events. ``digest``
compares two databases, and ``rebuild`` makes the state anew. This folder imports ``parts``, and neither ``run`` nor
``study``.
"""

__all__: list[str] = []
