"""NeuMF and its parts as torch modules, which are trained; ``network`` has a version as arrays, and how it serves.

``neumf`` is the network: two heads over a user and an item. ``history_tower`` makes the user's vector from a history,
``intent_tower`` makes one from a text, ``evidence`` counts what followed what, ``evidence_at`` reads that for many
events at once, in a large catalogue by ``followers``, and ``taste`` factorises who touched what. ``gathering`` reads
rows of tables with cheap gradients, and ``row_subset`` is a network of some rows. The room imports ``network``,
``metrics`` and the modules at the root of ``model``. Training builds on it. Besides it only ``training`` and ``plain``
import torch, so that who serves needs none.
"""

__all__: list[str] = []
