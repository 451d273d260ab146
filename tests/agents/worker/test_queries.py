import asyncio

import pytest

from agents.worker.queries import QueriesFollower
from agents.worker.refresh import Current, RefreshConfig
from model.catalogue import Catalogue, Item
from model.history import Profile
from model.intent.lexicon import Lexicon
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.wishes.wishes import Wishes
from streams.state.store import State

FILMS = Catalogue.of(
    [
        Item("a", "Alien", 1979, ("Horror",)),
        Item("b", "Airplane!", 1980, ("Comedy",)),
        Item("c", "Heat", 1995, ("Crime",)),
    ]
)


@pytest.fixture
def current():
    """Return what serves three films."""
    made = Current.empty(ModeConfig())
    made.recommender = made.recommender.with_catalogue(FILMS, ContentIndex(FILMS))
    return made


@pytest.fixture
def follow(current, client):
    """Return a function that makes a follower, which is stopped in the end."""
    made = []

    def follower(reading):
        made.append(QueriesFollower(reading, RefreshConfig(), current, State(client)))
        return made[-1]

    yield follower
    for one in made:
        one.stop()


def read(current, text):
    """Return what the reader that serves reads."""
    return current.recommender.queries.read(text)


@pytest.mark.parametrize(("reading", "method"), [("auto", "embedding"), ("embedding", "embedding"), ("tfidf", "tfidf")])
async def test_queries_are_read_by_what_was_asked_for(current, follow, caplog, reading, method):
    """With the extra installed sentences are compared, unless words are asked for; the log says which."""
    caplog.set_level("INFO")
    await follow(reading).refresh()
    assert read(current, "something funny").method == method
    assert f"worker.queries 3 items are compared by {method}" in caplog.text


async def test_a_request_in_words_gets_what_it_asks_for(current, follow):
    """The recommender that serves lists the comedy first for one who wants to laugh, and no horror, as was said."""
    await follow("auto").refresh()
    (made,) = current.recommender.recommend(
        [Profile("u", recent=())], 3, current.recommender.read([Wishes(query="something funny, no horror")])
    )
    assert [one.item_id for one in made.items] == ["b", "c"]
    assert made.query_method == "embedding"


async def test_a_changed_catalogue_is_read_anew_after_a_rest(current, follow):
    """While the follower rests, the earlier reader serves; after it a new film is found."""
    follower = follow("tfidf")
    await follower.refresh()
    more = FILMS.changed(put=[Item("d", "Submarine", 1990, ("War",))])
    current.recommender = current.recommender.with_catalogue(more, ContentIndex(more))
    follower._rests_until = float("inf")
    await follower.refresh()
    assert len(read(current, "submarine").item_scores) == 3
    follower._rests_until = 0.0
    await follower.refresh()
    assert read(current, "submarine").item_scores.argmax() == 3


async def test_what_was_encoded_or_read_before_is_counted_as_found(current, follow):
    """Three sentences and the moods are encoded first, then only that of a fourth film. A text is read once."""
    follower = follow("embedding")
    await follower.refresh()
    more = FILMS.changed(put=[Item("d", "Submarine", 1990, ("War",))])
    current.recommender = current.recommender.with_catalogue(more, ContentIndex(more))
    follower._rests_until = 0.0
    await follower.refresh()
    for text in ("something funny", "something funny", "horror"):
        read(current, text)
    [(_, counted)] = follower.figures()
    moods, moods_of_four = (len(Lexicon(films.genres()).moods) for films in (FILMS, more))
    sentences = {("sentences", "hit"): 3 + moods, ("sentences", "miss"): 3 + 1 + moods_of_four}
    assert counted == sentences | {("texts", "hit"): 1, ("texts", "miss"): 2}


async def test_an_empty_catalogue_needs_no_reader(client):
    """Before the catalogue is there, nothing is made."""
    empty = Current.empty(ModeConfig())
    follower = QueriesFollower("tfidf", RefreshConfig(), empty, State(client))
    await follower.refresh()
    follower.stop()
    assert empty.recommender.queries is None


async def test_a_worker_that_ends_stops_encoding(current, follow):
    """What is being made is given up, and words that could be compared already stay."""
    follower = follow("auto")
    follower._ended.set()
    with pytest.raises(asyncio.CancelledError):
        await follower.refresh()
    assert read(current, "horror").method == "tfidf"
