"""What lists are like: a stream and lists that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from model.catalogue import Catalogue, Item
from replay.datasets.dataset import Dataset, Provenance
from replay.prequential.list_figures import ListFigures
from replay.prequential.outcome import ONLINE, RERANKED, PrequentialOutcome
from replay.prequential.run import ListTrack
from replay.prequential.stream import Stream


@pytest.fixture
def stream():
    """Return five events of three users, of which the last three are tested."""
    rows = [("a", "x", 0, 5), ("b", "x", 1, 5), ("a", "y", 2, 5), ("b", "y", 3, 5), ("b", "z", 4, 5)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "rating"])
    genres = {"x": ("Drama",), "y": ("Comedy",), "z": ("Drama",), "w": ("War",)}
    films = Catalogue.of(Item(item_id, item_id, None, some) for item_id, some in genres.items())
    return Stream.of(Dataset("made", films, table, Provenance("table", "made.csv", "0" * 64)), warm_up=0.4)


def test_lists_are_counted_at_their_moment(stream):
    """Owners and users count as they were before each test, and a list without a pair has no diversity."""
    # There are two users throughout. x is had by both (0 bits), y by nobody, then one (1 bit each), then both (0), z by
    # nobody (1). The lists (y, x), (y) and (y, z) have 1 + 0, 1, and 0 + 1 bits over five places. The last
    # list is of the same user as the one before it, and z is new on it.
    assert stream.tests.tolist() == [2, 3, 4]
    found = ListFigures.of(stream, np.array([[1, 0], [1, -1], [1, 2]], dtype=np.int32))
    assert found == ListFigures(1.0, coverage=0.75, novelty=pytest.approx(3 / 5), temporal_diversity=0.5)


def test_the_price_is_a_share_of_the_figures_by_score(stream):
    """Two hits of three became one, and a diversity of a half became three quarters."""
    ranks = {ONLINE: np.array([1.0, 2.0, np.inf]), RERANKED: np.array([1.0, np.inf, np.inf])}
    listed = {ONLINE: ListFigures(0.5, 0.1, 1.0, 0.2), RERANKED: ListFigures(0.75, 0.2, 1.0, 0.3)}
    price = PrequentialOutcome(stream, ListTrack.empty(3, 10), (), ranks, 10, listed).price()
    assert price is not None
    assert (price.hit_rate, price.diversity) == (pytest.approx(-0.5), pytest.approx(0.5))
    assert price.error == pytest.approx(np.std([0.0, -1.0, 0.0]) / np.sqrt(3) / (2 / 3))
    assert PrequentialOutcome(stream, ListTrack.empty(3, 10), (), {ONLINE: ranks[ONLINE]}, 10, listed).price() is None
