import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.intent.intent import KEPT_QUERIES, Intent


@pytest.fixture(scope="module", params=["embedding", "tfidf"])
def intent(request, films, encoder):
    """Return a reader by either method."""
    return Intent(films, encoder if request.param == "embedding" else None)


def best(intent, text):
    """Return the id of the film that scores best."""
    read = intent.read(text)
    return list(intent.catalogue)[int(np.argmax(read.item_scores))].item_id


def test_the_film_that_the_words_mean_scores_best(intent):
    """By sentences and by words alike, scores follow the catalogue's order and lie between -1 and 1."""
    assert best(intent, "submarine") == "8"
    assert best(intent, "a western") == "9"
    scores = intent.read("a western").item_scores
    assert scores.dtype == np.float32
    assert scores.shape == (11,)
    assert -1.0 <= scores.min() <= scores.max() == 1.0


def test_everything_that_a_text_says_is_told(intent):
    """Genres with shares of one, years, what is forbidden, examples."""
    read = intent.read("something funny like Sleeper, nothing older than 1970, no horror")
    assert read.like == ("5",)
    assert read.years == (1970, None)
    assert read.never == ("Horror",)
    assert next(iter(read.genre_weights)) == "Comedy"
    assert sum(read.genre_weights.values()) == pytest.approx(1.0, abs=1e-3)
    assert "Horror" not in read.genre_weights


def test_a_mix_asks_for_both_genres(intent):
    """The shares of a comedy and of science fiction are the same, as both were asked for by name."""
    weights = intent.read("science fiction comedy").genre_weights
    assert set(weights) >= {"Comedy", "Sci-Fi"}
    assert weights["Comedy"] == pytest.approx(weights["Sci-Fi"], abs=0.15)  # centroids may add to either


def test_an_example_scores_by_its_likeness(intent):
    """Of the others, the science fiction is nearest to Star Wars."""
    read = intent.read("like Star Wars")
    order = [list(intent.catalogue)[row].item_id for row in np.argsort(-read.item_scores)]
    assert order[0] == "11"
    assert order[1] in {"1", "5"}


def test_a_text_that_says_nothing_asks_for_nothing(intent):
    """Small words alone make no difference between the items."""
    for text in ("", "a film please", "!!"):
        read = intent.read(text)
        assert not read.item_scores.any()
        assert read.genre_weights == {}


def test_the_method_is_told_and_so_are_words_that_said_nothing(films, encoder):
    """Without an encoder a word that no film has was not read."""
    assert Intent(films, encoder).read("xylophone").method == "embedding"
    read = Intent(films).read("xylophone comedy")
    assert (read.method, read.unread) == ("tfidf", ("xylophone",))
    assert Intent(films, encoder).read("xylophone comedy").unread == ()


@pytest.mark.parametrize("text", ["asdf qwer zxcv", "asdf qwer zxcv before 1980"])
def test_what_is_like_nothing_says_nothing(films, encoder, text):
    """Words without sense move no item and name no genre; they are told, and years hold all the same."""
    read = Intent(films, encoder).read(text)
    assert not read.item_scores.any()
    assert read.genre_weights == {}
    assert read.unread == ("asdf", "qwer", "zxcv")
    assert read.years == ((None, 1979) if text.endswith("before 1980") else (None, None))


def test_the_encoder_reads_what_no_list_has(films, encoder):
    """Nobody listed "giggle", and it is nearest to what is funny."""
    assert next(iter(Intent(films, encoder).read("makes me giggle").genre_weights)) == "Comedy"


def test_a_later_catalogue_encodes_only_what_changed(films, encoder):
    """Of twelve films eleven are known; only the new one is encoded, and the scores are the same as from nothing."""

    class Counting:
        width = encoder.width

        def __init__(self):
            self.sentences = []

        def encode(self, sentences):
            self.sentences += sentences
            return encoder.encode(sentences)

    counting = Counting()
    more = films.changed(put=[Item("12", "Das Boot", 1981, ("War",))])
    later = Intent(more, counting, Intent(films, encoder))
    assert [one for one in counting.sentences if one.startswith("Das Boot")] == ["Das Boot. war"]
    assert not any(one.startswith("Alien") for one in counting.sentences)
    expected = Intent(more, encoder).read("war at sea").item_scores
    np.testing.assert_allclose(later.read("war at sea").item_scores, expected, atol=1e-6)


def test_tags_are_read(encoder):
    """Of two films of one genre the one whose tags say so is meant, by sentences and by words."""
    films = Catalogue.of(
        [Item("a", "One", 1990, ("Drama",), ("slow",)), Item("b", "Two", 1990, ("Drama",), ("chess", "genius"))]
    )
    assert best(Intent(films, encoder), "chess") == "b"
    assert best(Intent(films), "chess") == "b"


def test_any_catalogue_can_be_read(encoder):
    """An empty one, one without genres, and one with genres that no list has."""
    for films in (
        Catalogue(),
        Catalogue.of([Item("a", "a")]),
        Catalogue.of([Item("a", "Blue Train", None, ("Hard Bop",)), Item("b", "Doolittle", None, ("Shoegaze",))]),
    ):
        for one in (Intent(films, encoder), Intent(films)):
            read = one.read("shoegaze, no horror")
            assert len(read.item_scores) == len(films)
            assert read.never == ()
            if len(films) == 2:
                assert next(iter(read.genre_weights)) == "Shoegaze"


def test_a_text_is_read_once(films, encoder):
    """A text that comes again is not encoded again, and the texts that are kept are bounded."""
    calls = []

    class Counting:
        width = encoder.width

        def encode(self, sentences):
            calls.append(list(sentences))
            return encoder.encode(sentences)

    reader = Intent(films, Counting())
    calls.clear()
    first = reader.read("war at sea, nothing scary")
    assert len(calls) == 1
    assert reader.read("war at sea, nothing scary") is first
    for number in range(KEPT_QUERIES):
        reader.read(f"{1000 + number}")
    calls.clear()
    np.testing.assert_array_equal(reader.read("war at sea, nothing scary").item_scores, first.item_scores)
    assert len(calls) == 1
