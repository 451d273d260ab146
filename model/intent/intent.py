"""From a text to what it asks for in one catalogue: scores of all items, genres, years, examples, what is forbidden.

Word lists read what they know (``model.intent.asked``). The encoder, if there is one, reads the wanted part of the
sentence: a vector, which is steered by the genres' centroids [1]_ and compared with those of the items.
Without an encoder the words that items and sentence share are compared (TF-IDF).

References
----------
.. [1] Turner et al., "Activation addition: steering language models without optimization", 2023, for the form
   ``q + a * (towards - away)``; here it is applied to sentences, not inside a network.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.intent.asked import Asked, Reader
from model.intent.encoder import Encoder
from model.intent.lexicon import UNSURE, Lexicon, Meaning
from model.intent.sentences import SentenceIndex
from model.intent.tfidf import TermIndex
from model.intent.titles import TitleFinder
from model.intent.words import words_of
from model.wishes.query import QueryMethod, ReadQuery

__all__ = ["Intent", "TextCounts"]

_Floats = NDArray[np.float32]
MIN_WEIGHT = 0.3  # of a genre, in shares of the most wanted one: less is not worth naming
MIN_LIKE_MOOD = 0.5  # cosine from which on words that nobody listed mean a mood: "makes me giggle" and "funny" have .5
# Cosines with the nearest item and the nearest mood below which words that no list knows say nothing: on ml-1m both are
# lower for 22 of 24 strings without sense, and for none of 25 short requests (benchmarks/intent/senseless.py).
MIN_LIKENESS, MIN_LIKE_ANY_MOOD = 0.43, 0.4
STANDS_OUT = 1.0  # standard deviations from which on a genre's centroid is nearer than the others
KEPT_QUERIES = 1024  # people send one text again with each move of a slider, and many send the same
KEPT_SCORES = 1 << 22  # of these queries, 16 MB at most
OF_CENTROIDS, OF_EXAMPLES = (
    0.5,
    0.6,
)  # most that centroids and the genres of named items count, beside a prior's 0.7 to 1


@dataclass(slots=True)
class TextCounts:
    """How many texts were asked for that had been read, and how many were read."""

    kept: int = 0
    read: int = 0


class Intent:
    """Reads texts for one catalogue.

    Parameters
    ----------
    catalogue : the items; scores follow its order.
    encoder : of sentences, or None to compare words.
    of_items : makes the vectors of what does not change with a query, as ``encoder`` would; by default that.
    earlier : for an earlier catalogue; what it has encoded is not encoded again.
    counts : where texts are counted.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        encoder: Encoder | None = None,
        earlier: "Intent | None" = None,
        counts: TextCounts | None = None,
        of_items: Encoder | None = None,
    ) -> None:
        items = tuple(catalogue)
        self.catalogue = catalogue
        self._rows = {item.item_id: row for row, item in enumerate(items)}
        self._lexicon = Lexicon(catalogue.genres())
        title_words = {word.text for item in items for word in words_of(item.title)}
        self._reader = Reader(self._lexicon, TitleFinder(items), title_words)
        self._terms = TermIndex(items, self._lexicon.english)
        self._counts = counts or TextCounts()
        self._known: dict[str, ReadQuery] = {}
        self._most_known = min(KEPT_QUERIES, KEPT_SCORES // max(1, len(items)))
        self._sentences: SentenceIndex | None = None
        if encoder is not None:
            known = {} if earlier is None else earlier.known_sentences()
            of_items = of_items or encoder
            self._sentences = SentenceIndex(items, self._lexicon.english, encoder, known, of_items)
            self._moods = tuple(self._lexicon.moods.values())
            self._mood_vectors = of_items.encode([mood.english for mood in self._moods])

    @property
    def method(self) -> QueryMethod:
        """Return what compares texts with items."""
        return "tfidf" if self._sentences is None else "embedding"

    @property
    def n_known_sentences(self) -> int:
        """Return how many items' sentences an earlier one had encoded."""
        return 0 if self._sentences is None else self._sentences.n_known

    def known_sentences(self) -> dict[str, _Floats]:
        """Return the vectors of the items' sentences, for a later catalogue."""
        return {} if self._sentences is None else self._sentences.known()

    def read(self, text: str) -> ReadQuery:
        """Return what a text asks for; of the texts read last it is kept."""
        found = self._known.get(text)
        if found is not None:
            self._counts.kept += 1
        else:
            self._counts.read += 1
            found = self._newly_read(text)
            if len(self._known) >= self._most_known:
                self._known.clear()
            self._known[text] = found
        return found

    def _newly_read(self, text: str) -> ReadQuery:
        asked = self._reader.read(text)
        weights: defaultdict[str, float] = defaultdict(float)
        for meaning in asked.wanted:
            for genre, prior in meaning.priors.items():
                weights[genre] = max(weights[genre], meaning.weight * prior)
        says_nothing = False
        if self._sentences is None:
            scores = self._by_terms(asked, weights)
        else:
            query, words = self._vectors(asked)
            says_nothing = self._says_nothing(asked, query, words)
            scores = self._by_sentences(np.zeros_like(query) if says_nothing else query, words, asked, weights)
        self._add_examples(asked, weights)
        never = tuple(dict.fromkeys(genre for meaning in asked.forbidden for genre in meaning.forbidden()))
        return ReadQuery(
            item_scores=_stretched(scores),
            genre_weights=_told(weights, never),
            years=asked.years,
            never=never,
            like=tuple(dict.fromkeys(item.item_id for item in asked.like)),
            unread=tuple(dict.fromkeys(asked.words)) if says_nothing else self._unread(asked),
            method=self.method,
        )

    def _by_terms(self, asked: Asked, weights: Mapping[str, float]) -> _Floats:
        """Return the cosines of the terms, float32 (N,)."""
        terms = dict.fromkeys(asked.words, 1.0)
        for genre, weight in weights.items():
            terms |= dict.fromkeys(self._lexicon.english[genre].split(), weight)
        query = self._terms.query(terms)
        if asked.like:
            query = query + self._terms.mean([self._rows[item.item_id] for item in asked.like])
            query = query / np.float32(np.linalg.norm(query))
        return self._terms.scores(query)

    def _vectors(self, asked: Asked) -> tuple[_Floats, _Floats]:
        """Return the vectors of what is wanted and of the unlisted words, float32 (width,); zeros where nothing is."""
        assert self._sentences is not None, "sentences are compared where they were encoded"
        texts = [" ".join(asked.sentence), " ".join(asked.words)]
        needed = [text for text in dict.fromkeys(texts) if text]
        known = dict(zip(needed, self._sentences.encoded(needed), strict=True))
        nothing = np.zeros(self._sentences.vectors.shape[1], dtype=np.float32)
        return known.get(texts[0], nothing), known.get(texts[1], nothing)

    def _says_nothing(self, asked: Asked, query: _Floats, words: _Floats) -> bool:
        """Tell whether no list knows a word of what is wanted, and no mood and no item is near to it."""
        assert self._sentences is not None, "sentences are compared where they were encoded"
        if asked.wanted or asked.like or not asked.words:
            return False
        if self._sentences.scores(query).max(initial=0.0) >= MIN_LIKENESS:
            return False
        return bool((self._mood_vectors @ words).max(initial=0.0) < MIN_LIKE_ANY_MOOD)

    def _by_sentences(self, query: _Floats, words: _Floats, asked: Asked, weights: defaultdict[str, float]) -> _Floats:
        """Return the cosines of the sentences, float32 (N,), and note the genres that the query is near to."""
        assert self._sentences is not None, "sentences are compared where they were encoded"
        if query.any():
            if asked.words:
                self._add_moods(words, weights)
            self._add_centroids(query, weights)
            query = self._sentences.steered(query)
        if asked.like:
            query = query + self._sentences.vectors[[self._rows[item.item_id] for item in asked.like]].mean(axis=0)
        length = float(np.linalg.norm(query))
        return self._sentences.scores(query / np.float32(length) if length else query)

    def _add_moods(self, words: _Floats, weights: defaultdict[str, float]) -> None:
        """Note the genres of the mood that unlisted words come nearest to, if it is near."""
        cosines = self._mood_vectors @ words
        if len(cosines) and cosines.max() >= MIN_LIKE_MOOD:
            mood: Meaning = self._moods[int(cosines.argmax())]
            for genre, prior in mood.priors.items():
                weights[genre] = max(weights[genre], UNSURE * prior)

    def _add_centroids(self, query: _Floats, weights: defaultdict[str, float]) -> None:
        """Add what speaks for the genres whose centroids stand out."""
        assert self._sentences is not None, "centroids are those of sentences"
        cosines = self._sentences.centroids @ query
        spread = float(cosines.std()) if len(cosines) else 0.0
        if spread == 0.0:
            return
        standing = (cosines - cosines.mean()) / spread
        for genre, how_far in zip(self._sentences.genres, standing.tolist(), strict=True):
            if how_far > STANDS_OUT:
                weights[genre] += OF_CENTROIDS * min(1.0, (how_far - STANDS_OUT) / 2.0)

    def _add_examples(self, asked: Asked, weights: defaultdict[str, float]) -> None:
        """Note the genres of items that were named, by how many of these have them."""
        named = Counter(genre for item in asked.like for genre in item.genres)
        for genre, n in named.items():
            weights[genre] = max(weights[genre], OF_EXAMPLES * n / len(asked.like))

    def _unread(self, asked: Asked) -> tuple[str, ...]:
        """Return the words that said nothing; a sentence that was encoded was read whole."""
        if self._sentences is not None:
            return ()
        return tuple(word for word in dict.fromkeys(asked.words) if not self._terms.knows(word))


def _stretched(cosines: _Floats) -> _Floats:
    """Return cosines so that the catalogue's mean is 0 and its best 1: they weigh alike by any method."""
    middle = cosines.mean() if len(cosines) else np.float32(0.0)
    reach = cosines.max(initial=0.0) - middle
    if reach <= 0.0:
        return np.zeros_like(cosines)
    return np.asarray(np.clip((cosines - middle) / reach, -1.0, 1.0), dtype=np.float32)


def _told(weights: Mapping[str, float], never: Sequence[str]) -> dict[str, float]:
    """Return the genres worth naming with their shares of 1, strongest first."""
    wanted = {genre: weight for genre, weight in weights.items() if genre not in never and weight > 0.0}
    most = max(wanted.values(), default=0.0)
    named = {genre: weight for genre, weight in wanted.items() if weight >= MIN_WEIGHT * most}
    total = sum(named.values())
    return {g: round(w / total, 4) for g, w in sorted(named.items(), key=lambda one: (-one[1], one[0]))}
