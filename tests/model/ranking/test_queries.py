"""Lists that are asked for in words, with a version that serves and a reader of real texts."""

import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.intent.intent import Intent
from model.network.intent import text_vectors
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.signals import Signals
from model.wishes.wishes import Wishes
from tests.toy import toy_snapshot

GENRES = ("Comedy", "Drama", "Horror")
FILMS = Catalogue.of(Item(f"i{n}", f"Film {n}", 1980 + n, (GENRES[n % 3],)) for n in range(18))
WARM = Profile("warm", recent=tuple(Interaction(f"i{n}", 1000 - n, "watch", 1.0) for n in range(5)))
OWN_ALONE = tuple((name, 0.0) for name in ("query", "query_genres", "popularity"))


@pytest.fixture(scope="module")
def ranker():
    """Return a version with random weights that knows all films."""
    item_genres = [[genre in film.genres for genre in GENRES] for film in FILMS]
    return Ranker(toy_snapshot(tuple(FILMS.items), genres=GENRES, item_genres=item_genres, seed=3))


@pytest.fixture
def recommender(ranker):
    """Return what serves that version, and reads queries."""
    made = Recommender(FILMS, ContentIndex(FILMS), Trending(), ColdStart(), ModeConfig(1, 1), ranker, "v1")
    return made.with_queries(Intent(FILMS))


def listed(recommender, wishes):
    """Return what the warm user gets, as films."""
    (made,) = recommender.recommend([WARM], 5, recommender.read([wishes]))
    assert made.mode == "personalized"
    return [FILMS.items[one.item_id] for one in made.items]


def test_a_personalised_list_is_what_was_asked_for(recommender):
    """Whoever asks for horror of late gets horror of late, new to the user."""
    films = listed(recommender, Wishes(query="horror, nothing older than 1988"))
    assert [film.genres for film in films[:3]] == [("Horror",)] * 3  # i8, i11, i14 and i17 are all there are
    assert all(film.year >= 1988 for film in films)
    assert not any(film.genres == ("Comedy",) for film in listed(recommender, Wishes(query="no comedy")))


def test_the_version_reads_the_words_too(recommender, ranker):
    """With no weight on the rest, scores are the sigmoids of the logits that the intent tower takes part in."""
    (made,) = recommender.recommend([WARM], 18, recommender.read([Wishes(query="horror", weights=OWN_ALONE)]))
    histories = ranker.histories([WARM])
    signals = Signals.none(len(ranker))
    logits = ranker.logits(histories, text_vectors(["horror"]), signals, "personalized")[0]
    expected = {f"i{row}": 1.0 / (1.0 + np.exp(-float(logit))) for row, logit in enumerate(logits)}
    assert {one.item_id: one.score for one in made.items} == pytest.approx(
        {one.item_id: expected[one.item_id] for one in made.items}, abs=1e-6
    )
    without = ranker.logits(histories, None, signals, "personalized")[0]
    assert not np.allclose(logits, without)
