"""Between a process that serves people and the topics and Redis, asynchronous and without any HTTP.

``gateway`` is the one door. Behind it, ``stored_lists`` reads the lists of many users at once, ``reading`` looks up
everything else in threads, ``titles`` finds items by what somebody types, ``sending`` checks events and hands them to
Kafka, and ``published_lists`` hears every list that is published, for those who asked for one or follow a user.
``dead_letters`` counts what was refused and sends it back, ``letter_desk`` does so for all who look, and ``previews``
makes a list as another version would.
"""

__all__: list[str] = []
