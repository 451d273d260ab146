"""What a person asks of a list, as values.

``query`` says what was read out of words. The room imports nothing but the root of ``model``.
"""

__all__: list[str] = []
