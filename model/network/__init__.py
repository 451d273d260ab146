"""NeuMF and its parts, and one trained version of it as a value.

``neumf`` is the network: two heads over a user and an item. ``history_tower`` makes the user's vector from a history,
``intent`` makes one from a text, and ``cooccurrence`` counts the evidence, which the last layer reads. ``blend`` has
the weights by which these and what is popular are mixed for a user of whom so much is known. ``snapshot`` is a
network's weights with the ids of its rows, and ``delta`` is what changed from one snapshot to the next. The room
imports only the modules at the root of ``model``. Ranking and training build on it, and the registry, the worker and
the trainer hold its snapshots.
"""

__all__: list[str] = []
