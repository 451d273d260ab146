"""What Redis holds: users, items, trending and lists, changed by guarded functions alone."""

__all__: list[str] = []
