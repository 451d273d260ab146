"""From a network or a catalogue to the best items of each user."""

__all__: list[str] = []
