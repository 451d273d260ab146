"""How good lists are, and how sure that is."""

__all__: list[str] = []
