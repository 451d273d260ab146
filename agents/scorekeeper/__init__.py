"""The scorekeeper process: lists and events in, live figures out.

``scorekeeper`` joins the parts. ``intake`` reads the topics in the order of time and goes on where it stood,
``counting`` tells the scoreboard of each record, ``figures`` writes the counts to Redis with the position that they
include, and ``guarding`` acts where lists drift. ``config`` holds the sizes, and ``report`` is what ``reelstream
health`` prints.
"""

__all__: list[str] = []
