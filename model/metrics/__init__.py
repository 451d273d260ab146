"""How good lists are, and how sure that is.

``ranking`` turns ranks and lists into figures: hit rate, NDCG, coverage, novelty; ``diversity`` adds how unlike each
other the items of a list are. ``intervals`` gives a hit rate its confidence interval, ``lots`` draws the arms of an
experiment anew to see what chance does, and ``paired_lead`` says how sure it is which of two rankings is the better
one. ``live`` credits each event to the list that its user had seen, and keeps the figures of a running installation
beside those of ``popularity`` on the same events; ``window`` keeps its latest tests in a form that outlives a process,
and ``exposure`` counts what the place for new items brings. ``drift`` says when a version that serves has become worse
than popularity. The room imports nothing of ours. Training and the replays read ``ranking``, the gate compares by
``paired_lead``; the scorekeeper runs ``live`` and ``drift``.
"""

__all__: list[str] = []
