"""Recorded interactions: replayed into the topics at any speed, and scored offline.

``schedule`` decides which record of a log is sent when, and ``producer`` sends it. ``live`` measures what a consumer
team sees meanwhile, and ``audit`` checks an archive by itself and against the topics. ``datasets`` reads logs of every
format, ``evaluation`` measures a model on held-out events, ``prequential`` tests and then learns event by event, and
``chaos`` breaks a running installation and proves that its state came out right. Every room but ``chaos`` may import
``datasets``, and none imports another besides. Only the command line imports this package.
"""

__all__: list[str] = []
