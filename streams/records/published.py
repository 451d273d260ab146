"""Published lists read back from ``recommendations``: which items a user was shown, by what, and when.

Only what is needed to tell whether a list was right; ``streams.records.records.Recommendation`` is the whole of it.
The time of a list is its record's Kafka timestamp, as that of an event is: between two of a kind, order means
something.
"""

import orjson

from model.metrics.live import PublishedList
from streams.records.decoding import RawRecord

__all__ = ["shown_list"]

_ARMS = ("a", "b")
_BY_CHANCE = ("exploration", "exposure")


def shown_list(record: RawRecord) -> PublishedList | None:
    """Return the list that a record of ``recommendations`` holds, or None where it holds none, or a refusal."""
    try:
        found = orjson.loads(record.value or b"")
        shown = PublishedList(
            found["rec_id"],
            found["user_id"],
            record.origin.timestamp,
            found["mode"],
            found["model_version"],
            tuple(item["item_id"] for item in found["items"]),
            *_taking_part(found.get("experiment"), found.get("arm")),
            any(item.get("source") in _BY_CHANCE for item in found["items"]),
            next((item["item_id"] for item in found["items"] if item.get("source") == "exposure"), None),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    required = (shown.rec_id, shown.user_id, shown.mode, *shown.items)
    is_sound = all(isinstance(value, str) for value in required) and isinstance(shown.version, str | None)
    return shown if is_sound and shown.mode != "refused" else None


def _taking_part(experiment: object, arm: object) -> tuple[str | None, str | None]:
    """Return experiment and side; what names no experiment with a side of it is of none."""
    if isinstance(experiment, str) and isinstance(arm, str) and arm in _ARMS:
        return experiment, arm
    return None, None
