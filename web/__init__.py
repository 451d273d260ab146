"""Reelstream for those who do not speak Kafka: what one process answers over HTTP.

``gateway`` reads what Redis holds, sends events and requests to Kafka and awaits what comes back; it knows no HTTP.
``api`` is its roads, keys and limits, ``page`` the live page. ``app`` joins them into the application of a process, and
``server`` serves it until a signal comes.
"""

__all__: list[str] = []
