"""From a text to its words: folded, cut, and with slips of the pen mended against the words that we know."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

__all__ = ["MIN_MENDED", "Word", "WordMender", "fold", "words_of"]

_WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu)'(?=\w{2})")  # d'horreur is d' and horreur
_PAUSE = re.compile(r"[,.;:!?()\"“”«»]")
MIN_MENDED = 5  # letters: a shorter word has too many neighbours that are words as well
LETTERS_PER_SLIP = 7  # two slips from eight letters on: "gruseliger" is "gruselig"
MAX_WORDS = 200  # of a text: more are no request, and each costs a comparison with every known word


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text.

    Parameters
    ----------
    text : folded, and mended where it was a slip.
    typed : folded alone.
    pauses : whether a comma or the like follows.
    """

    text: str
    typed: str
    pauses: bool = False


def fold(text: str) -> str:
    """Return a text in lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def words_of(text: str) -> list[Word]:
    """Return the words of a text, in their order."""
    folded = fold(text)
    found: list[Word] = []
    for match in list(_WORD.finditer(folded))[:MAX_WORDS]:
        word = match.group()
        elided = _ELISION.match(word)
        pauses = bool(_PAUSE.match(folded[match.end() : match.end() + 2].lstrip()))
        if elided:
            found.append(Word(elided.group()[:-1], elided.group()[:-1]))
            word = word[elided.end() :]
        found.append(Word(word, word, pauses))
    return found


class WordMender:
    """Replaces words that nobody knows by the known word next to them.

    Parameters
    ----------
    known : what has a meaning to us; slips are mended towards these.
    others : right as they are, such as the words of titles.
    """

    def __init__(self, known: Iterable[str], others: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._others = frozenset(others) | self._known
        self._by_letter: dict[str, list[str]] = {}
        for word in sorted(self._known):
            if len(word) >= MIN_MENDED:
                self._by_letter.setdefault(word[0], []).append(word)

    def mended(self, words: Sequence[Word]) -> list[Word]:
        """Return the words, slips replaced, and compounds of two known words cut in two."""
        found: list[Word] = []
        for word in words:
            parts = self._parts(word.text)
            found += [Word(part, word.typed, word.pauses and part is parts[-1]) for part in parts]
        return found

    def _parts(self, word: str) -> list[str]:
        if word in self._known or len(word) < MIN_MENDED or not word.isalpha():
            return [word]
        for cut in range(len(word) - 3, 2, -1):  # the longest known beginning
            if word[:cut] in self._known and word[cut:] in self._known:
                return [word[:cut], word[cut:]]
        if word in self._others:
            return [word]
        return [self._nearest(word) or word]

    def _nearest(self, word: str) -> str | None:
        """Return the known word that begins alike and is one slip away, or two from eight letters on."""
        slips = 1 + (len(word) > LETTERS_PER_SLIP)
        near = process.extractOne(word, self._by_letter.get(word[0], []), scorer=OSA.distance, score_cutoff=slips)
        return None if near is None else str(near[0])
