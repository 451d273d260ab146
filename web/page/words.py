"""What the page calls things: each value of the records in words that fit any catalogue."""

from collections.abc import Mapping
from typing import Any

__all__ = ["ACTED", "REASONS", "SOURCES", "STARS", "TIERS", "badge_of", "described", "meta", "mode_words", "title_of"]

STARS = 5
ACTED = {"hide": "Hidden", "unhide": "Shown again"}
SOURCES = {
    "neumf": "Your taste",
    "trending": "Trending",
    "similar": "Similar",
    "catalogue": "Catalogue",
    "asked": "Asked for",
    "exploration": "By chance",
    "exposure": "New item",
}
REASONS = {
    "history": "Your history",
    "content": "Similar",
    "newcomers": "Trending",
    "trending": "Trending",
    "asked": "Asked for",
    "new": "Catalogue",
    "popular": "Popular",
    "taste": "Your taste",
}
BY_LOT = ("exploration", "exposure")  # sources of places that no score gave
TIERS = {
    "personalized": "made of what you did",
    "hybrid": "what trends, mixed with what you touched",
    "trending": "what trends alone",
    "static": "the catalogue alone, newest first",
}
_MODES = {
    "personalized": ("Personalised", "good"),
    "cold_start": ("Getting to know you", "accent"),
    "degraded": ("Stand-in list", "warn"),
    "refused": ("Refused", "bad"),
}
_UNKNOWN_MODE = ("Trending", "")


def mode_words(mode: str | None) -> tuple[str, str]:
    """Return what a badge says of a mode, and its colour."""
    return _MODES.get(mode or "", _UNKNOWN_MODE)


def badge_of(row: Mapping[str, Any]) -> str:
    """Return what stands before an item's reason: the kind of that reason, or that its place was not given by score.

    What scored an item is another thing: a model may have put first what trends, and the reason then says that.
    """
    source, because = str(row.get("source", "")), row.get("because")
    if because and source not in BY_LOT:
        kind = str(because["kind"])
        return REASONS.get(kind, kind)
    return SOURCES.get(source, source)


def title_of(row: Mapping[str, Any]) -> str:
    """Return an item's title, or its id where the catalogue does not hold it."""
    return row.get("title") or f"Item {row['item_id']}"


def meta(row: Mapping[str, Any]) -> str:
    """Return year and genres in one line."""
    if not row.get("title"):
        return "not in the catalogue"
    return " · ".join(filter(None, [str(row["year"] or ""), ", ".join(row["genres"])]))


def described(event: Mapping[str, Any]) -> str:
    """Return what somebody did with an item, as one reads it in a history."""
    if event["kind"] == "rate":
        return f"Rated {event['weight'] * STARS:.2g} of {STARS}"
    if event["kind"] == "watch":
        return f"Watched {event['weight']:.0%}"
    return ACTED.get(event["kind"], str(event["kind"]))
