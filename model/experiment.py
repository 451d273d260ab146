"""Two ways to serve, compared: which arm of an experiment each user is in.

No arm of a user is stored: it is a hash of the experiment's name and the user's id. Every worker, every restart and
every reader computes the same arm, and an experiment of another name draws its users anew.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

__all__ = ["Arm", "ArmName", "Experiment"]

ArmName = Literal["a", "b"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION = re.compile(r"\S{1,64}")
_RANGE = 1 << 64


@dataclass(frozen=True, slots=True)
class Arm:
    """How the users of one arm are served; None leaves a setting as the worker has it.

    Parameters
    ----------
    name : ``a`` or ``b``.
    version : model version that scores their lists; None for whatever serves.
    personalize_at : known items that make a user personalised.
    explore : places of a list that are left to chance.

    Raises
    ------
    ValueError
        If ``personalize_at`` is no whole number from 1 on, ``explore`` none from 0 on, ``version`` cannot be an id, or
        there is no such arm.
    """

    name: ArmName
    version: str | None = None
    personalize_at: int | None = None
    explore: int | None = None

    def __post_init__(self) -> None:
        if self.name not in {"a", "b"}:
            raise ValueError(f"Arm: the name must be 'a' or 'b', got {self.name!r}")
        if self.version is not None and _VERSION.fullmatch(self.version) is None:
            raise ValueError(f"Arm {self.name}: version must be the id of a version or None, got {self.version!r}")
        _require_whole(self.personalize_at, 1, f"Arm {self.name}: personalize_at")
        _require_whole(self.explore, 0, f"Arm {self.name}: explore")


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of two arms, in which every user takes part.

    Parameters
    ----------
    name : 1 to 64 letters, digits, dots, dashes and underscores; decides with the user's id who is in which arm.
    share : of the users in arm b, more than 0 and less than 1.
    a, b : the arms.
    started_ms : wall clock of the start, milliseconds.

    Raises
    ------
    ValueError
        If the name, the share or the time cannot be used, an arm has the other's name, or nothing but their names
        differs.
    """

    name: str
    share: float
    a: Arm
    b: Arm
    started_ms: int

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(
                f"Experiment: the name must be 1 to 64 letters, digits, dots, dashes or underscores, got {self.name!r}"
            )
        if not 0 < self.share < 1:
            raise ValueError(
                f"Experiment {self.name!r}: share must be more than 0 and less than 1, got {self.share!r}; "
                "with nobody in one arm there is nothing to compare"
            )
        _require_whole(self.started_ms, 0, f"Experiment {self.name!r}: started_ms")
        if (self.a.name, self.b.name) != ("a", "b"):
            raise ValueError(
                f"Experiment {self.name!r}: arms named 'a' and 'b' are required, "
                f"got {self.a.name!r} and {self.b.name!r}"
            )
        if _conditions(self.a) == _conditions(self.b):
            raise ValueError(
                f"Experiment {self.name!r}: two arms that differ are required, got {_conditions(self.a)!r} twice; "
                "give one of them another version, personalize_at or explore"
            )

    def arm_of(self, user_id: str) -> Arm:
        """Return the arm that a user is in, always the same.

        The first 8 bytes of BLAKE2b over name, newline and id, read as a big-endian fraction of 2**64, are uniform
        over [0, 1); below ``share`` the user is in arm b.
        """
        digest = blake2b(f"{self.name}\n{user_id}".encode(), digest_size=8).digest()
        return self.b if int.from_bytes(digest) / _RANGE < self.share else self.a

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both arms, a first."""
        return self.a, self.b

    @property
    def versions(self) -> frozenset[str]:
        """The model versions that the arms name, which must not be deleted while it runs."""
        return frozenset(arm.version for arm in self.arms if arm.version is not None)


def _conditions(arm: Arm) -> tuple[str | None, int | None, int | None]:
    return arm.version, arm.personalize_at, arm.explore


def _require_whole(value: int | None, least: int, what: str) -> None:
    if value is not None and (not isinstance(value, int) or value < least):
        raise ValueError(f"{what} must be a whole number of at least {least}, got {value!r}")
