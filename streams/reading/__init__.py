"""Reading topics: the worker's Faust app, the readers of whole topics, and what cannot be read.

``app`` builds the Faust app of a worker, ``driver`` is the Kafka driver below it, ``fetched`` hands over whole
fetches, and ``resuming`` lets it go on after a rebalance. ``reader`` reads all partitions for the trainer and the
scorekeeper, and ``time_order`` puts what it read in the order of time. ``range_reader`` reads a stretch of one
partition again. ``compacted`` reads a compacted topic and follows it: ``catalogue`` in every process,
``user_profiles`` where lists are made or learnt, and ``data_requests`` wherever something is kept of users.
``polling`` reads for commands and threads. ``unreadable`` gets past a batch that no client can read, and
``lost_offsets`` logs what a topic no longer holds. ``lag`` says how far a consumer is behind. This room imports
``kafka`` and ``records``; ``dead_letters``, ``rebuild`` and the processes import it.
"""

__all__: list[str] = []
