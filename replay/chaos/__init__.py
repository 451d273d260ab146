"""Breaking a running installation on purpose, and proving that its state came out right.

``stream`` makes the events, of the kinds in ``own_kinds`` too, and ``mixing`` divides them into plain records and
transactions. ``parcel_sender`` and ``transacting`` bring them to Kafka, and ``ledger`` keeps what the cluster promised.
``people`` is about what users ask of their data.
``faults`` plans what breaks, and ``sabotage`` breaks it in the processes of ``fleet``; ``gauge`` measures how far the
run is, and ``mending`` sees in the logs which worker is recovering. ``expected`` computes the final state from the
topics alone, ``observed`` reads what Redis and Kafka hold, and ``compare`` lists the differences; ``run`` joins it all.
The room imports neither ``model`` nor the rest of ``replay``, because a check must not share code with what it checks.
Of ``streams`` it uses what reaches a cluster or starts one. The command ``chaos`` imports it and says how a worker is
started.
"""

__all__: list[str] = []
