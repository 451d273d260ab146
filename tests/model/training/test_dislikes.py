"""Five half-star ratings of one genre leave less of it in a user's lists, cold or not, before and after a round."""

import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.training.fit import TrainingConfig
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import RoundConfig

EACH = 30  # films of a genre
GENRES = {f"{genre[0]}{n}": genre for genre in ("horror", "comedy") for n in range(EACH)}
CATALOGUE = Catalogue.of(Item(item_id, item_id.upper(), genres=(genre,)) for item_id, genre in GENRES.items())
MINUTE = 60_000
HOT = Trending.of((item_id, 1.0 + int(item_id[1:])) for item_id in GENRES)  # both genres trend alike
READERS = 12


def rated(item_id, at, stars):
    """Return a rating; below three stars it is not positive."""
    return Interaction(item_id, MINUTE * at, "rate", stars / 5.0, is_positive=stars >= 3.0)


def pages(seed):
    """Return what 40 users rated: pages of five films of one genre, half of them liked."""
    generator = np.random.default_rng(seed)
    events = []
    for user in range(40):
        genres = generator.permutation(["h", "c"] * 2).tolist()
        films = [f"{genre}{n}" for genre in genres for n in generator.choice(EACH, 5, replace=False).tolist()]
        stars = generator.integers(1, 6, len(films)).tolist()
        events += [
            (f"u{user}", rated(film, at, given)) for at, (film, given) in enumerate(zip(films, stars, strict=True))
        ]
    return events


@pytest.fixture(scope="module")
def learner(ring):
    """Return a learner whose first version knows both genres."""
    first = TrainingConfig(epochs=6, batch=8, learning_rate=0.01)
    rounds = RoundConfig(ring.config, first, TrainingConfig(epochs=2, batch=8, learning_rate=2e-3))
    made = Learner(LearnerConfig(held_out_share=0.0), rounds)
    made.observe(pages(0))
    made.champion = made.fine_tune(CATALOGUE, generator=np.random.default_rng(0)).snapshot
    made.learnt_to(made.observed)
    return made


def recommender(snapshot):
    """Return a recommender with a version, or for cold lists without one."""
    ranker = None if snapshot is None else Ranker(snapshot)
    return Recommender(CATALOGUE, ContentIndex(CATALOGUE), HOT, ColdStart(), ModeConfig(), ranker, snapshot and "v")


def horror(lists_of, histories):
    """Return how many of the ten films of a list are horror on average; films of the history are not listed."""
    profiles = [Profile(user_id, recent=tuple(reversed(events))) for user_id, events in histories.items()]
    lists = lists_of.recommend(profiles, 10)
    assert all(len(one.items) == 10 for one in lists)
    return np.mean([sum(GENRES[item.item_id] == "horror" for item in one.items) for one in lists])


@pytest.fixture(scope="module")
def readers():
    """Return what users rated who liked two films of either genre, alone and with five of horror at half a star.

    Third comes the same with five stars for these five.
    """
    generator = np.random.default_rng(7)
    before, disliked, liked_too = {}, {}, {}
    for reader in range(READERS):
        liked = generator.choice(EACH, 2, replace=False).tolist()
        mine = [rated(f"{genre}{n}", at, 5.0) for at, (n, genre) in enumerate((n, g) for n in liked for g in "hc")]
        others = [n for n in range(EACH) if n not in liked]
        before[f"reader {reader}"] = mine
        for histories, stars in ((disliked, 0.5), (liked_too, 5.0)):
            histories[f"reader {reader}"] = mine + [rated(f"h{n}", 10 + at, stars) for at, n in enumerate(others[:5])]
    return before, disliked, liked_too


def test_lists_hold_less_of_a_disliked_genre(learner, readers):
    """The network alone would list more of what is touched; its lists hold less after five half stars."""
    before, disliked, liked_too = readers
    served = recommender(learner.champion)
    assert horror(served, disliked) < horror(served, before)
    assert horror(served, disliked) < horror(served, liked_too)


def test_cold_lists_hold_less_of_it_too(readers):
    """Without any version, trending and similarity are all there is."""
    before, disliked, liked_too = readers
    assert horror(recommender(None), disliked) < horror(recommender(None), before)
    assert horror(recommender(None), disliked) < horror(recommender(None), liked_too)


def test_a_round_that_learns_from_dislikes_does_not_bring_the_genre_back(learner, readers):
    """Lists of a version that was tuned on these very ratings hold less of it than the user's lists before them."""
    before, disliked, _ = readers
    was = horror(recommender(learner.champion), before)
    learner.observe((user_id, one) for user_id, events in disliked.items() for one in events)
    tuned = learner.fine_tune(CATALOGUE, generator=np.random.default_rng(1)).snapshot
    assert horror(recommender(tuned), disliked) < was
