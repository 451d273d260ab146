"""Content vectors: what makes items alike, against hand-computed and brute-force figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.catalogue import Catalogue, Item
from model.history import Interaction
from model.ranking.content import ContentConfig, ContentIndex, best_rows

GENRES_ONLY = ContentConfig(genres=1.0, years=0.0, titles=0.0)
YEARS_ONLY = ContentConfig(genres=0.0, years=1.0, titles=0.0, period_years=10.0)
TITLES_ONLY = ContentConfig(genres=0.0, years=0.0, titles=1.0)


def index_of(*items, config=None):
    """Return the index of a catalogue of these items."""
    return ContentIndex(Catalogue.of(items), config)


def touched(item_id, weight=1.0):
    """Return an interaction with an item."""
    return Interaction(item_id, 1, "rate", weight)


def scores_of(index, recent):
    """Return the cosine of one user's profile with every item, float32 (N,)."""
    return index.scores(index.profiles([recent]))[0]


def test_rare_genres_weigh_more():
    """With N=3 items, Drama in 2 and War in 1, idf is 1+ln(4/3) and 1+ln(4/2), and the cosine follows by hand."""
    index = index_of(
        Item("a", "A", genres=("Drama", "War")), Item("b", "B", genres=("Drama",)), Item("c", "C"), config=GENRES_ONLY
    )
    drama, war = 1 + math.log(4 / 3), 1 + math.log(4 / 2)
    assert index.scores(index.vectors[:1])[0] == pytest.approx([1.0, drama / math.hypot(drama, war), 0.0], abs=1e-6)


def test_years_share_by_how_near_they_are():
    """1990, 1995 and 2000 lie at 0, 1/2 and 1 of a ten-year step: cosines 1, 1/sqrt(2) and 0."""
    index = index_of(Item("a", "A", 1990), Item("b", "B", 1995), Item("c", "C", 2000), config=YEARS_ONLY)
    assert index.scores(index.vectors[:1])[0] == pytest.approx([1.0, 1 / math.sqrt(2), 0.0], abs=1e-6)


def test_title_words_make_sequels_alike():
    """A word that two titles share makes them alike, one that occurs in a single title makes nothing alike."""
    index = index_of(
        Item("a", "Die Hard"), Item("b", "Die Hard 2"), Item("c", "Heat"), Item("d", "Ran"), config=TITLES_ONLY
    )
    assert [found for found, _ in index.similar("a", 3)] == ["b"]
    assert index.similar("c", 3) == ()


def test_rows_have_length_one_or_nothing():
    """An item with any feature has a vector of length 1, and one without has zeros."""
    index = index_of(Item("a", "A", 1990, ("Drama",)), Item("b", "B"))
    assert np.linalg.norm(index.vectors, axis=1) == pytest.approx([1.0, 0.0])
    assert index.vectors.dtype == np.float32


def test_an_item_is_not_its_own_neighbour():
    """Neighbours come best first and never contain the item itself."""
    index = index_of(*(Item(str(n), "T", 1990 + n, ("Drama",)) for n in range(4)))
    assert [found for found, _ in index.similar("0", 9)] == ["1", "2", "3"]
    assert index.similar("9", 3) == ()


def test_similar_to_all_agrees_with_similar_across_chunks():
    """Over 1,030 items, which need three chunks of 512, every line is what ``similar`` returns."""
    index = index_of(*(Item(str(n), f"Word{n % 7}", 1950 + n % 60, (f"G{n % 5}",)) for n in range(1030)))
    found = dict(index.similar_to_all(3))
    assert list(found) == [str(n) for n in range(1030)]
    for item_id in ("0", "511", "512", "1023", "1024", "1029"):
        alone = index.similar(item_id, 3)
        assert [name for name, _ in found[item_id]] == [name for name, _ in alone]


def test_a_profile_weighs_by_position_and_weight():
    """With half-life 1 the second item counts half: weights 1 and 1/2 on orthogonal items give 2:1."""
    config = ContentConfig(genres=1.0, years=0.0, titles=0.0, half_life=1.0)
    index = index_of(Item("a", "A", genres=("X",)), Item("b", "B", genres=("Y",)), config=config)
    scores = scores_of(index, (touched("a"), touched("b")))
    assert scores == pytest.approx([2 / math.sqrt(5), 1 / math.sqrt(5)], abs=1e-6)
    scores = scores_of(index, (touched("a", 0.5), touched("b", 1.0)))
    assert scores == pytest.approx([1 / math.sqrt(2)] * 2, abs=1e-6)


def test_a_profile_reads_only_its_newest_items():
    """With depth 1 the second item changes nothing, and repeats and unknown items take no place."""
    config = ContentConfig(genres=1.0, years=0.0, titles=0.0, depth=1)
    index = index_of(Item("a", "A", genres=("X",)), Item("b", "B", genres=("Y",)), config=config)
    assert scores_of(index, (touched("gone"), touched("a"), touched("a"), touched("b"))) == pytest.approx([1, 0])


def test_a_profile_without_known_items_scores_zero():
    """No history, an unknown item, or weight zero gives zeros, not NaN."""
    index = index_of(Item("a", "A", 1990, ("Drama",)))
    for recent in ((), (touched("gone"),), (touched("a", 0.0),)):
        assert scores_of(index, recent).tolist() == [0.0]


def test_genres_are_found_in_any_case():
    """``drama`` and ``Drama`` are the same, and an unknown genre has no items."""
    index = index_of(Item("a", "A", genres=("Drama",)), Item("b", "B", genres=("War",)))
    assert index.in_genre("DRAMA").tolist() == [True, False]
    assert index.in_genre("None").tolist() == [False, False]


def test_the_shelf_is_newest_first_with_unknown_years_last():
    """Years descend, equal years keep the catalogue's order, and items without a year come last."""
    index = index_of(Item("a", "A"), Item("b", "B", 1990), Item("c", "C", 2001), Item("d", "D", 1990))
    assert [index.item_ids[row] for row in index.shelf_order] == ["c", "b", "d", "a"]


def test_an_empty_catalogue_has_an_index():
    """No items: no rows, no neighbours, no error."""
    index = index_of()
    assert len(index) == 0
    assert list(index.similar_to_all(3)) == []
    assert scores_of(index, (touched("a"),)).shape == (0,)


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 35))
def test_best_rows_agrees_with_a_stable_sort(values, n):
    """The best rows are those of a full stable sort, so ties always go to the lower row."""
    expected = sorted(range(len(values)), key=lambda row: (-values[row], row))[:n]
    assert best_rows(np.array(values, dtype=np.float32), n).tolist() == expected


def test_best_rows_refuses_none():
    """Asking for less than one row is refused with the number."""
    with pytest.raises(ValueError, match="got 0"):
        best_rows(np.zeros(3, dtype=np.float32), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"genres": -0.1},
        {"genres": 0.0, "years": 0.0, "titles": 0.0, "tags": 0.0},
        {"period_years": 0.0},
        {"half_life": 0.0},
        {"depth": 0},
    ],
)
def test_a_configuration_out_of_range_is_refused(wrong):
    """Weights below zero, no weight at all, and lengths of zero are refused."""
    with pytest.raises(ValueError, match="ContentConfig"):
        ContentConfig(**wrong)


def test_what_is_like_a_disliked_item_is_pushed_away():
    """Half a star for one horror film makes the cosine with the other -1, and leaves comedy at 0."""
    index = index_of(
        Item("a", "Alien", genres=("Horror",)),
        Item("b", "Brazil", genres=("Comedy",)),
        Item("c", "Cube", genres=("Horror",)),
        config=GENRES_ONLY,
    )
    disliked = Interaction("a", 1, "rate", 0.1, is_positive=False)
    assert scores_of(index, [disliked]) == pytest.approx([-1.0, 0.0, -1.0])


def test_likes_and_dislikes_of_one_kind_weigh_against_each_other():
    """A new dislike of 0.9 outweighs an older like of 0.6 * 2^(-1/5) = 0.52, and the other way round it does not."""
    index = index_of(Item("a", "A", genres=("War",)), Item("b", "B", genres=("War",)), config=GENRES_ONLY)
    disliked = Interaction("a", 2, "rate", 0.1, is_positive=False)
    assert scores_of(index, [disliked, touched("b", 0.6)])[0] == pytest.approx(-1.0)
    assert scores_of(index, [touched("b", 1.0), disliked])[0] == pytest.approx(1.0)


def test_tags_make_items_similar():
    """Of four dramas of one year two are tagged "chess", in any case; a tag of one item alone makes nothing similar."""
    films = [
        Item("a", "One", 1990, ("Drama",), ("Chess",)),
        Item("b", "Two", 1990, ("Drama",), ("slow", "alone")),
        Item("c", "Three", 1990, ("Drama",), ("chess",)),
        Item("d", "Four", 1990, ("Drama",), ("slow",)),
    ]
    index = ContentIndex(Catalogue.of(films))
    assert index.similar("a", 1)[0][0] == "c"
    assert index.similar("b", 1)[0][0] == "d"
    assert index.cosine("a", "c") > index.cosine("a", "b") > 0.0
    assert index.cosine("a", "nowhere") == 0.0


def test_without_tags_nothing_changes():
    """The vectors of a catalogue without tags have no columns for them."""
    films = Catalogue.of([Item("a", "One", 1990, ("Drama",)), Item("b", "Two", 1991, ("War",))])
    tagged = films.changed(put=[Item("a", "One", 1990, ("Drama",), ("x",))])
    assert ContentIndex(tagged).vectors.shape[1] == ContentIndex(films).vectors.shape[1] + 512
