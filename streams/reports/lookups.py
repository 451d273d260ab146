"""Lists, profiles and what trends, as plain values with titles: what look-ups print as JSON and answer over HTTP."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from model.catalogue import Item
from model.history import Profile
from streams.state.lookups import Lookups

__all__ = [
    "described_genres",
    "described_item",
    "described_profile",
    "described_trending",
    "genre_counts",
    "list_with_titles",
]

_SPARE = 20  # hot items that may have expired since they were merged, a second ago
_NO_TITLE: Mapping[str, Any] = {"title": None, "year": None, "genres": ()}


def described_item(item: Item) -> dict[str, Any]:
    """Return what the catalogue says of an item."""
    return {"item_id": item.item_id, "title": item.title, "year": item.year, "genres": item.genres}


def list_with_titles(lookups: Lookups, record: Mapping[str, Any], n: int | None = None) -> dict[str, Any]:
    """Return a record of ``recommendations`` whose first n items, by default all, say their titles.

    Items that may not be shown any more are left out; the others keep their ranks.
    """
    titles = lookups.items(item["item_id"] for item in record["items"])
    shown = [item for item in record["items"] if lookups.may_show(titles.get(item["item_id"]))][:n]
    return {**record, "items": [{**item, **_title(titles, item["item_id"])} for item in shown]}


def described_profile(lookups: Lookups, user_id: str, n: int) -> dict[str, Any]:
    """Return a user's counters, mode, favourite genres and n latest events; of one without events, that."""
    found = lookups.profile(user_id, n)
    if found is None:
        return {"user_id": user_id, "unknown": True}
    titles = lookups.items(interaction.item_id for interaction in found.recent)
    recent = [{**asdict(interaction), **_title(titles, interaction.item_id)} for interaction in found.recent]
    return {**_counters(found), "recent": recent}


def described_trending(lookups: Lookups, n: int, genre: str | None = None) -> list[dict[str, Any]]:
    """Return the n hottest items, of one genre if given, hottest first."""
    ranked = lookups.trending(n + _SPARE, genre)
    titles = lookups.items(item_id for item_id, _ in ranked)
    shown = [(item_id, heat) for item_id, heat in ranked if lookups.may_show(titles.get(item_id))][:n]
    return [
        {"rank": rank, "item_id": item_id, **_title(titles, item_id), "score": heat, "reason": "trending"}
        for rank, (item_id, heat) in enumerate(shown, 1)
    ]


def genre_counts(items: Iterable[Item]) -> Mapping[str, int]:
    """Return how many items have each genre."""
    return Counter(genre for item in items for genre in item.genres)


def described_genres(counts: Mapping[str, int], trending: Sequence[str]) -> list[dict[str, Any]]:
    """Return every genre of a catalogue by name, with how many items have it and whether it trends."""
    hot = frozenset(trending)
    return [{"genre": one, "items": counts.get(one, 0), "trending": one in hot} for one in sorted({*counts, *hot})]


def _counters(found: Profile) -> dict[str, Any]:
    return {
        "user_id": found.user_id,
        "unknown": False,
        "mode": found.mode,
        "watches": found.watches,
        "ratings": found.ratings,
        "actions": found.actions,
        "mean_rating": round(found.rating_sum / found.ratings, 3) if found.ratings else None,
        "seen": found.seen,
        "hidden": found.hidden,
        "first_ts": found.first_ts,
        "last_ts": found.last_ts,
        "genres": dict(sorted(found.genres.items(), key=lambda liked: (-liked[1], liked[0]))),
    }


def _title(titles: Mapping[str, Item], item_id: str) -> Mapping[str, Any]:
    item = titles.get(item_id)
    return _NO_TITLE if item is None else {"title": item.title, "year": item.year, "genres": item.genres}
