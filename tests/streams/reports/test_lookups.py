"""What look-ups show is what may be shown now, by the dates that lie beside the titles, on a real Redis."""

import pytest

from model.catalogue import Catalogue, Item
from model.similar import SimilarItems
from streams.records.records import Origin, Watch
from streams.redis.connection import connect, connect_to_read
from streams.reports.items import described_similar
from streams.reports.lookups import described_profile, described_trending, list_with_titles
from streams.state.lookups import Lookups
from streams.state.store import State

NOW = 1_000_000
AWAY = [
    Item("hidden", "Hidden", hidden=True),
    Item("ended", "Ended", expires=NOW),
    Item("coming", "Coming", released=NOW + 1),
]
ITEMS = [*AWAY, Item("here", "Here", released=NOW, expires=NOW + 1)]


@pytest.fixture
async def written(redis_url):
    """Write titles of items that are away and of one that is here, all of which trend and are alike."""
    client = connect(redis_url)
    state = State(client)
    await state.install()
    events = [Watch(f"e{n}", "ann", item.item_id, 1000 + n, 1.0) for n, item in enumerate(ITEMS)]
    await state.apply([(Origin("watch-events", 0, n), event, ()) for n, event in enumerate(events)])
    await state.merge_trending(1, Catalogue.of(ITEMS))
    await state.put_catalogue(ITEMS)
    near = tuple((item.item_id, 0.5) for item in ITEMS)
    await state.put_similar({"hidden": SimilarItems(near, near, near)})
    await client.aclose()
    return redis_url


def ids(rows):
    """Return the ids of described items."""
    return [row["item_id"] for row in rows]


def test_what_is_away_is_shown_nowhere_but_in_what_people_did(written):
    """Lists, trending and similar items leave it out; the next moment brings the coming one; a history names all."""
    record = {"user_id": "ann", "items": [{"item_id": item, "rank": 1} for item in ("hidden", "ended", "here", "?")]}
    with connect_to_read(written) as client:
        now, later = Lookups(client, lambda: NOW), Lookups(client, lambda: NOW + 1)
        assert ids(list_with_titles(now, record)["items"]) == ["here", "?"]
        assert ids(list_with_titles(now, record, 1)["items"]) == ["here"]
        assert ids(described_trending(now, 1)) == ["here"]
        assert ids(described_trending(later, 4)) == ["coming"]
        found = described_similar(now, now.items(["hidden"])["hidden"])
        assert found["item"]["title"] == "Hidden"  # who names it may know it
        assert [ids(found[kind]) for kind in ("content", "behaviour", "both")] == [["here"]] * 3
        assert {row["title"] for row in described_profile(now, "ann", 9)["recent"]} == {item.title for item in ITEMS}
