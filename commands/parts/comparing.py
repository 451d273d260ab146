"""How a model is said to be worse than a simple one: in words, and as values for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.evaluation.behind import BetterMethod

__all__ = ["better_as_values", "verdict"]


def better_as_values(better: "Sequence[BetterMethod]") -> list[dict[str, Any]]:
    """Return the methods that are ahead as JSON-able values."""
    return [
        {
            "method": one.method,
            "among": one.group,
            "users": one.users,
            "hit_rate": one.hit_rate,
            "ours": one.ours,
            "lead": one.lead,
            "error": one.error,
            "is_clear": one.is_clear,
        }
        for one in better
    ]


def verdict(ours: str, better: "Sequence[BetterMethod]", compared: Sequence[str], k: int) -> str:
    """Return lines that say whether a model is worse than simple methods, and than which.

    Parameters
    ----------
    ours : what the model is called.
    better : the methods that are ahead.
    compared : names of all that it was compared with.
    k : length of the lists.
    """
    if not compared:
        return f"{ours} was compared with nothing."
    if not better:
        return f"{ours} is behind none of {', '.join(compared)}."
    return "\n".join(_line(ours, one, k) for one in better)


def _line(ours: str, one: "BetterMethod", k: int) -> str:
    among = "" if one.group == "all" else f" among the {one.users:,} users with {one.group} events"
    chance = "" if one.is_clear else ", which may be chance"
    return (
        f"{ours} is worse than {one.method}{among}: HR@{k} {one.ours:.4f} against {one.hit_rate:.4f}, "
        f"{one.lead:.4f} less (standard error {one.error:.4f}{chance})."
    )
