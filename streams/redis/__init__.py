"""Redis as a server: connections, leases, and the signs of life of processes.

``connection`` connects to a server, a cluster or the primary behind Sentinels, and turns failures into our errors.
``prefix`` puts the prefix of an installation before every key. ``own_keys`` counts and deletes the keys of one among
others'. ``earlier_keys`` tells where an earlier release left keys without the prefix, and ``adopting`` renames them.
``routing`` finds the member of a cluster that a function call goes to, and ``packing`` packs commands in C. ``lease``
lets one process at a time run under a name. ``heartbeat`` writes the signs of life of processes and finds them. What
Redis holds of users and items is ``state``'s: this room imports no other, and ``state``, ``serving`` and ``rebuild``
connect through it.
"""

__all__: list[str] = []
