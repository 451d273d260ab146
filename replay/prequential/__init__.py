"""Test, then learn: a log replayed through what worker and trainer call, without Kafka, Redis or a clock.

``stream`` says which events are tested. ``offline_worker`` makes the lists as a worker does, from the users that
``state`` keeps in memory, and ``run`` learns as a trainer does. ``baselines`` holds the methods to beat,
``baseline_ranks`` tests them on the same events, and ``second_process`` runs them beside the model. ``checkpoint`` lets
an interrupted run go on, ``outcome`` holds the figures of hits and
``list_figures`` those of the lists themselves, and ``picture`` draws them. ``threshold`` finds the number of
past events from which personalised lists are the better ones. The room imports ``datasets``, ``model`` without
``plain``, and of ``streams`` what a worker makes its lists with. The commands ``prequential`` and ``tune-threshold``
import it.
"""

__all__: list[str] = []
