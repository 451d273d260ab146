"""What people may ask of their data.

``forgetting`` carries a forgetting out in Redis and finds events that fell under one, ``waits`` says for
what one waits, and ``merging`` lets a guest's history be an account's. ``asking`` puts a request on the topic,
``finding`` looks for a user in every store, ``kept`` says what Kafka itself still holds, ``report`` does all of it for
the command and the API, and ``export`` collects what is known.
"""

__all__: list[str] = []
