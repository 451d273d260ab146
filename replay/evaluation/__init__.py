"""Offline evaluation: a method is fitted on a split and ranks each user's held-out event.

``split`` is what may be learnt from and what is held out; ``leave_one_out`` makes one from any log, and ``ncf`` reads
that of the NCF paper. ``scorers`` says what a method and its scores are, ``neumf`` makes a method of our network, and
``baselines`` holds the known ones; ``reranked`` re-ranks the lists of ours. ``protocol`` fits a method and ranks with
it, ``summary`` turns its runs into figures, ``behind`` tells which known methods are ahead of ours, and ``plot`` draws.
``version_check`` holds a version that ``train`` has just made against the simplest methods. The room imports
``datasets`` and, of ``model``, the root, ``metrics``, ``network``, ``ranking``, ``reranking`` and ``training``;
``baselines`` alone imports ``plain``. The commands ``eval``, ``ablation``, ``plain`` and ``train`` import it.
"""

__all__: list[str] = []
