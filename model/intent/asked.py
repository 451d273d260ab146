"""What a text asks for, part by part: titles that are examples, years, what is forbidden, what is wanted, the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from model.catalogue import Item
from model.intent.lexicon import Lexicon, Meaning, phrase_at, phrases_of
from model.intent.small_words import EXAMPLES, FILLERS, FORBIDDING, JOINING, ONWARDS, STOPS, STRENGTHS
from model.intent.titles import TitleFinder
from model.intent.words import Word, WordMender, words_of
from model.intent.years import NO_YEARS, Years, years_at

__all__ = ["Asked", "Reader"]

MIN_TITLE_LIKENESS = (
    0.86  # of a title: "Godfahter" is "Godfather" (.89), "Heat" is not "Heart" (.89, but four letters are short)
)
MIN_FUZZY_TITLE = 6  # letters: a shorter title must be spelled right, "Heat" is as near to "Heart"
MAX_TITLE_WORDS = 9
MAX_TITLE_SEARCHES = 12  # of a text: each compares words with every title, 10 ms where there are 100,000
MAX_FORBIDDEN_WORDS = 5  # after "no": "no horror or gore please"
_EXAMPLES, _FORBIDDING = phrases_of(EXAMPLES), phrases_of(FORBIDDING)
_SMALL = FILLERS | JOINING | ONWARDS | STOPS | STRENGTHS


@dataclass(slots=True)
class Asked:
    """What a text asks for.

    Parameters
    ----------
    wanted : what its words mean, in their order.
    forbidden : what it does not want.
    years : first and last year.
    like : items named as examples.
    words : what is left of it, without small words, as typed.
    sentence : the wanted part in English, as far as we know its words.
    searches : how often all titles were searched for something like its words.
    """

    wanted: list[Meaning] = field(default_factory=list)
    forbidden: list[Meaning] = field(default_factory=list)
    years: Years = NO_YEARS
    like: list[Item] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    sentence: list[str] = field(default_factory=list)
    searches: int = 0


class Reader:
    """Reads texts for a catalogue.

    Parameters
    ----------
    lexicon : what phrases mean.
    titles : finds the titles that a text names.
    title_words : every word of a title; none of them is a slip of the pen.
    """

    def __init__(self, lexicon: Lexicon, titles: TitleFinder, title_words: set[str]) -> None:
        self._lexicon = lexicon
        self._titles = titles
        self._mender = WordMender(lexicon.words, title_words)

    def read(self, text: str) -> Asked:
        """Return what a text asks for; titles are looked for first, as they may hold any word, and years second."""
        asked = Asked()
        if title := self._titles.exactly(text):
            asked.like.append(title)
            if self._mender_knows_less(text):
                return asked
        words = self._mender.mended(self._without_titles(words_of(text), asked))
        at = 0
        while at < len(words):
            at += self._take(words, at, asked)
        return asked

    def _mender_knows_less(self, text: str) -> bool:
        """Tell whether a text that is a title cannot be meant as a description as well, as "Comedy" could."""
        return any(self._lexicon.meaning_at([word], 0) is None and word.text not in _SMALL for word in words_of(text))

    def _take(self, words: Sequence[Word], at: int, asked: Asked) -> int:
        """Read what begins at a word, and return how many words that was."""
        years = years_at(words, at)
        if years is not None:
            asked.years = _both(asked.years, years[0])
            return years[1]
        forbidding = phrase_at(_FORBIDDING, words, at)
        if forbidding is not None:
            return len(forbidding) + self._forbid(words, at + len(forbidding), asked)
        found = self._lexicon.meaning_at(words, at)
        if found is not None:
            asked.wanted.append(found[0])
            asked.sentence.append(found[0].english)
            return found[1]
        if words[at].text not in _SMALL:
            asked.words.append(words[at].typed)
            asked.sentence.append(words[at].text)
        return 1

    def _forbid(self, words: Sequence[Word], start: int, asked: Asked) -> int:
        """Read what must not be, up to a pause, a "but", or the last thing in a row, and return its length."""
        at, is_over = start, False
        while at < min(start + MAX_FORBIDDEN_WORDS, len(words)) and not is_over:
            found = self._lexicon.meaning_at(words, at)
            length = 1 if found is None else found[1]
            if words[at].text in STOPS or years_at(words, at) is not None:
                break
            if found is not None:
                asked.forbidden.append(found[0])
                is_over = at + length < len(words) and words[at + length].text not in JOINING
            at += length
            is_over = is_over or words[at - 1].pauses
        return at - start

    def _without_titles(self, words: list[Word], asked: Asked) -> list[Word]:
        """Return the words that name no example, and note the examples."""
        for at in range(len(words)):
            phrase = phrase_at(_EXAMPLES, words, at)
            if phrase is None:
                continue
            end = at + len(phrase)
            while (named := self._title_at(words, end, asked)) is not None:
                item, length = named
                asked.like.append(item)
                end += length
                while (
                    end < len(words)
                    and words[end].text in JOINING
                    and self._title_at(words, end + 1, asked) is not None
                ):
                    end += 1
            if end > at + len(phrase):
                return words[:at] + self._without_titles(words[end:], asked)
        return words

    def _title_at(self, words: Sequence[Word], at: int, asked: Asked) -> tuple[Item, int] | None:
        """Return the item whose title begins at a word, the longest title first, and how many words it has."""
        texts = [word.typed for word in words[at : at + MAX_TITLE_WORDS]]
        for is_exact in (True, False):
            for length in range(len(texts), 0, -1):
                if all(text in _SMALL for text in texts[:length]):
                    break
                text = " ".join(texts[:length])
                item = self._titles.exactly(text) if is_exact else self._nearly(text, asked)
                if item is not None:
                    return item, length
        return None

    def _nearly(self, text: str, asked: Asked) -> Item | None:
        """Return the item whose title is so like a text that it must be meant."""
        is_known = all(word in self._lexicon.words for word in text.split())
        if len(text) < MIN_FUZZY_TITLE or is_known or asked.searches == MAX_TITLE_SEARCHES:
            return None
        asked.searches += 1
        found = self._titles.find(text, 1, MIN_TITLE_LIKENESS)
        return found[0][0] if found else None


def _both(one: Years, other: Years) -> Years:
    """Return the years that both allow; of "80s or 90s" both decades, and of two bounds that exclude all the later."""
    firsts = [year for year in (one[0], other[0]) if year is not None]
    lasts = [year for year in (one[1], other[1]) if year is not None]
    first, last = max(firsts, default=None), min(lasts, default=None)
    if first is None or last is None or first <= last:
        return first, last
    return (min(firsts), max(lasts)) if len(firsts) == len(lasts) == 2 else other  # noqa: PLR2004 - both are closed
