"""What Redis holds: users, items, trending and lists, changed by guarded functions alone.

``store`` is the state of an installation: it applies events, keeps lists, and tells how far each partition has come.
Its changes are the functions of ``functions.lua``; ``library`` loads them, ``calls`` says what they are sent and what
they answer, and ``known_positions`` remembers what they must still hold. ``keys`` has the names of everything.
``trending`` merges what is trending, which decays by the clock of ``model.own_time``. ``kept_lists`` takes what has
left the catalogue out of stored lists, and counts users by mode. ``exposure`` reads what is known of new items and
keeps which of them lists may show. ``experiments``, ``quality`` and ``pointer`` (the model that serves) read and write
what their names say, and ``lookups`` reads for people and apps. ``rights`` and ``eviction`` look, before a process
starts, whether Redis lets it do its work and keeps what it is given. This room imports ``records`` and ``redis`` and
nothing of ``kafka``; ``serving``, ``rebuild`` and the processes import it.
"""

__all__: list[str] = []
