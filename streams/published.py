"""Published lists read back from ``recommendations``: which items a user was shown, by what, and when.

Only what is needed to tell whether a list was right; ``streams.records.Recommendation`` is the whole of it. The time
of a list is its record's Kafka timestamp, as that of an event is: between two of a kind, order means something.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from model.scoreboard import Shown
from streams.inbox import RawRecord

__all__ = ["shown_list"]


def shown_list(record: RawRecord) -> Shown | None:
    """Return the list that a record of ``recommendations`` holds, or None where it holds none."""
    try:
        found = orjson.loads(record.value or b"")
        shown = Shown(
            found["rec_id"],
            found["user_id"],
            record.origin.timestamp,
            found["mode"],
            found["model_version"],
            tuple(item["item_id"] for item in found["items"]),
            found.get("experiment"),
            found.get("arm"),
            any(_is_by_chance(item) for item in found["items"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    required = (shown.rec_id, shown.user_id, shown.mode, *shown.items)
    optional = (shown.version, shown.experiment, shown.arm)
    is_sound = all(isinstance(value, str) for value in required)
    return shown if is_sound and all(isinstance(value, str | None) for value in optional) else None


def _is_by_chance(item: Mapping[str, Any]) -> bool:
    return item.get("source") == "exploration" or item.get("propensity", 1) < 1
