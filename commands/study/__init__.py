"""Commands for data scientists: recorded logs, training and evaluation."""

__all__: list[str] = []
