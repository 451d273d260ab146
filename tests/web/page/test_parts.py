"""Parts of the page by themselves, without a browser: what they show, and in which order of what happens."""

import asyncio

import pytest
from nicegui import Client, core
from nicegui.page import page

from streams.errors import StateAway, TopicError
from web.page.cards import Actions, ItemCard
from web.page.elements import Tag
from web.page.frame import Announcer
from web.page.looking import tried
from web.page.operator.processes import Processes
from web.page.operator.quality import picture
from web.page.visitor.live_list import LiveList
from web.page.words import badge_of


@pytest.fixture
def on_page(monkeypatch):
    """Let what is made belong to a page that nobody looks at; gives the loop that it runs on."""
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(core, "loop", loop)
    with Client(page("/of-a-test")):
        yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def published(rec_id, sequence, at, *items):
    """Return a list as it is published, with titles."""
    rows = [
        {"item_id": item, "title": item, "year": 2000, "genres": [], "rank": rank, "source": "neumf", "reason": ""}
        for rank, item in enumerate(items, 1)
    ]
    told = {"mode": "personalized", "tier": "personalized", "model_version": None, "unfilled": [], "items": rows}
    return told | {"rec_id": rec_id, "sequence": sequence, "published_ts": at}


def trending(*items):
    """Return what trends."""
    return published("", 0, 0, *items)["items"]


@pytest.mark.usefixtures("on_page")
def test_what_trends_does_not_take_the_place_of_a_list():
    """Where a visitor's first list came while what trends was looked up, the list stays."""
    shown = LiveList(None, Announcer(), "For everybody")
    shown.show_trending(trending("a", "b"), "all")
    shown.show(published("r1", 1, 1000, "c"))
    shown.show_trending(trending("a"), "all")
    shown.show_nothing("Nothing trends yet.")
    assert list(shown.cards()) == ["c"]


@pytest.mark.usefixtures("on_page")
def test_a_stored_list_of_emptied_state_is_shown_and_an_older_one_is_not():
    """Events counted anew begin at 1: what is stored and was published later is shown, all else with fewer is not."""
    shown = LiveList(None, Announcer(), "For ann")
    shown.show(published("r9", 9, 9000, "a"), is_stored=True)
    shown.show(published("r8", 8, 8000, "b"), is_stored=True)
    shown.show(published("r7", 7, 9500, "b"))
    assert shown.rec_id == "r9"
    shown.show(published("r1", 1, 9900, "c"), is_stored=True)
    assert (shown.rec_id, shown.sequence) == ("r1", 1)


def test_a_rating_that_was_not_taken_is_taken_back(on_page):
    """The stars and the mark of a card stand for ratings that were taken alone."""
    answers = [True, False]

    async def rate(_item_id, _stars):
        return answers.pop(0)

    card = ItemCard(trending("a")[0], Actions(rate, rate, rate, rate))
    stars = [one for one in card.element.descendants() if isinstance(one, Tag) and "star" in one.classes]

    async def click(at):
        [listener] = stars[at]._event_listeners.values()
        await listener.handler(None)

    on_page.run_until_complete(click(1))
    assert ("".join(star.text for star in stars), "sent" in card.element.classes) == ("★★☆☆☆", True)
    on_page.run_until_complete(click(4))
    assert "".join(star.text for star in stars) == "★★☆☆☆"
    answers.append(False)
    card.give(0)
    on_page.run_until_complete(click(4))
    assert ("".join(star.text for star in stars), "sent" in card.element.classes) == ("☆☆☆☆☆", False)


@pytest.mark.usefixtures("on_page")
def test_the_same_words_are_announced_twice():
    """A screen reader notices changes alone, so the same words differ by a space that nobody hears."""
    announcer = Announcer()
    heard = []
    for _ in range(3):
        announcer.say("Rating sent")
        heard.append(announcer._spoken.text)
    assert heard == ["Rating sent", "Rating sent\u00a0", "Rating sent"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StateAway("looking up: an answer is required"), "Redis does not answer."),
        (TopicError("a topic is required"), "a topic is required."),
        (
            ValueError("of a library"),
            "Something went wrong here that nobody foresaw; the log of this process says what.",
        ),
    ],
)
def test_whatever_went_wrong_is_told(error, told, caplog):
    """No error ends a page's looking; what nobody foresaw is in the log with its traceback."""

    async def look():
        raise error

    assert asyncio.run(tried(look)) == told
    assert [record.exc_info[1] for record in caplog.records] == ([error] if isinstance(error, ValueError) else [])


@pytest.mark.usefixtures("on_page")
def test_a_trainer_whose_rounds_wait_is_shown_as_waiting():
    """It lives and is at no fault, yet makes no version: the row says for how long, and how much is not read."""
    report = {"lag": 54321, "training": False, "model_version": "v7", "fault": None}
    shown = []
    for waits in (None, 71.2):
        part = Processes()
        part.show({"trainer": {"host:1": report | {"round_waits_s": waits}}})
        shown.append([one.text for one in part._body.descendants() if isinstance(one, Tag) and one.text][-2:])
    assert shown == [["well", "on v7"], ["waiting", "no version was made for 71 s, as 54,321 events are not read yet"]]


def test_a_mark_stands_where_a_version_was_let_serve():
    """Marks are moves of the pointer within the hour, not the first test that such a version had."""
    points = [
        {"at_ms": at, "version": version, "hit_rate": 0.2, "popularity_hit_rate": 0.1}
        for at, version in ((1000, "v1-a"), (2000, "v1-a"), (3000, "v2-b"))
    ]
    moves = [
        {"ts": 9000, "status": "promoted", "version": "v3-c"},
        {"ts": 1500, "status": "promoted", "version": "v2-b"},
        {"ts": 500, "status": "promoted", "version": "v1-a"},
    ]
    drawn = picture(points, moves)
    assert drawn.count('class="mark"') == 2
    assert ">v2</span>" in drawn
    assert "<b>v2</b> v2-b from " in drawn
    assert 'x1="250.0"' in drawn


@pytest.mark.parametrize(
    ("source", "kind", "badge"),
    [
        ("neumf", "trending", "Trending"),
        ("neumf", "newcomers", "Trending"),
        ("neumf", "history", "Your history"),
        ("neumf", "content", "Similar"),
        ("neumf", "taste", "Your taste"),
        ("trending", "popular", "Popular"),
        ("exploration", "trending", "By chance"),
        ("exposure", "new", "New item"),
        ("neumf", None, "Your taste"),
    ],
)
def test_a_badge_agrees_with_the_reason_beside_it(source, kind, badge):
    """It is of the reason's kind, not of what scored the item; a place that was not given by score is called so."""
    assert badge_of({"source": source, "because": {"kind": kind} if kind else None}) == badge
