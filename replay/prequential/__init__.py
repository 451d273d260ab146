"""Test, then learn: a log replayed through what worker and trainer call, without Kafka, Redis or a clock.

``stream`` says what is tested; ``state`` and ``road`` make the lists as a worker does, ``run`` learns as a trainer
does; ``rivals`` and ``rivalry`` are the opponents, ``beside`` runs them in a second process; ``outcome`` holds what
came of it, ``picture`` draws it, ``keeping`` lets an interrupted run go on, and
``threshold`` asks from when on personalised lists are the better ones.
"""

__all__: list[str] = []
