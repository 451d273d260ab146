"""What people may ask for in words, and what they would expect: two tables, written before any answer was seen.

The word lists of ``model/intent`` and its constants were chosen with the first table at hand. The second was written
together with it and never looked at while anything was chosen, so it says how the reading does on words of others.
"""

from dataclasses import dataclass

__all__ = ["FRESH", "OURS", "Query"]

Years = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what fits it, in the genres of MovieLens.

    Parameters
    ----------
    text : as a person types it.
    fits : groups of genres; a film fits if it has a genre of each group.
    never : genres that the query forbids.
    years : first and last year that the query allows, None for no bound.
    """

    text: str
    fits: tuple[str, ...]
    never: str = ""
    years: Years = (None, None)


OURS = (
    # Moods
    Query("something funny", ("Comedy",)),
    Query("I want to be scared tonight", ("Horror Thriller",)),
    Query("a romantic evening for two", ("Romance",)),
    Query("feel-good movie", ("Comedy Romance Musical Children's Animation",)),
    Query("make me cry", ("Drama Romance",)),
    Query("edge of my seat suspense", ("Thriller Mystery Crime Film-Noir",)),
    Query("explosions and car chases", ("Action",)),
    Query("mind-bending films about time and space", ("Sci-Fi Mystery Fantasy",)),
    Query("something dark and gritty", ("Crime Thriller Film-Noir Drama Horror",)),
    # Negations
    Query("comedy but no romance", ("Comedy",), never="Romance"),
    Query("thriller, no horror", ("Thriller",), never="Horror"),
    Query("a mystery, not too scary", ("Mystery",), never="Horror"),
    Query("animated but not for children", ("Animation",), never="Children's"),
    Query("a drama that is not romantic", ("Drama",), never="Romance"),
    Query("science fiction, but please no action", ("Sci-Fi",), never="Action"),
    # Years
    Query("80s action movies", ("Action",), years=(1980, 1989)),
    Query("comedies from the nineties", ("Comedy",), years=(1990, 1999)),
    Query("classic westerns from the fifties", ("Western",), years=(1950, 1959)),
    Query("horror, nothing older than 1990", ("Horror",), years=(1990, None)),
    Query("musicals before 1960", ("Musical",), years=(None, 1959)),
    Query("war movies of the 1970s", ("War",), years=(1970, 1979)),
    # Mixes
    Query("romantic comedy", ("Romance", "Comedy")),
    Query("funny science fiction", ("Comedy", "Sci-Fi")),
    Query("animated musical", ("Animation", "Musical")),
    Query(
        "something funny for the family, nothing older than 1990, no horror",
        ("Comedy", "Children's Animation"),
        never="Horror",
        years=(1990, None),
    ),
    Query("dark comedy about crime", ("Comedy", "Crime")),
    # Titles
    Query("like Alien and Heat", ("Sci-Fi Horror Action Thriller Crime",)),
    Query("movies similar to Toy Story", ("Animation Children's",)),
    Query("something like The Godfather but funny", ("Comedy Crime",)),
    # Slips of the pen
    Query("romantc comdey", ("Romance", "Comedy")),
    Query("scarry moveis", ("Horror Thriller",)),
    Query("wstern with cowbos", ("Western",)),
    Query("sience ficton from the ninties", ("Sci-Fi",), years=(1990, 1999)),
    # German
    Query("etwas Lustiges für die ganze Familie", ("Comedy Children's Animation",)),
    Query("ein spannender Krimi aus den Neunzigern", ("Crime Thriller Mystery Film-Noir",), years=(1990, 1999)),
    Query("Liebesfilm, aber keine Komödie", ("Romance",), never="Comedy"),
    Query("gruselig, aber nichts vor 1980", ("Horror Thriller",), years=(1980, None)),
    # French
    Query("une comédie romantique", ("Romance", "Comedy")),
    Query("film d'horreur des années 80", ("Horror",), years=(1980, 1989)),
    Query("science-fiction sans horreur", ("Sci-Fi",), never="Horror"),
)

FRESH = (
    Query("gruesome slasher for halloween", ("Horror",)),
    Query("heist movies", ("Crime Thriller Action",)),
    Query("sad love story", ("Romance Drama",)),
    Query("submarine warfare", ("War Action Thriller",)),
    Query("laugh out loud", ("Comedy",)),
    Query("whodunit", ("Mystery Crime Thriller Film-Noir",)),
    Query("dragons, wizards and magic", ("Fantasy Adventure Animation Children's",)),
    Query("documentaries about music", ("Documentary",)),
    Query("sci-fi from the sixties", ("Sci-Fi",), years=(1960, 1969)),
    Query("anything but drama, I need cheering up", ("Comedy Musical Children's Animation Romance",), never="Drama"),
    Query("no comedies please, a serious war film", ("War",), never="Comedy"),
    Query("crime movies after 1995", ("Crime",), years=(1996, None)),
    Query("a thriler from the 80ies", ("Thriller",), years=(1980, 1989)),
    Query("dinosaurs", ("Sci-Fi Adventure Action",)),
    Query("like Star Wars, but not animated", ("Sci-Fi Adventure Action",), never="Animation"),
    Query("gruseliger Film aus den Achtzigern", ("Horror Thriller",), years=(1980, 1989)),
    Query("lustige Zeichentrickfilme", ("Animation",)),
    Query("film policier, pas de comédie", ("Crime Thriller Mystery Film-Noir",), never="Comedy"),
    Query("un dessin animé pour enfants", ("Animation Children's",)),
    Query("martial arts and kung fu", ("Action",)),
)
