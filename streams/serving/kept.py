"""What one batch leaves with its users, for a batch whose profiles were read before that was kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from model.history import Profile
from streams.state.store import StoredList

__all__ = ["KeptLists"]


class KeptLists:
    """Remembers the lists that were kept last.

    Batches overlap: the profiles of one may be read while the lists of the one before are not kept yet. Mode and
    impressions then are of a list too early, and a change of mode would be announced twice.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, StoredList] = {}
        self.n_batches = 0

    def note(self, lists: Sequence[StoredList]) -> None:
        """Note that the lists of a batch are kept."""
        self._last = {one.user_id: one for one in lists}
        self.n_batches += 1

    def brought_forward(self, profiles: Mapping[str, Profile], n_batches: int) -> Mapping[str, Profile]:
        """Return profiles that were read when ``n_batches`` were kept, at least all but one, as they are now."""
        if n_batches == self.n_batches or self._last.keys().isdisjoint(profiles):
            return profiles
        return {user_id: _after(profile, self._last.get(user_id)) for user_id, profile in profiles.items()}


def _after(profile: Profile, kept: StoredList | None) -> Profile:
    if kept is None:
        return profile
    if kept.impressions is None:
        return replace(profile, mode=kept.mode)
    return replace(profile, mode=kept.mode, impressions=kept.impressions)
