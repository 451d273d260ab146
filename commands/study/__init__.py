"""Commands for data scientists: recorded logs, training and evaluation.

``data`` fetches logs, ``inspecting`` looks at one, and ``replay`` sends one to the topics. ``train`` makes a first
version, also of what ``archived`` reads, and ``plain`` trains the network of the paper. ``evaluate`` measures on
published protocols, with ``ablation`` as one of its commands. ``prequential`` tests each event of a log before it is
learnt, and ``threshold`` proposes from when on lists should be personalised. This folder imports ``parts``, and neither
``run`` nor ``operate``.
"""

__all__: list[str] = []
