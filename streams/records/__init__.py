"""What crosses a boundary, as values: records, their bytes, and what is refused before it becomes one."""

__all__: list[str] = []
