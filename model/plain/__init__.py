"""The NeuMF of the paper, for comparison alone."""

__all__: list[str] = []
