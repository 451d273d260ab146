"""When a user is cold and when personalised: a threshold with hysteresis.

What is known can shrink: recent items are bounded, a new model version may not know an item, a rollback may
know fewer. With a single threshold such a user would flip between two kinds of lists, and a ``ModeChange``
would be published at each flip. So a user is promoted at ``personalize_at`` and taken back only well below.
A person may override a user's mode; then the thresholds do not count.
"""

from dataclasses import dataclass
from typing import Self

from model.history import Mode

__all__ = ["ModeConfig", "decide"]


@dataclass(frozen=True, slots=True)
class ModeConfig:
    """The two thresholds, in distinct recent items that the serving model knows.

    Parameters
    ----------
    personalize_at : this many make a cold user personalised. `reelstream tune-threshold ml-1m` proposes 3 (95 % of the
        draws of users: 2 to 6), worth 0.0008 of HR@10 (0.0003 to 0.0012) more than 5 over users with up to 30 events.
    demote_below : fewer than this make a personalised user cold again.
    may_learn : whether a version's own numbers count instead, where its blend has learnt from how many known items on
        personalised lists are expected to hit more. Thresholds that a person has set count as they are.

    Raises
    ------
    ValueError
        Unless ``1 <= demote_below <= personalize_at``.
    """

    personalize_at: int = 3
    demote_below: int = 2
    may_learn: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.demote_below <= self.personalize_at:
            raise ValueError(
                "ModeConfig: 1 <= demote_below <= personalize_at is required, "
                f"got demote_below={self.demote_below!r}, personalize_at={self.personalize_at!r}"
            )

    @classmethod
    def fixed(cls, personalize_at: int) -> Self:
        """Return thresholds that a person has set: from so many known items on, and back well below."""
        return cls(personalize_at, min(cls().demote_below, personalize_at), may_learn=False)

    def learnt(self, handover: int | None) -> Self:
        """Return the thresholds with which a version serves that hands over at so many known items, None for any."""
        return self if handover is None or not self.may_learn else type(self)(handover, max(1, handover - 1))


def decide(mode: Mode, known_items: int, config: ModeConfig, override: Mode | None = None) -> Mode:
    """Return the mode of a user who was in ``mode`` and has so many known items.

    Between the thresholds, ``demote_below <= known_items < personalize_at``, nothing changes. An override wins over the
    thresholds. Without any known item there is nothing to personalise by, and the user is cold in any case.
    """
    if override is not None:
        return "personalized" if override == "personalized" and known_items >= 1 else "cold_start"
    threshold = config.demote_below if mode == "personalized" else config.personalize_at
    return "personalized" if known_items >= threshold else "cold_start"
