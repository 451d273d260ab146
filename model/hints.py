"""What somebody may say of a user beforehand: age, gender and occupation, each only if given.

Hints are personal data. Of an age only the band is kept, and a hint chooses nothing but how the first lists are ordered
(``model.ranking.hint_lifts``).
"""

from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["AGE_BANDS", "UserHints", "age_band"]

AGE_BANDS = (0, 18, 25, 35, 45, 50, 56)  # where each begins, in years; those of MovieLens 1M


@dataclass(frozen=True, slots=True)
class UserHints:
    """One user's hints.

    Parameters
    ----------
    user_id : whose.
    age : years at which the band of the user's age begins, one of ``AGE_BANDS``.
    gender, occupation : in the words of whoever sends them.
    """

    user_id: str
    age: int | None = None
    gender: str | None = None
    occupation: str | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of people that the user belongs to, one for each hint that is given."""
        given = (("age", self.age), ("gender", self.gender), ("occupation", self.occupation))
        return tuple(f"{kind}:{value}" for kind, value in given if value is not None)


def age_band(years: int) -> int:
    """Return where the band of an age begins, in years."""
    return AGE_BANDS[bisect_right(AGE_BANDS, years) - 1]
