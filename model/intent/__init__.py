"""From words to what they ask for, in one catalogue.

``intent`` joins the parts: ``asked`` reads a text with what ``lexicon`` knows of genres and moods, ``years`` of years
and ``titles`` of items that are named, after ``words`` has cut and mended it. ``sentences`` compares what is left with
the items by the vectors of ``encoder``, a transformer whose weights are given; ``tfidf`` does by shared words where
there is none. ``genre_words``, ``moods`` and ``small_words`` are tables in English, German and French.
"""

__all__: list[str] = []
