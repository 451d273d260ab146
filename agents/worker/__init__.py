"""The worker process: events and requests in, lists out.

``app`` joins the parts and adds the agents. ``batch`` takes events through their six steps, and brings back what Redis
has lost; ``recovery`` says what that is, and ``redis_watch`` asks between batches. ``requests`` answers requests.
``runtime`` holds the parts that they share, and ends the process. ``refresh`` says how parts stay current:
``model_follower``, ``catalogue``, ``queries`` and ``refreshers``; ``remaking`` makes lists again that were degraded.
``fetching`` watches what Kafka does not deliver, ``rejections`` tells of dead letters, and ``report`` is what
``reelstream health`` prints.
"""

__all__: list[str] = []
