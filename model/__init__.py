"""What to recommend, as values and pure functions: no clock, no I/O, no log.

``catalogue`` holds the items, ``history`` what a user did and the profile that the state returns, and ``feedback`` says
which of it the user liked. ``own_time`` is the clock that trending decays by. ``vocabulary`` gives ids their rows,
``sequences`` cuts many histories into arrays for training, and ``experiment`` says which arm a user is in. ``network``
turns histories into scores, ``ranking`` turns scores into lists, ``training`` turns events into a new version,
``metrics`` says how good lists are, and ``plain`` holds the NeuMF of the paper for comparison. The modules at this
level import no room; everybody else may import them.
"""

__all__: list[str] = []
