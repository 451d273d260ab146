"""Breaking a running installation on purpose, and proving that its state came out right.

``stream`` makes the events, ``mixing`` parts them into runs and transactions, and ``sending`` and ``transacting`` bring
them to Kafka; ``ledger`` keeps what the cluster promised. ``faults`` plans what breaks and ``sabotage`` breaks
it; ``expected`` computes the final state from the topics alone, ``observed`` reads what Redis and Kafka hold, and
``compare`` tells the two apart; ``run`` joins them. How a worker is started is given by the caller.
"""

__all__: list[str] = []
