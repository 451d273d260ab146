"""Commands that run processes and stacks."""

__all__: list[str] = []
