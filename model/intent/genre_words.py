"""Words that name a genre, in English, German and French: data, no code.

A catalogue may spell a genre in its own way, so each has the names that catalogues give it, the English word that an
encoder knows it by, and the words that people use. Words are written without accents and hyphens, as
``model.intent.words`` folds them.
"""

from dataclasses import dataclass

__all__ = ["GENRES", "GenreWords"]


@dataclass(frozen=True, slots=True)
class GenreWords:
    """One genre.

    Parameters
    ----------
    names : of the genre in catalogues.
    english : the word that stands for it in the sentence that is encoded.
    words : comma-separated, that name it.
    """

    names: tuple[str, ...]
    english: str
    words: str


GENRES = (
    GenreWords(("Action",), "action", "action, actionfilm, actioner, film d'action"),
    GenreWords(("Adventure",), "adventure", "adventure, adventures, adventurous, abenteuer, aventure, aventures"),
    GenreWords(
        ("Animation", "Animated"),
        "animation",
        "animation, animated, anime, cartoon, cartoons, zeichentrick, trickfilm, animiert, dessin anime, "
        "dessins animes, animes",
    ),
    GenreWords(
        ("Children's", "Children", "Kids", "Family"),
        "children's",
        "children, child, kids, kid, kiddies, children's, kinder, kind, enfant, enfants",
    ),
    GenreWords(("Comedy",), "comedy", "comedy, comedies, komodie, komodien, comedie, comedies, lustspiel, comique"),
    GenreWords(
        ("Crime",),
        "crime",
        "crime, crimes, gangster, gangsters, mafia, mob, krimi, krimis, verbrechen, policier, policiers, polar, polars",
    ),
    GenreWords(
        ("Documentary",),
        "documentary",
        "documentary, documentaries, dokumentar, doku, dokus, dokumentation, documentaire, documentaires",
    ),
    GenreWords(("Drama",), "drama", "drama, dramas, dramatic, dramen, dramatisch, drame, drames, dramatique"),
    GenreWords(
        ("Fantasy",), "fantasy", "fantasy, fantasies, fantastique, fantasie, marchen, conte, fairy tale, fairytale"
    ),
    GenreWords(
        ("Film-Noir", "Film Noir", "Noir"), "film noir", "film noir, films noirs, noir, noirs, hardboiled, hard boiled"
    ),
    GenreWords(("Horror",), "horror", "horror, horreur, epouvante, grusel, splatter, slasher, slashers"),
    GenreWords(
        ("Musical",),
        "musical",
        "musical, musicals, singing and dancing, comedie musicale, comedies musicales, singspiel",
    ),
    GenreWords(
        ("Mystery",),
        "mystery",
        "mystery, mysteries, whodunit, whodunits, ratsel, ratselhaft, enigme, detective, detectives",
    ),
    GenreWords(
        ("Romance", "Romantic"),
        "romance",
        "romance, romances, love story, love stories, liebe, liebesfilm, liebesgeschichte, romanze, romanzen, "
        "histoire d'amour, histoires d'amour, film d'amour",
    ),
    GenreWords(
        ("Sci-Fi", "Science Fiction", "SciFi"),
        "science fiction",
        "sci fi, scifi, science fiction, sf, zukunftsfilm, anticipation",
    ),
    GenreWords(("Thriller", "Suspense"), "thriller", "thriller, thrillers, suspense, reisser"),
    GenreWords(("War",), "war", "war, wars, warfare, military, krieg, kriegs, antikriegs, guerre, guerres"),
    GenreWords(("Western",), "western", "western, westerns, cowboy, cowboys, wild west, wilder westen, far west"),
)
