import pytest

from model.intent.words import WordMender, fold, words_of


def texts(words):
    """Return words as text."""
    return [word.text for word in words]


def test_words_are_folded_and_cut():
    """Case and accents go, hyphens cut, a French elision stands apart, and a comma is remembered."""
    assert fold("Comédie, Komödie, Straße") == "comedie, komodie, strasse"
    found = words_of("Sci-Fi d'horreur, don't")
    assert texts(found) == ["sci", "fi", "d", "horreur", "don't"]
    assert [word.pauses for word in found] == [False, False, False, True, False]


def test_a_text_without_end_is_read_to_the_two_hundredth_word():
    """Of 300 words the first 200 are taken."""
    assert len(words_of("word " * 300)) == 200


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("comdey", ["comedy"]),  # two letters in each other's place: one slip
        ("gruseliger", ["gruselig"]),  # two letters more, of ten
        ("horrorfilm", ["horror", "film"]),
        ("heart", ["heart"]),  # a word of titles, though one letter from "hearts"
        ("hart", ["hart"]),  # four letters have too many neighbours
        ("bomedy", ["bomedy"]),  # nobody slips on the first letter
        ("zzzzz", ["zzzzz"]),
    ],
)
def test_slips_of_the_pen_are_mended(typed, meant):
    """A word that nobody knows becomes the known one that begins alike and is one slip away, two from eight letters."""
    mender = WordMender({"comedy", "gruselig", "horror", "film", "hearts", "hard"}, {"heart"})
    assert texts(mender.mended(words_of(typed))) == meant
