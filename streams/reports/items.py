"""An item by a title that somebody typed, and what is similar to it."""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Any

from model.catalogue import Item
from model.intent.titles import TitleFinder
from model.similar import SIMILAR_KINDS
from streams.reports.lookups import described_item
from streams.state.lookups import Lookups

__all__ = ["described_similar", "find_by_title", "search_titles"]

MIN_TAKEN = 0.86  # of the title that was typed: so near, a slip is likelier than another item
MIN_OFFERED = 0.5
OFFERED = 5
MIN_FOUND = 0.65  # of what somebody looks for and no title holds


def find_by_title(finder: TitleFinder, title: str) -> tuple[Item | None, list[Item]]:
    """Return the item of a title, or None and those whose titles are nearest."""
    exact = finder.exactly(title) or finder.by_one_slip(title)
    if exact is not None:
        return exact, []
    near = finder.find(title, OFFERED, MIN_OFFERED)
    if near and near[0][1] >= MIN_TAKEN:
        return near[0][0], []
    return None, [item for item, _ in near]


def search_titles(finder: TitleFinder, text: str, n: int) -> list[dict[str, Any]]:
    """Return up to n items for what somebody typed so far: titles that hold it, those that begin with it first.

    Where too few titles hold it, those that are most like it follow.
    """
    wanted = text.casefold().strip()
    if not wanted:
        return []
    holding = ((place != 0, len(item.title), item.title, item.item_id, item) for place, item in finder.holding(wanted))
    found = [item for *_, item in nsmallest(n, holding)]
    if len(found) < n:
        held = {item.item_id for item in found}
        near = finder.find(text, n, MIN_FOUND)
        found += [item for item, _ in near if item.item_id not in held][: n - len(found)]
    return [described_item(item) for item in found]


def described_similar(
    lookups: Lookups, item: Item, kinds: Sequence[str] = SIMILAR_KINDS, n: int = 10
) -> dict[str, Any]:
    """Return what is similar to an item: up to n items of each kind that may be shown, best first."""
    found = lookups.similar(item.item_id)
    lists: Mapping[str, tuple[tuple[str, float], ...]] = {
        kind: () if found is None else getattr(found, kind)[:n] for kind in kinds
    }
    described = lookups.items(item_id for ranked in lists.values() for item_id, _ in ranked)
    return {
        "item": described_item(item),
        **{
            kind: [
                {"rank": rank, **described_item(described[item_id]), "score": score}
                for rank, (item_id, score) in enumerate(ranked, 1)
                if item_id in described and lookups.may_show(described[item_id])
            ]
            for kind, ranked in lists.items()
        },
    }
