"""From histories to weights: fitting, rounds of fine-tuning, and the gate."""

__all__: list[str] = []
