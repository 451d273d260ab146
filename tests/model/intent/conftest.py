import pytest

from model.catalogue import Catalogue, Item
from streams.sentence_weights import load_encoder

FILMS = (
    Item("1", "Alien", 1979, ("Horror", "Sci-Fi")),
    Item("2", "Heat", 1995, ("Action", "Crime")),
    Item("3", "Godfather, The", 1972, ("Crime", "Drama")),
    Item("4", "Airplane!", 1980, ("Comedy",)),
    Item("5", "Sleeper", 1973, ("Comedy", "Sci-Fi")),
    Item("6", "When Harry Met Sally...", 1989, ("Comedy", "Romance")),
    Item("7", "Toy Story", 1995, ("Animation", "Children's", "Comedy")),
    Item("8", "Submarine Command", 1951, ("War",)),
    Item("9", "High Noon", 1952, ("Western",)),
    Item("10", "Titanic", 1997, ("Drama", "Romance")),
    Item("11", "Star Wars: Episode IV - A New Hope", 1977, ("Adventure", "Sci-Fi")),
)


@pytest.fixture(scope="session")
def films():
    """Return eleven films of most genres."""
    return Catalogue.of(FILMS)


@pytest.fixture(scope="session")
def encoder():
    """Return the installed encoder."""
    return load_encoder()
