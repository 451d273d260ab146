import pytest

from model.catalogue import Catalogue, Item
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.neighbours import similar_items


@pytest.fixture(scope="module")
def ranker(ring):
    """Return a ranker of the ring, whose users touch items in the order of their numbers."""
    return Ranker(ring.snapshot)


def test_without_a_version_content_alone_speaks():
    """Of three dramas each is like the other two; nothing is known of behaviour, and both is content."""
    films = Catalogue.of(Item(name, name * 4, 1990, ("Drama",)) for name in "abc")
    found = dict(similar_items(ContentIndex(films), None, 5))
    assert [other for other, _ in found["a"].content] == ["b", "c"]
    assert found["a"].behaviour == ()
    assert found["a"].both == found["a"].content


def test_behaviour_is_what_the_same_users_touch_next(ranker):
    """In the ring items follow by their numbers: with i5 go four of the twenty after it, and no item with itself."""
    ids = ranker.snapshot.items
    index = ContentIndex(Catalogue.of(Item(one, one, 1990, ("Drama",)) for one in ids))
    found = dict(similar_items(index, ranker, 4))
    go_with = found["i5"].behaviour
    assert {other for other, _ in go_with} <= {f"i{place}" for place in range(6, 26)}
    assert len(go_with) == 4
    assert go_with[0][1] == 1.0
    assert [score for _, score in go_with] == sorted((score for _, score in go_with), reverse=True)
    assert all(item_id not in dict(similar.behaviour) for item_id, similar in found.items())


def test_both_is_the_mean_of_the_two(ranker):
    """Whatever is first by both has (cosine + share) / 2, and is no item that the catalogue lacks."""
    ids = [one for one in ranker.snapshot.items if one != "i7"]
    index = ContentIndex(Catalogue.of(Item(one, one, 1990, ("Drama",)) for one in ids))
    found = dict(similar_items(index, ranker, 4))["i5"]
    assert "i7" not in dict(found.behaviour)
    shares = dict(found.behaviour)
    first, score = found.both[0]
    assert score == pytest.approx((index.cosine("i5", first) + shares[first]) / 2, abs=1e-5)


def test_an_item_that_the_version_lacks_has_content_alone(ranker):
    """A film of today is like others by what it is."""
    films = [Item(one, one, 1990, ("Drama",)) for one in ranker.snapshot.items]
    index = ContentIndex(Catalogue.of([*films, Item("today", "Today", 1990, ("Drama",))]))
    found = dict(similar_items(index, ranker, 3))["today"]
    assert found.behaviour == ()
    assert len(found.both) == 3


def test_without_counts_vectors_speak(ring):
    """A version that keeps no counts says what goes together by its vectors."""
    bare = Ranker(ring.snapshot)
    bare._evidence = None
    rows, scores = bare.go_with(5)
    assert 5 not in rows.tolist()
    assert scores[0] == 1.0
    assert (scores > 0.0).all()
