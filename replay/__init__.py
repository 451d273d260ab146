"""Time on a leash: readers of recorded interactions, a paced producer, and honest evaluation.

A log is read as one ordered stream, sent to the topics at any speed, and scored test-then-learn.
"""

__all__: list[str] = []
