"""What words mean in a catalogue: its genres and moods by every phrase that names them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.intent.genre_words import GENRES
from model.intent.moods import MOODS
from model.intent.small_words import (
    BETWEEN,
    DECADES,
    EXAMPLES,
    FILLERS,
    FORBIDDING,
    JOINING,
    OLD,
    ONWARDS,
    STOPS,
    STRENGTHS,
    YEAR_BOUNDS,
)
from model.intent.words import Word, fold, words_of

__all__ = ["UNSURE", "Lexicon", "Meaning", "phrase_at", "phrases_of"]

SURE, UNSURE, NAMED = 0.9, 0.7, 1.0  # how much a prior counts: a sure mood, one that may mean else, a genre by its name
MIN_FORBIDDEN = 0.7  # from this prior on, "not scary" forbids the genre
_SMALL = (BETWEEN, DECADES, EXAMPLES, FORBIDDING, OLD, YEAR_BOUNDS)
Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase speaks for.

    Parameters
    ----------
    english : the words that stand for it in a sentence.
    priors : how strongly, for genres as the catalogue spells them, 0..1.
    weight : how much the priors count.
    """

    english: str
    priors: Mapping[str, float]
    weight: float

    def forbidden(self) -> tuple[str, ...]:
        """Return the genres that nobody wants who does not want this."""
        return tuple(genre for genre, prior in self.priors.items() if prior >= MIN_FORBIDDEN)


class Lexicon:
    """All phrases that mean something in a catalogue.

    Parameters
    ----------
    genres : of the catalogue, as it spells them.

    Attributes
    ----------
    words : every word of every phrase, small words included.
    english : genre to the English words for it.
    moods : the English phrase of each mood that this catalogue's genres can answer, with its meaning.
    """

    def __init__(self, genres: Iterable[str]) -> None:
        genres = tuple(genres)
        spelled = {fold(genre): genre for genre in genres}
        self.english = {genre: genre.replace("-", " ").lower() for genre in genres}
        self._phrases: dict[Phrase, Meaning] = {}
        self.moods: dict[str, Meaning] = {}
        of_name: dict[str, tuple[str, ...]] = {}
        for row in GENRES:
            mine = tuple(spelled[fold(name)] for name in row.names if fold(name) in spelled)
            of_name[row.names[0]] = mine
            self.english |= dict.fromkeys(mine, row.english)
        for mood in MOODS:
            priors = {genre: prior for name, prior in mood.priors.items() for genre in of_name[name]}
            if priors:
                meaning = Meaning(mood.english, priors, SURE if mood.is_sure else UNSURE)
                self.moods[mood.english] = meaning
                self._add(mood.words.split(","), meaning)
        for row in GENRES:
            if mine := of_name[row.names[0]]:
                self._add(row.words.split(","), Meaning(row.english, dict.fromkeys(mine, 1.0), NAMED))
        for genre in genres:
            self._add([genre], Meaning(self.english[genre], {genre: 1.0}, NAMED))
        self.longest = max(map(len, self._phrases), default=0)
        self.words = {word for phrase in self._phrases for word in phrase} | _small_words()

    def meaning_at(self, words: Sequence[Word], at: int) -> tuple[Meaning, int] | None:
        """Return what the longest phrase that begins at a word means, and how many words it has."""
        for length in range(min(self.longest, len(words) - at), 0, -1):
            found = self._phrases.get(tuple(word.text for word in words[at : at + length]))
            if found is not None:
                return found, length
        return None

    def _add(self, phrases: Iterable[str], meaning: Meaning) -> None:
        for phrase in phrases_of(phrases):
            self._phrases[phrase] = meaning


def phrases_of(texts: Iterable[str]) -> list[Phrase]:
    """Return phrases as their folded words, longest first."""
    cut = (tuple(word.text for word in words_of(text)) for text in texts)
    return sorted((phrase for phrase in cut if phrase), key=len, reverse=True)


def phrase_at(phrases: Sequence[Phrase], words: Sequence[Word], at: int) -> Phrase | None:
    """Return the first of these phrases that begins at a word."""
    return next((one for one in phrases if tuple(word.text for word in words[at : at + len(one)]) == one), None)


def _small_words() -> set[str]:
    lists = {word for table in _SMALL for phrase in phrases_of(table) for word in phrase}
    return lists | FILLERS | JOINING | ONWARDS | STOPS | STRENGTHS
