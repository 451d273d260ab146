"""From profiles to lists: who is answered by which recommender, within which time.

``lists`` makes a list from a profile, ``budget`` runs the scoring within a time limit, and ``arms`` gives each user of
an experiment the recommender of the user's arm. ``degraded`` remembers lists that were made without scoring, and
``kept`` those that were kept last. ``storing_encoder`` encodes a catalogue's sentences once for all workers.
``renamed`` gives items of lists the ids that they have today. ``known_topics`` compares the topics of Kafka with the
ids for which Redis holds positions, and ``repeats`` compares a version with what the installation does with repeats.
``promotion`` is the one way for a version to serve: it moves the pointer and announces that until it is taken. This
room may import ``kafka``, ``records``, ``redis`` and ``state``: it is where Kafka and Redis meet. No other room of
``streams`` imports it; the processes and the replay of a log do.
"""

__all__: list[str] = []
