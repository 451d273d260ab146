"""Years in a text: "80s", "from the nineties", "nothing older than 2000", "avant 1960", "aus den Achtzigern"."""

import re
from collections.abc import Sequence

from model.intent.lexicon import phrase_at, phrases_of
from model.intent.small_words import BETWEEN, DECADES, FILLERS, OLD, ONWARDS, YEAR_BOUNDS
from model.intent.words import Word

__all__ = ["MAX_OLD", "NO_YEARS", "Years", "years_at"]

Years = tuple[int | None, int | None]
NO_YEARS: Years = (None, None)
MAX_OLD = 1969  # who asks for old films or black and white ones means what was made before colour won
_YEAR = re.compile(r"(?:18[89]|19\d|20\d)\d")
_DECADE = re.compile(r"(18[89]0|19\d0|20\d0|\d0)(?:s|'s|er|ers|ern|ies|iger)")
_TWO_DIGITS = re.compile(r"\d0")
_BOUNDS = {phrase: YEAR_BOUNDS[text] for text in YEAR_BOUNDS for phrase in phrases_of([text])}
_BOUND_PHRASES = phrases_of(YEAR_BOUNDS)
_DECADES = {phrase: DECADES[text] for text in DECADES for phrase in phrases_of([text])}
_DECADE_PHRASES = phrases_of(DECADES)
_OLD_PHRASES, _BETWEEN_PHRASES = phrases_of(OLD), phrases_of(BETWEEN)
_PARTS = {"early": (0, 4), "fruhe": (0, 4), "fruhen": (0, 4), "late": (5, 9), "spate": (5, 9), "spaten": (5, 9)}


def years_at(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    """Return what the words from one on say of years, and how many they are; None if they say nothing of them."""
    for read in (_bounded, _between, _from_on, _span_at, _old):
        found = read(words, at)
        if found is not None:
            return found
    return None


def _bounded(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    phrase = phrase_at(_BOUND_PHRASES, words, at)
    if phrase is None:
        return None
    span, end = _next_span(words, at + len(phrase))
    if span is None:
        return None
    which, is_within = _BOUNDS[phrase]
    first, last = span
    if which == "to":
        return (None, last if is_within else first - 1), end - at
    return (first if is_within else last + 1, None), end - at


def _between(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    phrase = phrase_at(_BETWEEN_PHRASES, words, at)
    start = at + len(phrase or ())
    first, end = _next_span(words, start) if phrase else _range_start(words, at)
    if first is None:
        return None
    last, last_end = _next_span(words, end)
    if last is None:
        return None
    return (min(first[0], last[0]), max(first[1], last[1])), last_end - at


def _range_start(words: Sequence[Word], at: int) -> tuple[tuple[int, int] | None, int]:
    """Return the first year of "1980 to 1990" and "1980-1990"."""
    found = _span(words, at)
    if found is None or not _YEAR.fullmatch(words[at].text):
        return None, at
    end = at + 1
    if end < len(words) and words[end].text in {"to", "bis", "a"}:
        end += 1
    is_range = end < len(words) and _YEAR.fullmatch(words[end].text) and not words[at].pauses
    return (found[0], end) if is_range else (None, at)


def _from_on(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    found = _span(words, at)
    if found is None:
        return None
    span, length = found
    is_open = at + length < len(words) and words[at + length].text in ONWARDS
    return ((span[0], None), length + 1) if is_open else None


def _span_at(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    if words[at].text in _PARTS and at + 1 < len(words):
        found = _span(words, at + 1)
        if found is not None and found[0][1] - found[0][0] == 9:  # noqa: PLR2004 - a whole decade
            early, late = _PARTS[words[at].text]
            return (found[0][0] + early, found[0][0] + late), found[1] + 1
    found = _span(words, at)
    return None if found is None else (found[0], found[1])


def _old(words: Sequence[Word], at: int) -> tuple[Years, int] | None:
    phrase = phrase_at(_OLD_PHRASES, words, at)
    return None if phrase is None else ((None, MAX_OLD), len(phrase))


def _next_span(words: Sequence[Word], at: int) -> tuple[tuple[int, int] | None, int]:
    """Return the year or decade that follows, small words between left out, and where it ends."""
    for start in range(at, min(at + 4, len(words))):
        found = _span(words, start)
        if found is not None:
            return found[0], start + found[1]
        if words[start].text not in FILLERS:
            break
    return None, at


def _span(words: Sequence[Word], at: int) -> tuple[tuple[int, int], int] | None:
    """Return the years that a year or a decade means, and how many words it has."""
    word = words[at].text
    if _YEAR.fullmatch(word):
        return (int(word), int(word)), 1
    if match := _DECADE.fullmatch(word):
        return _decade(match.group(1)), 1
    if word == "annees" and at + 1 < len(words) and _TWO_DIGITS.fullmatch(words[at + 1].text):
        return _decade(words[at + 1].text), 2
    phrase = phrase_at(_DECADE_PHRASES, words, at)
    return None if phrase is None else (_decade(str(_DECADES[phrase])), len(phrase))


def _decade(digits: str) -> tuple[int, int]:
    first = int(digits)
    if first < 100:  # noqa: PLR2004 - two digits: this century's first two decades, else the last century
        first += 2000 if first < 20 else 1900  # noqa: PLR2004 - same
    return first, first + 9
