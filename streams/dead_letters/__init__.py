"""Dead letters, read back and sent again."""

__all__: list[str] = []
