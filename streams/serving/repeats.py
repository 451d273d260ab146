"""Whether a version may serve here: it was trained with repeats kept, or dropped, as the installation does.

A version that never learnt that people come back to items would be asked for them, or one that did would have most of
its best items thrown away. Both lists look sound and are bad, so neither is made.
"""

from model.network.snapshot import Snapshot
from streams.errors import RegistryError

__all__ = ["require_repeats"]


def require_repeats(version: str, snapshot: Snapshot, *, keeps: bool) -> None:
    """Raise unless a version was trained as the installation treats repeats.

    Parameters
    ----------
    version : its name, for the message.
    snapshot : its content.
    keeps : whether the installation keeps repeats.

    Raises
    ------
    RegistryError
        If it was trained the other way.
    """
    if snapshot.config.repeats != keeps:
        wanted, got = ("kept", "dropped") if keeps else ("dropped", "kept")
        raise RegistryError(
            f"registry: a version that was trained with repeats {wanted} is required, got {version} with repeats "
            f"{got}; train another one, or set REELSTREAM_KEEP_REPEATS={int(not keeps)} for all processes"
        )
