"""Reelstream for those who do not speak Kafka: what one process answers over HTTP.

``gateway`` reads what Redis holds, sends events and requests to Kafka and awaits what comes back; it knows no HTTP.
"""

__all__: list[str] = []
