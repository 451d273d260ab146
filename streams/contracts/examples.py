"""One record of each topic, as producers send them and consumers get them."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ACTION",
    "DATA_REQUEST",
    "DEAD_LETTER_HEADERS",
    "HINTS",
    "ITEM",
    "MODEL_VERSION",
    "MODE_CHANGE",
    "RATING",
    "RECOMMENDATION",
    "REQUEST",
    "WATCH",
]

Example = Mapping[str, Any]
WATCH: Example = {"event_id": "e-1007", "user_id": "ann", "item_id": "195", "ts": 1795863630408, "progress": 0.97}
RATING: Example = {"event_id": "e-1006", "user_id": "ann", "item_id": "181", "ts": 1795863567395, "rating": 4}
ACTION: Example = {"event_id": "e-1008", "user_id": "ann", "item_id": "96", "ts": 1795863641877, "kind": "hide"}
ITEM: Example = {"item_id": "195", "title": "The Terminator", "year": 1984, "genres": ["Action", "Sci-Fi", "Thriller"]}
HINTS: Example = {"user_id": "ann", "age": 34, "gender": "F", "occupation": "scientist"}
DATA_REQUEST: Example = {"user_id": "ann", "request_id": "f-1", "ts": 1795863700000, "action": "forget"}
REQUEST: Example = {
    "request_id": "r-2",
    "user_id": "ann",
    "k": 5,
    "genres": {"want": ["Comedy"], "never": ["Horror"]},
    "years": [2000, None],
    "like": ["195"],
}
_TRIGGER = {
    "topic": "watch-events",
    "partition": 2,
    "offset": 0,
    "event_id": "e-1007",
    "timestamp": 1795863630412,
}
RECOMMENDATION: Example = {
    "rec_id": "4784b39a4cbd068b2c3758a2",
    "user_id": "ann",
    "ts": 1795863630408,
    "mode": "personalized",
    "model_version": "v000002-08a2f8da",
    "k": 1,
    "items": [
        {
            "item_id": "174",
            "rank": 1,
            "score": 0.817808,
            "source": "neumf",
            "reason": "Because of The Empire Strikes Back",
            "propensity": 1.0,
            "because": {"kind": "history", "item_id": "172", "genres": []},
        }
    ],
    "trigger": _TRIGGER,
    "sequence": 4,
    "event_ts": 1795863630408,
    "published_ts": 1795863630445,
    "experiment": None,
    "arm": None,
    "tier": "personalized",
    "unfilled": [],
    "error": None,
    "query_method": None,
    "wording": None,
}
MODE_CHANGE: Example = {
    "user_id": "ann",
    "ts": 1795863630408,
    "previous": "cold_start",
    "mode": "personalized",
    "known_items": 4,
    "model_version": "v000002-08a2f8da",
    "trigger": _TRIGGER,
}
MODEL_VERSION: Example = {
    "version": "v000002-08a2f8da",
    "status": "promoted",
    "parent": "v000001-5d1c2e9b",
    "uri": "/var/lib/reelstream/models/v000002-08a2f8da",
    "ts": 1795863629117,
    "metrics": {"hr@10": 0.213, "popularity_hr@10": 0.121},
    "cause": None,
    "by": "trainer",
}
DEAD_LETTER_HEADERS: Example = {
    "topic": "watch-events",
    "partition": "0",
    "offset": "1041",
    "cause": "bad_field",
    "reason": "progress must be a number from 0.0 to 1.0, got 85",
}
