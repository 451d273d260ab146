"""Taking events back: a withdrawal names an event by its id, and whoever applies it needs that event once more.

Redis remembers where each of a user's last events stood; ``originals`` reads those that withdrawals name. Worker and
rebuild give them to the state with the events. This room may import ``archive``, ``reading``, ``records`` and
``state``.
"""

__all__: list[str] = []
