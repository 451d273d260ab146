"""NeuMF and its parts, and a version of it as a value."""

__all__: list[str] = []
