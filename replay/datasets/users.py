"""What the two oldest releases of MovieLens say of their users: age, gender and occupation."""

from model.hints import UserHints, age_band
from replay.datasets.items import described_rows
from streams.errors import DataError
from streams.records.ids import is_id

__all__ = ["dat_users", "tab_users"]

USER_FIELDS = 5


def tab_users(data: bytes, place: str) -> list[UserHints]:
    """Read ``u.user``: id, age in years, gender, occupation in words, postal code."""
    return [_hints(*fields[:4], where=where) for fields, where in described_rows(data, "|", USER_FIELDS, place)]


def dat_users(data: bytes, place: str) -> list[UserHints]:
    """Read ``users.dat``: id, gender, age as a band, occupation as a number, postal code."""
    rows = described_rows(data, "::", USER_FIELDS, place)
    return [_hints(fields[0], fields[2], fields[1], fields[3], where=where) for fields, where in rows]


def _hints(user_id: str, age: str, gender: str, occupation: str, *, where: str) -> UserHints:
    if not is_id(user_id) or not age.isdecimal():
        raise DataError(f"data: {where} must hold a user id and an age in years, got {user_id!r} and {age!r}")
    return UserHints(user_id, age_band(int(age)), gender or None, occupation or None)
