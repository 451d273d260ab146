"""Answers as they leave: JSON by orjson, written once, and not looked at again on the way."""

from typing import Any

import orjson
from fastapi import Response

__all__ = ["JsonAnswer", "StoredAnswer"]


class JsonAnswer(Response):
    """Plain values as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        return orjson.dumps(content)


class StoredAnswer(Response):
    """JSON that is bytes already."""

    media_type = "application/json"
