"""What to recommend, as values and pure functions: no clock, no I/O, no log.

``catalogue`` holds the items, ``renames`` the ids that they had, ``similar`` those that are similar to one, ``history``
what a user did and the profile that the state returns, ``joined_history`` the one of an account with guests, and
``hints`` what is said of a user beforehand; ``kinds`` says what each kind of event tells, and ``feedback`` which events
say that the user liked the item. ``because`` says in words
why an item is listed. ``own_time`` is the clock that trending decays by. ``vocabulary`` gives ids their rows,
``sequences`` cuts many histories into arrays for training, ``sampling`` draws what users did not touch, ``arithmetic``
is what several rooms compute, and ``experiment`` says which arm a user is in. ``columns`` holds many events as arrays.
``network`` turns histories into scores,
and ``trainable`` is that network in torch. ``ranking`` turns scores into lists, ``reranking`` keeps them from being all
alike and says why each item is there, ``wishes`` says what a person asks of a list and ``intent`` reads that out of
words. ``training`` turns events into a new version, ``metrics`` says how good lists are, and ``plain`` holds the NeuMF
of the paper for comparison. The modules at this level import no room; everybody else may import them.
"""

__all__: list[str] = []
