"""From events to a new version, and whether it may serve.

``learner`` is the trainer's memory: it observes events and hands out the material of a round. ``rounds`` turns that
material into a candidate: it trains a first version on everything, and fine-tunes a later one on some rows of its
tables. ``whole_log`` makes a version from a log at once. ``blending`` learns how much each feature of a version counts,
from ``held_out`` events and from ``heat``, what trended before them. ``fit`` takes the steps, on what ``batches`` makes
ready, with early stopping on the events that ``validation`` holds out; ``checkpoint`` is a training between two epochs,
and ``peers`` are processes that train together. ``divergence`` refuses weights that exploded, ``gate`` ranks held-out
events with a candidate and its rivals, ``standing`` decides by their hits, in this round and summed over earlier ones,
and ``update_scale`` makes the next round bolder or more careful. The room imports the root of ``model``, ``metrics``,
``network`` and ``ranking``. The trainer and the prequential replay go through ``learner`` and ``gate``; the offline
evaluation needs no more than ``rounds.train``.
"""

__all__: list[str] = []
