"""One trained version of NeuMF as a value, and what it computes: arrays alone, without the library that trains.

``shape`` says which weights a network has, and ``snapshot`` is these weights with the ids of their rows; ``delta`` is
what changed from one snapshot to the next. ``served`` scores with them, ``tower`` reads a history, ``cooccurrence``
reads the counts of what followed what, ``pair_table`` holds these of a small catalogue, and ``taste`` says by low-rank
factors what a history as a whole is for.
``intent`` makes vectors of texts. ``blend`` has the weights by which all of these and what is popular are mixed for a
user of whom so much is known. The room imports the modules at the root of ``model``. Ranking builds on it, and the
registry, the worker and the trainer hold its snapshots. What is trained, in torch, is in ``trainable``.
"""

__all__: list[str] = []
