"""Commands that look at a running installation and change it."""

__all__: list[str] = []
