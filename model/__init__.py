"""What to recommend: catalogue, histories, NeuMF and its training, ranking, cold start, metrics.

The flow: interactions become a history (``history``), the network scores it against every item (``neumf``,
``ranking``), users without enough history get a blend of trending and similar items (``coldstart``), and
``recommender`` joins both roads. Nothing here does I/O or reads a clock.
"""

__all__: list[str] = []
